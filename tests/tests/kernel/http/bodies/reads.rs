//! Bodies whose reads end anywhere: within a head, its first bytes, or the line of a chunk's size.

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sonde::l7::exchange::Role;

use sonde_common::event::http::{BUDGET, CAPTURE_BODY, Direction, SPLIT_BUDGET, TAIL};

use super::{
    message::{Framing, Way, pass, pass_in},
    status,
};
use crate::{
    child::Workload,
    harness::Test,
    http::{both, by_role},
    observed::{Observed, Seen},
    tcp::pair,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::bodies::sizes_are_exact_however_they_are_read",
        run: sizes_are_exact_however_they_are_read,
    },
    Test {
        name: "http::bodies::sizes_are_exact_where_first_reads_have_ended_badly",
        run: sizes_are_exact_where_first_reads_have_ended_badly,
    },
    Test {
        name: "http::bodies::sizes_are_exact_where_requests_look_like_answers",
        run: sizes_are_exact_where_requests_look_like_answers,
    },
    Test {
        name: "http::bodies::little_is_captured_behind_a_cut_head",
        run: little_is_captured_behind_a_cut_head,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "http-bodies-in-reads",
        run: bodies_in_reads,
    },
    Workload {
        name: "http-bodies-with-first-reads",
        run: bodies_with_first_reads,
    },
    Workload {
        name: "http-bodies-of-cut-requests",
        run: bodies_of_cut_requests,
    },
    Workload {
        name: "http-body-behind-a-cut-head",
        run: body_behind_a_cut_head,
    },
];

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

/// Where first reads of requests end, counted from the line's end, and how many bytes the second
/// ones have: before the version and "Host", which begin as an answer does.
const CUTS: [(isize, usize); 7] = [
    (-10, 600),
    (-10, 8),
    (-10, 1),
    (-9, 600),
    (0, 600),
    (0, 1),
    (1, 600),
];

fn bodies_of_cut_requests(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    for (number, (end, second)) in CUTS.iter().enumerate() {
        let line = format!("POST /reads/{number} HTTP/1.1");
        let asked = SMALL[0].message(&line);
        let first = (line.len() + 2).checked_add_signed(*end);
        let mut sizes = first.into_iter().chain([*second]);
        pass_in(&mut client, &mut server, &asked, || {
            sizes.next().unwrap_or(600)
        })?;
        let answered = Framing::Length(0).message(&format!("HTTP/1.1 {} X", status(number)));
        pass_in(&mut server, &mut client, &answered, || READ)?;
    }
    Ok(())
}

fn sizes_are_exact_where_requests_look_like_answers(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http-bodies-of-cut-requests", &[])?;
    let sizes: Vec<_> = by_role(&exchanges, Role::Server)
        .iter()
        .map(|exchange| exchange.request_body)
        .collect();
    ensure!(sizes == [Some(SMALL[0].size()); CUTS.len()], "{sizes:?}");
    Ok(())
}

/// Where first reads of answers end, counted from the end of the head: within its first bytes, in
/// the middle of several heads, and around the line behind the 32nd chunk, as many as are looked at.
const ENDS: [isize; 13] = [
    -54, -47, -40, -30, 0, 479, 480, 481, 482, 483, 484, 485, 486,
];
/// Size of the other reads.
const READ: usize = 4_096;

fn bodies_with_first_reads(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    for (number, end) in ENDS.iter().enumerate() {
        let asked = Framing::Length(0).message(&format!("GET /reads/{number} HTTP/1.1"));
        pass_in(&mut client, &mut server, &asked, || READ)?;
        let answered = SMALL[0].message(&format!("HTTP/1.1 {} X", status(number)));
        let mut first = answered[0].len().checked_add_signed(*end);
        pass_in(&mut server, &mut client, &answered, || {
            first.take().unwrap_or(READ)
        })?;
    }
    Ok(())
}

fn sizes_are_exact_where_first_reads_have_ended_badly(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http-bodies-with-first-reads", &[])?;
    let sizes: Vec<_> = by_role(&exchanges, Role::Client)
        .iter()
        .map(|exchange| exchange.response_body)
        .collect();
    ensure!(sizes == [Some(SMALL[0].size()); ENDS.len()], "{sizes:?}");
    Ok(())
}

/// Bytes of a body that is written [`READ`] bytes at a time, and what may be captured of it: of a
/// message whose head is cut, of any other one, and of each write.
const LARGE: usize = 2 << 20;
const CAPTURED: usize =
    SPLIT_BUDGET as usize + BUDGET as usize + LARGE / READ * (CAPTURE_BODY + TAIL);

fn body_behind_a_cut_head(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    let asked = Framing::Length(0).message("GET /large HTTP/1.1");
    pass_in(&mut client, &mut server, &asked, || READ)?;
    let answered = Framing::Length(LARGE).message("HTTP/1.1 200 OK");
    let (first, rest) = answered[0].split_at(20);
    let mut pieces = vec![first.to_vec(), rest.to_vec()];
    // Not letters, which might begin a request.
    pieces.resize(2 + LARGE / READ, vec![b'0'; READ]);
    pass(&mut server, &client, &pieces, Way::OneByOne, READ)
}

fn little_is_captured_behind_a_cut_head(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http-body-behind-a-cut-head", &[])?;
    let sizes: Vec<_> = exchanges
        .iter()
        .map(|exchange| exchange.response_body)
        .collect();
    ensure!(sizes == [Some(LARGE as u64); 2], "{sizes:?}");
    let captured: usize = observed
        .seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Segment(segment)
                if segment.tgid == exchanges[0].tgid && segment.direction == Direction::Send =>
            {
                Some(segment.head.len() + segment.tail.len())
            }
            _ => None,
        })
        .sum();
    ensure!(captured <= CAPTURED, "{captured} bytes, of {CAPTURED}");
    Ok(())
}
