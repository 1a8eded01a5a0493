//! The same inside TLS.

use anyhow::{Result, ensure};
use sonde::l7::exchange::Role;

use super::{
    super::{both, by_role, peer::Way},
    FRAMINGS, Framing, status,
};
use crate::{child::Workload, harness::Test, observed::Observed, tls};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::bodies::sizes_are_exact_inside_tls",
        run: |observed| sizes_are_exact(observed, Way::Library),
    },
    Test {
        name: "http::bodies::sizes_are_exact_around_tls",
        run: |observed| sizes_are_exact(observed, Way::Memory),
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "http-tls-bodies",
    run: bodies,
}];

/// Bytes of a record, and of what is read and written inside TLS at once.
const RECORDS: [usize; 2] = [1_301, 4_096];

/// Each body that isn't too large for a test that passes it piece by piece.
fn cases() -> impl Iterator<Item = (usize, Framing, usize)> {
    let all = FRAMINGS.iter().filter(|framing| framing.size() < 300_000);
    let all = all.flat_map(|framing| RECORDS.map(|record| (*framing, record)));
    all.enumerate()
        .map(|(number, (framing, record))| (number, framing, record))
}

fn bodies(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = Way::of(arguments)?.connect()?;
    for (number, framing, record) in cases() {
        let asked = framing.message(&format!("POST /tls/{number} HTTP/1.1"));
        let answered = framing.message(&format!("HTTP/1.1 {} X", status(number)));
        for (message, is_asked) in [(asked, true), (answered, false)] {
            let (from, to) = if is_asked {
                (&mut client, &mut server)
            } else {
                (&mut server, &mut client)
            };
            for part in message.concat().chunks(record) {
                from.put(part)?;
                ensure!(to.take()? == part, "other bytes");
            }
        }
    }
    Ok(())
}

fn sizes_are_exact(observed: &mut Observed, way: Way) -> Result<()> {
    tls::attach(observed)?;
    let exchanges = both(observed, "http-tls-bodies", &[way.name()])?;
    for role in [Role::Server, Role::Client] {
        let found = by_role(&exchanges, role);
        ensure!(found.len() == cases().count(), "{role:?}: {}", found.len());
        for (exchange, (number, framing, record)) in found.iter().zip(cases()) {
            let size = Some(framing.size());
            ensure!(
                *exchange.path == *format!("/tls/{number}")
                    && exchange.status.map(usize::from) == Some(status(number))
                    && [exchange.request_body, exchange.response_body] == [size; 2],
                "{role:?} {framing:?} {record}: {exchange:?}"
            );
        }
    }
    Ok(())
}
