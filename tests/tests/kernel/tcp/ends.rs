//! How connections begin and end: failures, resets, how long they are open.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use sonde::l7::exchange::{Failure, Role as RequestRole};
use sonde_common::event::tcp::{Closed, ConnectFailed, Role};

use super::{of_closed, pair, with_role};
use crate::{
    child::{Child, Workload, hear, tell},
    harness::Test,
    http::{ANSWER, by_role, head, read_head},
    observed::{Observed, Seen},
    sys,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "tcp::a_refused_connect_tells_its_errno",
        run: a_refused_connect_tells_its_errno,
    },
    Test {
        name: "tcp::resets_are_told_by_who_sent_them",
        run: resets_are_told_by_who_sent_them,
    },
    Test {
        name: "tcp::a_connection_is_open_from_its_establishment_to_its_end",
        run: a_connection_is_open_from_its_establishment_to_its_end,
    },
    Test {
        name: "tcp::a_read_after_a_reset_leaves_no_state",
        run: a_read_after_a_reset_leaves_no_state,
    },
    Test {
        name: "tcp::an_end_with_bytes_unread_waits_for_them",
        run: an_end_with_bytes_unread_waits_for_them,
    },
    Test {
        name: "tcp::fault_15_a_reset_within_a_long_write_leaves_the_answer_its_status",
        run: a_reset_within_a_long_write_leaves_the_answer_its_status,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "refused",
        run: refused,
    },
    Workload {
        name: "reset",
        run: reset,
    },
    Workload {
        name: "hold",
        run: hold,
    },
    Workload {
        name: "unread",
        run: unread,
    },
    Workload {
        name: "reset-within",
        run: reset_within,
    },
];

/// Connects to a port on which nobody listens.
fn refused(_: &[&str]) -> Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    ensure!(TcpStream::connect(("127.0.0.1", port)).is_err());
    tell(port)
}

fn failures(observed: &Observed, pid: u32) -> Vec<ConnectFailed> {
    let failures = observed.seen.iter().filter_map(|seen| match seen {
        Seen::ConnectFailed(failed) if failed.header.tgid == pid => Some(*failed),
        _ => None,
    });
    failures.collect()
}

fn a_refused_connect_tells_its_errno(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("refused", &[])?;
    let pid = child.pid();
    let port: u16 = child.line()?.parse()?;
    observed.finish(child)?;
    let failures = failures(observed, pid);
    ensure!(failures.len() == 1, "{} failures", failures.len());
    let failed = failures[0];
    ensure!(
        failed.error == libc::ECONNREFUSED as u32,
        "errno {}",
        failed.error
    );
    ensure!(failed.duration > 0 && failed.tuple.remote_port == port);
    ensure!(observed.closed(pid).is_empty(), "told as a connection");
    Ok(())
}

/// Ends a connection with a reset: the client's by `SO_LINGER`, or the server's by closing with
/// bytes unread.
fn reset(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    client.write_all(b"some bytes")?;
    if arguments == ["linger"] {
        server.read_exact(&mut [0; 10])?;
        sys::reset_on_close(&client)?;
        drop(client);
        ensure!(server.read(&mut [0; 1]).is_err());
        // Once the error has been told, the end of the stream is.
        ensure!(server.read(&mut [0; 1])? == 0);
        if let Ok(line) = hear() {
            ensure!(line == "close");
        }
    } else {
        // Read by the server once, so that it is known whose it is.
        server.read_exact(&mut [0; 1])?;
        drop(server);
        ensure!(client.read(&mut [0; 1]).is_err());
    }
    Ok(())
}

fn resets_are_told_by_who_sent_them(observed: &mut Observed) -> Result<()> {
    const RECEIVED: u8 = 1;
    const SENT: u8 = 2;
    for (how, client_did, server_did) in [("linger", SENT, RECEIVED), ("unread", RECEIVED, SENT)] {
        let mut child = Child::start("reset", &[how])?;
        let pid = child.pid();
        if how == "linger" {
            child.say("close")?;
        }
        ensure!(observed.finish(child)?.success());
        let closed = observed.closed(pid);
        let client = with_role(&closed, Role::Outbound, of_closed)?;
        let server = with_role(&closed, Role::Inbound, of_closed)?;
        let resets = (client.reset, server.reset);
        ensure!(resets == (client_did, server_did), "{how}: {resets:?}");
        let reset = |closed: &Closed| closed.reset == RECEIVED;
        for end in [client, server].into_iter().filter(|closed| reset(closed)) {
            ensure!(
                end.error == libc::ECONNRESET as u32,
                "{how}: errno {}",
                end.error
            );
        }
    }
    Ok(())
}

fn a_read_after_a_reset_leaves_no_state(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("reset", &["linger"])?;
    let pid = child.pid();
    observed.until("the end of both", |observed| {
        (observed.closed(pid).len() == 2).then_some(())
    })?;
    std::thread::sleep(Duration::from_millis(100));
    let open = observed.open_connections()?;
    let left = open.iter().filter(|totals| totals.tgid == pid).count();
    ensure!(left == 0, "{left} connections that ended are told as open");
    child.say("close")?;
    observed.finish(child)?;
    ensure!(observed.closed(pid).len() == 2, "told again");
    Ok(())
}

/// Holds a connection open, without any byte, for some time.
fn hold(arguments: &[&str]) -> Result<()> {
    let (client, server) = pair()?;
    tell(client.peer_addr()?.port())?;
    std::thread::sleep(Duration::from_millis(arguments[0].parse()?));
    drop(client);
    drop(server);
    Ok(())
}

fn a_connection_is_open_from_its_establishment_to_its_end(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("hold", &["300"])?;
    let port: u16 = child.line()?.parse()?;
    ensure!(observed.finish(child)?.success());
    let closed = observed.closed_at(port);
    ensure!(closed.len() == 2, "{} ends: {closed:?}", closed.len());
    for closed in closed {
        let life = closed.header.time - closed.totals.opened;
        ensure!((300_000_000..5_000_000_000).contains(&life), "{life} ns");
    }
    Ok(())
}

/// A client that has ended its direction, and gets the answer with the server's end: the kernel
/// closes the connection then, and the answer may still be read, or never is.
fn unread(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    client.write_all(&head("/unread"))?;
    client.shutdown(Shutdown::Write)?;
    read_head(&mut server)?;
    ensure!(server.read(&mut [0; 1])? == 0);
    server.write_all(ANSWER)?;
    drop(server);
    // TCP_CLOSE; the state of the FIN that waits for a second lives in another structure.
    while sys::tcp_info(&client)?.tcpi_state != 7 {
        std::thread::sleep(Duration::from_millis(1));
    }
    tell("closed")?;
    hear()?;
    if arguments == ["read"] {
        client.read_exact(&mut [0; ANSWER.len()])?;
        ensure!(client.read(&mut [0; 1])? == 0);
    }
    Ok(())
}

fn an_end_with_bytes_unread_waits_for_them(observed: &mut Observed) -> Result<()> {
    const PAUSE: u64 = 100_000_000;
    for (how, status) in [("read", Some(200)), ("dropped", None)] {
        observed.forget();
        let mut child = Child::start("unread", &[how])?;
        let pid = child.pid();
        child.line()?;
        std::thread::sleep(Duration::from_nanos(PAUSE));
        observed.drain();
        let closed = observed.closed(pid);
        ensure!(closed.len() == 1, "{how}: {} ends so far", closed.len());
        with_role(&closed, Role::Inbound, of_closed).context(how)?;
        let open = observed.open_connections()?;
        let open = open.iter().filter(|totals| totals.tgid == pid).count();
        ensure!(open == 0, "{how}: {open} told as open");
        child.say("go on")?;
        ensure!(observed.finish(child)?.success());
        let closed = observed.closed(pid);
        ensure!(closed.len() == 2, "{how}: {} ends", closed.len());
        let client = with_role(&closed, Role::Outbound, of_closed)?;
        let server = with_role(&closed, Role::Inbound, of_closed)?;
        ensure!(client.totals.bytes_received == ANSWER.len() as u64);
        ensure!(
            client.header.time < server.header.time + PAUSE,
            "{how}: told with the time of the reading, not of the end"
        );
        let exchanges = observed.exchanges(pid);
        let answers = by_role(&exchanges, RequestRole::Client);
        ensure!(answers.len() == 1, "{how}: {} exchanges", answers.len());
        ensure!(
            answers[0].status == status,
            "{how}: {:?}",
            answers[0].status
        );
    }
    Ok(())
}

/// The client resets the connection while the server is within the one write of a long answer.
fn reset_within(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    client.write_all(&head("/within"))?;
    read_head(&mut server)?;
    let writer = std::thread::spawn(move || {
        let size = 64 << 20;
        let mut answer = format!("HTTP/1.1 206 X\r\nContent-Length: {size}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + size, b'x');
        server.write_all(&answer).is_err()
    });
    client.read_exact(&mut [0; 1000])?;
    // Until the writer waits.
    std::thread::sleep(Duration::from_millis(100));
    sys::reset_on_close(&client)?;
    drop(client);
    let failed = writer.join().ok().context("the writer's thread")?;
    ensure!(failed, "64 MiB were taken in");
    Ok(())
}

fn a_reset_within_a_long_write_leaves_the_answer_its_status(observed: &mut Observed) -> Result<()> {
    observed.forget();
    let pid = observed.run("reset-within", &[])?;
    let exchanges = observed.exchanges(pid);
    for role in [RequestRole::Server, RequestRole::Client] {
        let found = by_role(&exchanges, role);
        ensure!(found.len() == 1, "{role:?}: {}", found.len());
        let told = (found[0].status, found[0].failure, found[0].response_body);
        ensure!(
            told == (Some(206), Some(Failure::ConnectionReset), None),
            "{role:?}: {told:?}"
        );
        ensure!(
            found[0].response_start <= Some(found[0].end),
            "{:?}",
            found[0]
        );
    }
    Ok(())
}
