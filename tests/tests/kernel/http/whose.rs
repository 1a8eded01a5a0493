//! Whose a request is, and what is none.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use sonde::l7::exchange::Role;
use sonde_common::fault::Fault;

use super::{answer, ask, both, check_paths, exchange};
use crate::{
    child::{self, Workload},
    harness::Test,
    observed::Observed,
    sys,
    tcp::pair,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::fault_01_other_protocols_are_counted_and_left_alone",
        run: fault_01_other_protocols_are_counted_and_left_alone,
    },
    Test {
        name: "http::fault_16_descriptors_used_again_at_once",
        run: fault_16_descriptors_used_again_at_once,
    },
    Test {
        name: "http::fault_17_whoever_reads_the_request_owns_it",
        run: fault_17_whoever_reads_the_request_owns_it,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "http-other",
        run: other_protocols,
    },
    Workload {
        name: "http-reuse",
        run: reuse,
    },
    Workload {
        name: "http-prefork",
        run: prefork,
    },
    Workload {
        name: "http-worker",
        run: worker,
    },
];

/// What is no HTTP: a TLS handshake, random bytes, a server that speaks first.
fn other_protocols(_: &[&str]) -> Result<()> {
    let random: Vec<u8> = (0..200u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let greetings: [&[u8]; 2] = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &random];
    for greeting in greetings {
        let (mut client, mut server) = pair()?;
        client.write_all(greeting)?;
        server.read_exact(&mut vec![0; greeting.len()])?;
        // Never looked at again, even when it looks like HTTP.
        exchange(&mut client, &mut server, "/within-another-protocol")?;
    }
    let (mut client, mut server) = pair()?;
    server.write_all(b"220 mail.example ESMTP\r\n")?;
    client.read_exact(&mut [0; 24])?;
    Ok(())
}

fn fault_01_other_protocols_are_counted_and_left_alone(observed: &mut Observed) -> Result<()> {
    let reasons = [Fault::Tls, Fault::NotHttp];
    let before = reasons.map(|reason| observed.faults(reason).unwrap_or(0));
    let exchanges = both(observed, "http-other", &[])?;
    ensure!(exchanges.is_empty(), "{} exchanges", exchanges.len());
    // Each on both ends; other programs of the machine may add to them.
    for (index, (reason, least)) in reasons.into_iter().zip([2, 4]).enumerate() {
        let counted = observed.faults(reason)? - before[index];
        ensure!(counted >= least, "{reason:?}: {counted} of {least}");
    }
    Ok(())
}

/// Connections one after the other on the same descriptors, every other one no HTTP.
fn reuse(_: &[&str]) -> Result<()> {
    let mut descriptors = None;
    for index in 0..200 {
        let (mut client, mut server) = pair()?;
        let numbers = (client.as_raw_fd(), server.as_raw_fd());
        ensure!(
            *descriptors.get_or_insert(numbers) == numbers,
            "other descriptors"
        );
        if index % 2 == 0 {
            exchange(&mut client, &mut server, &format!("/reuse/{index}"))?;
        } else {
            client.write_all(&[0xff; 64])?;
            server.read_exact(&mut [0; 64])?;
        }
    }
    Ok(())
}

fn fault_16_descriptors_used_again_at_once(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http-reuse", &[])?;
    let paths: Vec<String> = (0..200)
        .step_by(2)
        .map(|index| format!("/reuse/{index}"))
        .collect();
    check_paths(&exchanges, &paths, Some(200))?;
    let mut connections: Vec<u64> = exchanges
        .iter()
        .map(|exchange| exchange.connection)
        .collect();
    connections.sort_unstable();
    connections.dedup();
    ensure!(
        connections.len() == 200,
        "{} connections",
        connections.len()
    );
    Ok(())
}

/// A worker process with a Unix socket to it.
fn start_worker(how: &str) -> Result<(std::process::Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let worker = child::command("http-worker", &[how])?
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    Ok((worker, ours))
}

/// Takes a descriptor from its standard input: a listener to accept from, or a connection, which
/// it reads through another descriptor of its own. Answers one request.
fn worker(arguments: &[&str]) -> Result<()> {
    let descriptor = sys::take(0)?;
    let mut server = if arguments == ["accept"] {
        TcpListener::from(descriptor).accept()?.0
    } else {
        TcpStream::from(descriptor.try_clone()?)
    };
    answer(&mut server)
}

/// Three workers that accept from one listener, then three that are passed an accepted
/// connection; one after the other, so that it is known who answers what.
fn prefork(_: &[&str]) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    for how in ["accept", "passed", "accept", "passed", "accept", "passed"] {
        let (mut worker, socket) = start_worker(how)?;
        let mut client = TcpStream::connect(("127.0.0.1", port))?;
        if how == "accept" {
            sys::pass(socket.as_raw_fd(), listener.as_raw_fd())?;
        } else {
            let (server, _) = listener.accept()?;
            sys::pass(socket.as_raw_fd(), server.as_raw_fd())?;
        }
        ask(&mut client, &format!("/{how}/{}", worker.id()))?;
        ensure!(worker.wait()?.success());
    }
    Ok(())
}

fn fault_17_whoever_reads_the_request_owns_it(observed: &mut Observed) -> Result<()> {
    let pid = observed.run("http-prefork", &[])?;
    let asked = observed.exchanges(pid);
    ensure!(asked.len() == 6, "{} asked", asked.len());
    for exchange in &asked {
        ensure!(
            exchange.role == Role::Client,
            "the parent answered {}",
            exchange.path
        );
        let worker = exchange
            .path
            .rsplit('/')
            .next()
            .context("no worker in the path")?;
        let answered = observed.exchanges(worker.parse()?);
        ensure!(
            answered.len() == 1,
            "{} answered by {worker}",
            answered.len()
        );
        ensure!(answered[0].role == Role::Server && answered[0].path == exchange.path);
    }
    Ok(())
}
