//! How connections begin, go on and end around their requests.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
};

use anyhow::{Context as _, Result, ensure};
use sonde::l7::exchange::Failure;

use super::{ANSWER, both, check_paths, exchange, head, read_head};
use crate::{
    child::{Child, Workload, hear, tell},
    harness::Test,
    observed::{Observed, Seen},
    sys,
    tcp::pair,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::fault_12_ten_thousand_requests_on_one_connection",
        run: fault_12_ten_thousand_requests_on_one_connection,
    },
    Test {
        name: "http::fault_13_a_connection_that_was_open_before",
        run: fault_13_a_connection_that_was_open_before,
    },
    Test {
        name: "http::fault_15_half_close_and_resets",
        run: fault_15_half_close_and_resets,
    },
    Test {
        name: "http::a_request_in_flight_is_known_before_its_answer",
        run: a_request_in_flight_is_known_before_its_answer,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "http-many",
        run: many,
    },
    Workload {
        name: "http-late",
        run: late,
    },
    Workload {
        name: "http-ends",
        run: ends,
    },
    Workload {
        name: "http-in-flight",
        run: in_flight,
    },
];

const MANY: usize = 10_000;

fn many(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    (0..MANY).try_for_each(|index| exchange(&mut client, &mut server, &format!("/many/{index}")))
}

fn fault_12_ten_thousand_requests_on_one_connection(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http-many", &[])?;
    let paths: Vec<String> = (0..MANY).map(|index| format!("/many/{index}")).collect();
    check_paths(&exchanges, &paths, Some(200))?;
    let connections = observed.follow(|_| {});
    ensure!(connections.in_flight() == 0 && connections.buffered() == 0);
    Ok(())
}

/// A connection in the middle of a request's body when the agent starts.
fn late(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    client.write_all(b"POST /before HTTP/1.1\r\nHost: l\r\nContent-Length: 100\r\n\r\n")?;
    client.write_all(&[b'b'; 50])?;
    read_head_and(&mut server, 50)?;
    tell("open")?;
    hear()?;
    client.write_all(&[7; 50])?;
    server.read_exact(&mut [0; 50])?;
    server.write_all(ANSWER)?;
    client.read_exact(&mut [0; ANSWER.len()])?;
    for index in 0..3 {
        exchange(&mut client, &mut server, &format!("/late/{index}"))?;
    }
    Ok(())
}

/// Reads a head and this many bytes of the body after it.
fn read_head_and(server: &mut TcpStream, body: usize) -> Result<()> {
    let mut bytes = Vec::new();
    let mut byte = [0u8; 1];
    while !bytes.ends_with(b"\r\n\r\n") {
        server.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    Ok(server.read_exact(&mut vec![0; body])?)
}

fn fault_13_a_connection_that_was_open_before(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("http-late", &[])?;
    let pid = child.pid();
    child.line()?;
    let mut late = Observed::attach(observed.mode)?;
    child.say("go on")?;
    ensure!(late.finish(child)?.success());
    let exchanges = late.exchanges(pid);
    let paths: Vec<String> = (0..3).map(|index| format!("/late/{index}")).collect();
    check_paths(&exchanges, &paths, Some(200))?;
    for closed in late.closed(pid) {
        ensure!(closed.totals.role == 0, "a role that nobody saw");
    }
    ensure!(late.closed(pid).len() == 2);
    Ok(())
}

/// How a connection may end around an answer.
fn ends(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    client.write_all(&head("/ends"))?;
    if arguments == ["half-close"] {
        client.shutdown(Shutdown::Write)?;
        read_head(&mut server)?;
        ensure!(server.read(&mut [0; 1])? == 0);
        server.write_all(ANSWER)?;
        // Before the end comes: with both directions ended there is no connection any more.
        client.read_exact(&mut [0; ANSWER.len()])?;
        drop(server);
        ensure!(client.read(&mut [0; 1])? == 0);
        return Ok(());
    }
    read_head(&mut server)?;
    if arguments == ["after"] {
        server.write_all(ANSWER)?;
        client.read_exact(&mut [0; ANSWER.len()])?;
    } else if arguments == ["middle"] {
        server.write_all(&ANSWER[..ANSWER.len() - 2])?;
        client.read_exact(&mut vec![0; ANSWER.len() - 2])?;
    }
    sys::reset_on_close(&server)?;
    drop(server);
    ensure!(client.read(&mut [0; 1]).is_err());
    Ok(())
}

fn fault_15_half_close_and_resets(observed: &mut Observed) -> Result<()> {
    for (how, status, failure) in [
        ("half-close", Some(200), None),
        ("after", Some(200), None),
        ("middle", Some(200), Some(Failure::ConnectionReset)),
        ("before", None, Some(Failure::ConnectionReset)),
    ] {
        let exchanges = both(observed, "http-ends", &[how])?;
        check_paths(&exchanges, &["/ends".to_owned()], status).context(how)?;
        for exchange in &exchanges {
            let role = exchange.role;
            ensure!(
                exchange.failure == failure,
                "{how} {role:?}: {:?}",
                exchange.failure
            );
        }
    }
    Ok(())
}

/// A request without an answer for some time.
fn in_flight(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    client.write_all(&head("/slow"))?;
    read_head(&mut server)?;
    tell("asked")?;
    hear()?;
    server.write_all(ANSWER)?;
    Ok(client.read_exact(&mut [0; ANSWER.len()])?)
}

fn a_request_in_flight_is_known_before_its_answer(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("http-in-flight", &[])?;
    let pid = child.pid();
    child.line()?;
    observed.until("both ends of the request", |observed| {
        let active = observed.follow(|_| {});
        let ours = active.active().filter(|(_, tgid, ..)| *tgid == pid).count();
        (ours == 2).then_some(())
    })?;
    child.say("answer")?;
    ensure!(observed.finish(child)?.success());
    check_paths(&observed.exchanges(pid), &["/slow".to_owned()], Some(200))?;
    let told = |seen: &&Seen| matches!(seen, Seen::Segment(segment) if segment.tgid == pid);
    // Each of four reads and writes once.
    let segments = observed
        .seen
        .iter()
        .filter(told)
        .filter(|seen| matches!(seen, Seen::Segment(segment) if segment.length > 0));
    ensure!(segments.count() == 4);
    Ok(())
}
