//! Bodies and pipelines of any size, however they are cut: sizes are exact, and a body costs a few
//! records.

use std::{
    io::{Read as _, Write as _},
    thread::{self, sleep},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use sonde::l7::exchange::Role;

use self::message::{FRAMINGS, Framing, READS, WAYS, Way, pass, write};
use super::{both, by_role};
use crate::{child::Workload, harness::Test, observed::Observed, observed::Seen, tcp::pair};

mod message;
pub(crate) mod reads;
pub(crate) mod tls;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::bodies::sizes_are_exact_however_they_are_cut",
        run: sizes_are_exact_however_they_are_cut,
    },
    Test {
        name: "http::bodies::a_large_body_is_told_in_few_records",
        run: a_large_body_is_told_in_few_records,
    },
    Test {
        name: "http::bodies::an_answer_to_head_has_no_body",
        run: an_answer_to_head_has_no_body,
    },
    Test {
        name: "http::bodies::fault_06_pipelines_longer_than_what_is_captured_at_once",
        run: fault_06_pipelines_longer_than_what_is_captured_at_once,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "http-bodies",
        run: bodies,
    },
    Workload {
        name: "http-large-body",
        run: large_body,
    },
    Workload {
        name: "http-head-bodies",
        run: head_bodies,
    },
    Workload {
        name: "http-long-pipeline",
        run: long_pipeline,
    },
];

/// Each way of writing a body of each framing, and of reading it.
fn cases() -> impl Iterator<Item = (usize, Framing, Way, usize)> {
    let all = FRAMINGS
        .iter()
        .flat_map(|framing| WAYS.iter().map(move |way| (*framing, *way)))
        .flat_map(|(framing, way)| READS.iter().map(move |read| (framing, way, *read)));
    all.enumerate()
        .map(|(n, (framing, way, read))| (n, framing, way, read))
}

/// Status of the answer in case `number`.
fn status(number: usize) -> usize {
    400 + number % 100
}

fn bodies(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    for (number, framing, way, read) in cases() {
        let asked = framing.message(&format!("POST /bodies/{number} HTTP/1.1"));
        pass(&mut client, &server, &asked, way, read)?;
        let answered = framing.message(&format!("HTTP/1.1 {} X", status(number)));
        pass(&mut server, &client, &answered, way, read)?;
    }
    Ok(())
}

fn sizes_are_exact_however_they_are_cut(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http-bodies", &[])?;
    let mut wrong = Vec::new();
    for role in [Role::Server, Role::Client] {
        let found = by_role(&exchanges, role);
        let missing: Vec<_> = cases()
            .filter(|(number, ..)| {
                let path = format!("/bodies/{number}");
                !found.iter().any(|exchange| *exchange.path == *path)
            })
            .collect();
        ensure!(missing.is_empty(), "{role:?}: {missing:?}");
        for (exchange, (number, framing, way, read)) in found.iter().zip(cases()) {
            ensure!(
                *exchange.path == *format!("/bodies/{number}")
                    && exchange.status.map(usize::from) == Some(status(number))
                    && exchange.failure.is_none(),
                "{role:?} {framing:?} {way:?} {read}: {exchange:?}"
            );
            let sizes = [exchange.request_body, exchange.response_body];
            // Of thousands of pieces not all are looked at.
            let tiny = matches!(
                (framing, way),
                (Framing::Chunks(10, 3_000), Way::Vector | Way::Across)
            );
            let right =
                |size: &Option<u64>| *size == Some(framing.size()) || tiny && size.is_none();
            if !sizes.iter().all(right) {
                let told = observed.told_of(exchange).join("\n  ");
                wrong.push(format!(
                    "{role:?} {framing:?} {way:?} {read}: {sizes:?}\n  {told}"
                ));
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// Bytes of a large body, and of each read and write of it.
const LARGE: usize = 8 << 20;
const PIECE: usize = 16 << 10;

fn large_body(arguments: &[&str]) -> Result<()> {
    let framing = match arguments {
        ["length"] => Framing::Length(LARGE),
        _ => Framing::Chunks(LARGE / 1_024, 1_024),
    };
    let (mut client, mut server) = pair()?;
    for (line, client_writes) in [("PUT /large HTTP/1.1", true), ("HTTP/1.1 200 OK", false)] {
        let (from, to) = if client_writes {
            (&mut client, &server)
        } else {
            (&mut server, &client)
        };
        pass(from, to, &framing.message(line), Way::Pieces(PIECE), PIECE)?;
    }
    Ok(())
}

/// Of a thousand reads and writes only a few are told, and when the last one was.
fn a_large_body_is_told_in_few_records(observed: &mut Observed) -> Result<()> {
    for framing in ["length", "chunks"] {
        observed.forget();
        let pid = observed.run("http-large-body", &[framing])?;
        let told = observed.seen.iter().filter(
            |seen| matches!(seen, Seen::Segment(segment) if segment.tgid == pid && segment.length > 0),
        );
        let told = told.count();
        // Both directions at both ends: the head, and what it ends in. A chunk's size that two
        // reads or writes share is told: each has six bytes of 8 KiB.
        let most = if framing == "length" { 4 * 3 } else { 4 * 10 };
        ensure!(told <= most, "{framing}: {told} records");
        let exchanges = observed.exchanges(pid);
        for role in [Role::Server, Role::Client] {
            let found = by_role(&exchanges, role);
            ensure!(found.len() == 1, "{framing} {role:?}: {}", found.len());
            let sizes = [found[0].request_body, found[0].response_body];
            ensure!(
                sizes == [Some(LARGE as u64); 2],
                "{framing} {role:?}: {sizes:?}"
            );
            let last = observed.seen.iter().filter_map(|seen| match seen {
                Seen::Segment(segment)
                    if segment.connection == found[0].connection && segment.length > 0 =>
                {
                    Some(segment.time)
                }
                _ => None,
            });
            let last = last.max().context("none")?;
            ensure!(found[0].end == last, "{} isn't {last}", found[0].end);
        }
    }
    Ok(())
}

/// Rounds of [`head_bodies`].
const ROUNDS: usize = 20;

/// Answers to HEAD that look as if a body came.
fn head_bodies(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    for number in 0..ROUNDS {
        for (method, framing) in [
            ("HEAD", "Content-Length: 1000000"),
            ("HEAD", "Transfer-Encoding: chunked"),
        ] {
            let asked = format!("{method} /head/{number} HTTP/1.1\r\nHost: h\r\n\r\n");
            let pieces = [asked.into_bytes()];
            pass(&mut client, &server, &pieces, Way::Whole, 65_536)?;
            let answered = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
            let pieces = [answered.into_bytes()];
            pass(&mut server, &client, &pieces, Way::Whole, 65_536)?;
            let asked = format!("GET /get/{number} HTTP/1.1\r\nHost: h\r\n\r\n");
            let pieces = [asked.into_bytes()];
            pass(&mut client, &server, &pieces, Way::Whole, 65_536)?;
            let answered = Framing::Length(3_000).message("HTTP/1.1 200 OK");
            pass(&mut server, &client, &answered, Way::Pieces(2_000), 2_000)?;
        }
    }
    Ok(())
}

fn an_answer_to_head_has_no_body(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http-head-bodies", &[])?;
    for role in [Role::Server, Role::Client] {
        let found = by_role(&exchanges, role);
        ensure!(found.len() == 4 * ROUNDS, "{role:?}: {}", found.len());
        for exchange in found {
            let expected = if exchange.path.starts_with("/head/") {
                0
            } else {
                3_000
            };
            ensure!(
                exchange.response_body == Some(expected) && exchange.status == Some(200),
                "{role:?}: {exchange:?}"
            );
        }
    }
    Ok(())
}

const PIPELINED: usize = 50;

/// All requests in one write and all answers in one, with so many bytes each, read at once.
fn long_pipeline(arguments: &[&str]) -> Result<()> {
    let sizes: Vec<usize> = arguments
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let (mut client, mut server) = pair()?;
    let filler = "f".repeat(sizes[0]);
    let requests = (0..PIPELINED)
        .flat_map(|n| format!("GET /p/{n} HTTP/1.1\r\nX: {filler}\r\n\r\n").into_bytes())
        .collect::<Vec<u8>>();
    let answers = (0..PIPELINED)
        .flat_map(|n| Framing::Length(sizes[1]).message(&format!("HTTP/1.1 {} X", status(n))))
        .collect::<Vec<_>>();
    client.write_all(&requests)?;
    sleep(Duration::from_millis(10));
    server.read_exact(&mut vec![0; requests.len()])?;
    // So that a read finds as much as the socket holds.
    let mut reader = client.try_clone()?;
    let total = answers.iter().map(Vec::len).sum();
    let thread = thread::spawn(move || {
        sleep(Duration::from_millis(30));
        reader.read_exact(&mut vec![0; total])
    });
    write(&mut server, &answers, Way::Whole)?;
    Ok(thread.join().ok().context("the reader's thread")??)
}

/// Up to some hundred kilobytes all are told. Beyond, what isn't told is counted; none is mixed up.
fn fault_06_pipelines_longer_than_what_is_captured_at_once(observed: &mut Observed) -> Result<()> {
    for (asked, answered, all) in [
        ("10", "1024", true),
        ("300", "1024", true),
        ("900", "100", true),
        ("10", "5000", true),
        ("10", "60000", false),
    ] {
        observed.forget();
        let pid = observed.run("http-long-pipeline", &[asked, answered])?;
        let mut exchanges = Vec::new();
        let connections = observed.follow(|exchange| {
            if exchange.tgid == pid {
                exchanges.push(exchange.clone());
            }
        });
        let counters = connections.counters();
        ensure!(
            counters.requests
                == counters.exchanges + counters.dropped_in_all() + connections.in_flight() as u64,
            "{counters:?}"
        );
        for role in [Role::Server, Role::Client] {
            let found = by_role(&exchanges, role);
            ensure!(
                !all || found.len() == PIPELINED,
                "{asked} {answered} {role:?}: {} told, {counters:?}",
                found.len()
            );
            for exchange in found {
                let number: usize = exchange.path.trim_start_matches("/p/").parse()?;
                ensure!(
                    exchange.status.map(usize::from) == Some(status(number)),
                    "{role:?}: {exchange:?}"
                );
                let size = exchange.response_body.map(|size| size.to_string());
                ensure!(size.as_deref() == Some(answered), "{role:?}: {exchange:?}");
            }
        }
    }
    Ok(())
}
