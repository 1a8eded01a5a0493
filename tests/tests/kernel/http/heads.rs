//! Heads longer than what is captured, with their bodies behind them.

use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result, ensure};
use sonde::l7::exchange::Role;

use super::{both, by_role};
use crate::{child::Workload, harness::Test, observed::Observed, tcp::pair};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "http::fault_11_long_heads_with_bodies_lose_no_exchange",
    run: fault_11_long_heads_with_bodies_lose_no_exchange,
}];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "http-long-heads-with-bodies",
    run: long_heads_with_bodies,
}];

const EXCHANGES: usize = 10;
const BODY: usize = 300;

/// Exchanges on one connection: of each message one write and one read.
fn long_heads_with_bodies(arguments: &[&str]) -> Result<()> {
    let length = arguments.first().context("a length")?.parse()?;
    let (filler, body) = ("f".repeat(length), "b".repeat(BODY));
    let (mut client, mut server) = pair()?;
    let rest = format!("X-Filler: {filler}\r\nContent-Length: {BODY}\r\n\r\n{body}");
    for number in 0..EXCHANGES {
        let request = format!("POST /{number} HTTP/1.1\r\n{rest}");
        client.write_all(request.as_bytes())?;
        server.read_exact(&mut vec![0; request.len()])?;
        let answer = format!("HTTP/1.1 201 Created\r\n{rest}");
        server.write_all(answer.as_bytes())?;
        client.read_exact(&mut vec![0; answer.len()])?;
    }
    Ok(())
}

fn fault_11_long_heads_with_bodies_lose_no_exchange(observed: &mut Observed) -> Result<()> {
    // Of a request as much is captured as holds the shorter head, of an answer less.
    for (length, request_body) in [("1500", Some(BODY as u64)), ("6000", None)] {
        let exchanges = both(observed, "http-long-heads-with-bodies", &[length])?;
        for role in [Role::Server, Role::Client] {
            let found = by_role(&exchanges, role);
            ensure!(
                found.len() == EXCHANGES,
                "{role:?} {length}: {} of {EXCHANGES}",
                found.len()
            );
            for (number, exchange) in found.into_iter().enumerate() {
                let told = (&*exchange.path, exchange.status, exchange.failure);
                ensure!(
                    told == (&*format!("/{number}"), Some(201), None),
                    "{role:?} {length}: {told:?} at {number}"
                );
                let body = exchange.request_body;
                ensure!(body == request_body, "{role:?} {length}: {body:?}");
                ensure!(exchange.truncated, "{role:?} {length}: not flagged");
            }
        }
    }
    Ok(())
}
