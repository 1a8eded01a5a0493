//! Bodies whose reads end anywhere: within a head, its first bytes, or the line of a chunk's size.

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sonde::l7::exchange::Role;

use super::{
    message::{Framing, pass_in},
    status,
};
use crate::{
    child::Workload,
    harness::Test,
    http::{both, by_role},
    observed::Observed,
    tcp::pair,
};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "http::bodies::sizes_are_exact_however_they_are_read",
    run: sizes_are_exact_however_they_are_read,
}];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "http-bodies-in-reads",
    run: bodies_in_reads,
}];

/// Exchanges on the connection.
const RANDOM: usize = 300;

/// Bodies that fit in what is captured of a message whose head is cut.
const SMALL: [Framing; 3] = [
    Framing::Chunks(10, 3_000),
    Framing::Chunks(700, 60),
    Framing::Length(40_000),
];

fn bodies_in_reads(arguments: &[&str]) -> Result<()> {
    let seed = arguments.first().context("a seed")?.parse()?;
    let mut random = StdRng::seed_from_u64(seed);
    let (mut client, mut server) = pair()?;
    for number in 0..RANDOM {
        let framing = SMALL[number % SMALL.len()];
        let most = [20, 600, 4_096][number / SMALL.len() % 3];
        let asked = framing.message(&format!("POST /reads/{number} HTTP/1.1"));
        let mut size = || random.random_range(1..=most);
        pass_in(&mut client, &mut server, &asked, &mut size)?;
        let answered = framing.message(&format!("HTTP/1.1 {} X", status(number)));
        pass_in(&mut server, &mut client, &answered, &mut size)?;
    }
    Ok(())
}

fn sizes_are_exact_however_they_are_read(observed: &mut Observed) -> Result<()> {
    let seed: u64 = rand::random();
    let exchanges = both(observed, "http-bodies-in-reads", &[&seed.to_string()])?;
    for role in [Role::Server, Role::Client] {
        let found = by_role(&exchanges, role);
        ensure!(found.len() == RANDOM, "{role:?}: {} told", found.len());
        let wrong: Vec<_> = found
            .iter()
            .enumerate()
            .filter(|(number, exchange)| {
                let size = Some(SMALL[number % SMALL.len()].size());
                *exchange.path != *format!("/reads/{number}")
                    || [exchange.request_body, exchange.response_body] != [size; 2]
            })
            .map(|(_, exchange)| {
                let sizes = [exchange.request_body, exchange.response_body];
                format!("{}: {sizes:?}", exchange.path)
            })
            .collect();
        ensure!(wrong.is_empty(), "seed {seed}, {role:?}: {wrong:?}");
    }
    Ok(())
}
