//! What moves through `io_uring`: it isn't seen what it is, and that is told.

use std::{
    io::{Read as _, Write as _},
    os::fd::AsRawFd as _,
};

use anyhow::{Context as _, Result, ensure};
use io_uring::{IoUring, opcode, squeue, types::Fd};
use sonde::l7::exchange::Role;
use sonde_common::event::tls::Reason;

use crate::{
    child::{Workload, hear, tell},
    harness::{Skipped, Test},
    http::{ANSWER, by_role, head},
    observed::{Mode, Observed, Seen},
    tcp::pair,
};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "uring::fault_19_connections_of_io_uring_are_told_as_uncovered",
    run: fault_19_connections_of_io_uring_are_told_as_uncovered,
}];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "uring-server",
    run: server,
}];

const REQUESTS: usize = 5;

/// A server that reads and writes through a ring only, and a client that doesn't.
fn server(_: &[&str]) -> Result<()> {
    let mut ring = match IoUring::new(8) {
        Ok(ring) => ring,
        Err(error) => return tell(format!("no ring: {error}")),
    };
    tell("ready")?;
    hear()?;
    let (mut client, server) = pair()?;
    let socket = Fd(server.as_raw_fd());
    for number in 0..REQUESTS {
        let request = head(&format!("/uring/{number}"));
        client.write_all(&request)?;
        let mut buffer = vec![0; 1024];
        let receive = opcode::Recv::new(socket, buffer.as_mut_ptr(), 1024).build();
        let count = submit(&mut ring, &receive)?;
        ensure!(buffer[..count] == request[..], "another request");
        let length = u32::try_from(ANSWER.len())?;
        let send = opcode::Send::new(socket, ANSWER.as_ptr(), length).build();
        ensure!(submit(&mut ring, &send)? == ANSWER.len(), "a short write");
        client.read_exact(&mut vec![0; ANSWER.len()])?;
    }
    Ok(())
}

/// Has the kernel do it; what it gives.
fn submit(ring: &mut IoUring, entry: &squeue::Entry) -> Result<usize> {
    // SAFETY: the entry's buffer lives until the completion is here.
    unsafe { ring.submission().push(entry)? };
    ring.submit_and_wait(1)?;
    let done = ring.completion().next().context("no completion")?;
    ensure!(done.result() >= 0, "errno {}", -done.result());
    Ok(usize::try_from(done.result())?)
}

fn fault_19_connections_of_io_uring_are_told_as_uncovered(observed: &mut Observed) -> Result<()> {
    if observed.mode != Mode::Best || !observed.mode.kernel().has_socket_tracepoints() {
        return Err(Skipped("not seen before kernel 6.3".to_owned()).into());
    }
    observed.forget();
    let mut child = crate::child::Child::start("uring-server", &[])?;
    let line = child.line()?;
    if line != "ready" {
        return Err(Skipped(line).into());
    }
    let pid = child.pid();
    child.say("go")?;
    let status = observed.finish(child)?;
    ensure!(status.success(), "{status}");
    let told = observed.seen.iter().filter(|seen| {
        matches!(seen, Seen::Uncovered(record)
            if record.header.tgid == pid && record.reason == Reason::IoUring as u32)
    });
    let told = told.count();
    ensure!(told == 1, "{told} told as uncovered");
    let exchanges = observed.exchanges(pid);
    let client = by_role(&exchanges, Role::Client).len();
    ensure!(client == REQUESTS, "{client} requests of the client");
    ensure!(
        by_role(&exchanges, Role::Server).is_empty(),
        "of the server"
    );
    Ok(())
}
