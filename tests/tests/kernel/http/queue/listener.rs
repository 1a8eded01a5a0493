//! A listener's queue: how long requests lie there, and what they don't wait for.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use sonde::l7::exchange::Role;
use sonde_common::event::tcp::Role as Opener;

use super::{
    super::{ANSWER, answer, ask, by_role, exchange, head},
    LONG, check,
};
use crate::{child::Workload, harness::Test, observed::Observed};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::the_accept_queue_counts_once_a_request_is_there",
        run: the_accept_queue_counts_once_a_request_is_there,
    },
    Test {
        name: "http::a_full_accept_queue_delays_connecting_and_no_request",
        run: a_full_accept_queue_delays_connecting_and_no_request,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "http-accept-queue",
        run: accept_queue,
    },
    Workload {
        name: "http-full-queue",
        run: full_queue,
    },
];

/// A connection that comes with its request and isn't accepted for a while, and one that isn't
/// accepted either but asks only later.
fn accept_queue(_: &[&str]) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut eager = TcpStream::connect(listener.local_addr()?)?;
    eager.write_all(&head("/eager"))?;
    sleep(LONG);
    let (mut server, _) = listener.accept()?;
    answer(&mut server)?;
    eager.read_exact(&mut [0; ANSWER.len()])?;
    let mut idle = TcpStream::connect(listener.local_addr()?)?;
    sleep(LONG);
    let (mut server, _) = listener.accept()?;
    exchange(&mut idle, &mut server, "/idle")
}

fn the_accept_queue_counts_once_a_request_is_there(observed: &mut Observed) -> Result<()> {
    observed.forget();
    let pid = observed.run("http-accept-queue", &[])?;
    let found = observed.exchanges(pid);
    check(&found, &[("/eager", true), ("/idle", false)])?;
    // The connection was there before it was accepted; the server's time isn't.
    for closed in observed.closed(pid) {
        if closed.totals.role == Opener::Outbound as u8 {
            let connected = Duration::from_nanos(closed.totals.connect_duration);
            ensure!(connected < LONG / 4, "connected in {connected:?}");
        }
    }
    for server in by_role(&found, Role::Server) {
        let duration = Duration::from_nanos(server.end - server.start);
        ensure!(duration < LONG / 4, "{}: {duration:?}", server.path);
    }
    Ok(())
}

/// A listener's queue that is full: the next SYN is lost, and comes again after a second.
fn full_queue(_: &[&str]) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // One connection more than the backlog has room.
    // SAFETY: no pointers.
    ensure!(unsafe { libc::listen(listener.as_raw_fd(), 0) } == 0);
    let address = listener.local_addr()?;
    let _first = TcpStream::connect(address)?;
    let asking = thread::spawn(move || -> Result<Duration> {
        let begin = Instant::now();
        let mut client = TcpStream::connect(address)?;
        let took = begin.elapsed();
        ask(&mut client, "/late")?;
        Ok(took)
    });
    sleep(LONG);
    let _first = listener.accept()?;
    let (mut server, _) = listener.accept()?;
    answer(&mut server)?;
    let took = asking
        .join()
        .map_err(|_| anyhow!("the client panicked"))??;
    ensure!(took > LONG, "connected in {took:?}");
    Ok(())
}

fn a_full_accept_queue_delays_connecting_and_no_request(observed: &mut Observed) -> Result<()> {
    observed.forget();
    let pid = observed.run("http-full-queue", &[])?;
    let found = observed.exchanges(pid);
    check(&found, &[("/late", false)])?;
    for exchange in &found {
        let duration = Duration::from_nanos(exchange.end - exchange.start);
        ensure!(
            duration < LONG,
            "{:?} {duration:?} with the connect",
            exchange.role
        );
    }
    let closed = observed.closed(pid);
    let connected = closed.iter().map(|closed| closed.totals.connect_duration);
    let connected = Duration::from_nanos(connected.max().context("no connection")?);
    ensure!(connected > LONG, "connected in {connected:?}");
    Ok(())
}
