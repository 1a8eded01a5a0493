//! How long requests lie in a socket before they are read.

use std::{io::Write as _, thread::sleep, time::Duration};

use anyhow::{Context as _, Result, ensure};
use sonde::l7::exchange::Role;

use super::{ANSWER, answer, by_role, exchange, head};
use crate::{child::Workload, harness::Test, observed::Observed, tcp::pair};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "http::requests_that_wait_to_be_read_are_timed",
    run: requests_that_wait_to_be_read_are_timed,
}];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "http-queue",
    run: queue,
}];

/// Long enough for the kernel to acknowledge what the process hasn't read yet.
const LONG: Duration = Duration::from_millis(300);

/// One request that is read at once, one that waits, and one after the connection was idle.
fn queue(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    exchange(&mut client, &mut server, "/at-once")?;
    client.write_all(&head("/waits"))?;
    sleep(LONG);
    answer(&mut server)?;
    std::io::Read::read_exact(&mut client, &mut [0; ANSWER.len()])?;
    sleep(LONG);
    exchange(&mut client, &mut server, "/after-idleness")
}

fn requests_that_wait_to_be_read_are_timed(observed: &mut Observed) -> Result<()> {
    observed.forget();
    let pid = observed.run("http-queue", &[])?;
    let exchanges = observed.exchanges(pid);
    let mut waits = Vec::new();
    for exchange in by_role(&exchanges, Role::Server) {
        let waited = exchange.queued.context("not known how long")?;
        waits.push((&*exchange.path, Duration::from_micros(waited.into())));
    }
    let [
        ("/at-once", first),
        ("/waits", second),
        ("/after-idleness", third),
    ] = waits[..]
    else {
        anyhow::bail!("other requests: {waits:?}");
    };
    for wait in [first, third] {
        ensure!(wait < LONG / 4, "{wait:?} for nothing: {waits:?}");
    }
    // What the kernel's ticks leave uncertain, and what a busy machine adds.
    let least = LONG.saturating_sub(Duration::from_millis(25));
    ensure!(
        second >= least && second < LONG * 2,
        "{second:?} for {LONG:?}"
    );
    let client = by_role(&exchanges, Role::Client);
    ensure!(
        client.iter().all(|exchange| exchange.queued.is_none()),
        "a client's request waited"
    );
    Ok(())
}
