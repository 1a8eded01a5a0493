//! Fault row 18: every way into and out of a socket tells the same exchanges.

use std::{net::TcpStream, os::fd::AsRawFd as _};

use anyhow::{Context as _, Result, ensure};
use sonde::l7::exchange::{Method, Role};
use sonde_common::fault::Fault;

use self::io::{RECEIVES, Receive, WRITES, Write, put, take};
use crate::{child::Workload, harness::Test, http::by_role, observed::Observed, sys, tcp::pair};

mod io;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::fault_18_every_way_of_socket_io",
        run: fault_18_every_way_of_socket_io,
    },
    Test {
        name: "http::fault_18_bytes_that_no_hook_sees_are_counted",
        run: fault_18_bytes_that_no_hook_sees_are_counted,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "ways",
    run: ways,
}];

/// Bodies, long enough that they are not captured whole.
const ASKED: usize = 2_345;
const ANSWERED: usize = 6_789;
/// Exchanges of each pair of ways on one connection: a wrong position shows in the next one.
const TURNS: usize = 3;

/// Every pair of a way to write and a way to read.
fn ways(_: &[&str]) -> Result<()> {
    for write in WRITES {
        for receive in RECEIVES {
            let (client, server) = pair()?;
            if matches!(write, Write::ZeroCopy) {
                for socket in [&client, &server] {
                    let fd = socket.as_raw_fd();
                    sys::set_option(fd, libc::SOL_SOCKET, libc::SO_ZEROCOPY, 1)?;
                }
            }
            for turn in 0..TURNS {
                talk(&client, &server, write, receive, turn)
                    .with_context(|| format!("{write:?} to {receive:?}"))?;
            }
        }
    }
    Ok(())
}

fn talk(
    client: &TcpStream,
    server: &TcpStream,
    write: Write,
    receive: Receive,
    turn: usize,
) -> Result<()> {
    let request = format!(
        "POST /{write:?}/{receive:?}/{turn} HTTP/1.1\r\nHost: ways\r\nContent-Length: {ASKED}\r\n\r\n"
    );
    let answer = format!("HTTP/1.1 202 Accepted\r\nContent-Length: {ANSWERED}\r\n\r\n");
    for (from, to, head, body) in [
        (client, server, request, ASKED),
        (server, client, answer, ANSWERED),
    ] {
        put(from, write, head.as_bytes(), &vec![b'b'; body])?;
        take(to, receive, head.len(), body)?;
    }
    Ok(())
}

fn fault_18_every_way_of_socket_io(observed: &mut Observed) -> Result<()> {
    let unreadable = observed.faults(Fault::PayloadUnreadable)?;
    let pid = observed.run("ways", &[])?;
    let exchanges = observed.exchanges(pid);
    let mut wrong = Vec::new();
    for role in [Role::Server, Role::Client] {
        let found = by_role(&exchanges, role);
        for write in WRITES {
            for receive in RECEIVES {
                for turn in 0..TURNS {
                    let path = format!("/{write:?}/{receive:?}/{turn}");
                    let here = found.iter().filter(|exchange| *exchange.path == path);
                    let here: Vec<_> = here.collect();
                    let spliced = matches!(receive, Receive::Splice);
                    let right = here.len() == 1
                        && here[0].method == Method::Post
                        && here[0].status == Some(202)
                        && is_size(here[0].request_body, ASKED, spliced)
                        && is_size(here[0].response_body, ANSWERED, spliced)
                        && here[0].host.as_deref() == Some("ways")
                        && !here[0].truncated
                        && here[0].failure.is_none();
                    if !right {
                        wrong.push(format!("{role:?} {path}: {here:?}"));
                    }
                }
            }
        }
        let expected = WRITES.len() * RECEIVES.len() * TURNS;
        if found.len() != expected {
            wrong.push(format!("{role:?}: {} of {expected}", found.len()));
        }
    }
    let shown = wrong
        .iter()
        .take(6)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n    ");
    ensure!(wrong.is_empty(), "{} wrong:\n    {shown}", wrong.len());
    let unreadable = observed.faults(Fault::PayloadUnreadable)? - unreadable;
    ensure!(
        unreadable == 0,
        "{unreadable} payloads that could not be read"
    );
    Ok(())
}

/// A body that was spliced out of a socket ends at the next read, which may come too late to tell
/// its size: then there is none, and never a wrong one.
fn is_size(body: Option<u64>, size: usize, spliced: bool) -> bool {
    body == Some(size as u64) || (spliced && body.is_none())
}

/// Bytes that were spliced out of a socket are told as a gap, and counted.
fn fault_18_bytes_that_no_hook_sees_are_counted(observed: &mut Observed) -> Result<()> {
    let before = observed.faults(Fault::UnseenBytes)?;
    observed.run("ways", &[])?;
    let counted = observed.faults(Fault::UnseenBytes)? - before;
    // A gap shows at the next read; after the last splice of a connection there is none.
    let splices = (WRITES.len() * 2 * (TURNS - 1)) as u64;
    ensure!(counted >= splices, "{counted} of {splices}");
    Ok(())
}
