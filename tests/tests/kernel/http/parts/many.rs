//! Reads and writes of more than can be told at once.

use anyhow::{Result, ensure};
use sonde_tests::frame::{self, WINDOW_UPDATE};

use super::{answer, begin, check, odd, pass, pass_pieces, request};
use crate::{
    child::Workload,
    harness::Test,
    http::{both, framing::in_two},
    observed::Observed,
    tcp::pair,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::parts::a_read_and_a_write_of_many_large_frames",
        run: a_read_and_a_write_of_many_large_frames,
    },
    Test {
        name: "http::parts::a_write_of_many_pieces",
        run: a_write_of_many_pieces,
    },
    Test {
        name: "http::parts::a_write_of_many_small_frames",
        run: a_write_of_many_small_frames,
    },
    Test {
        name: "http::parts::a_frame_that_is_longer_than_what_is_told",
        run: a_frame_that_is_longer_than_what_is_told,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "http2-large",
        run: large,
    },
    Workload {
        name: "http2-small",
        run: small,
    },
    Workload {
        name: "http2-longer",
        run: longer,
    },
];

/// Streams that are answered in [`large`], and the bytes of an answer's body.
const LARGE: u32 = 12;
const BODY: usize = 50_000;

/// Requests, and all of their answers in one write: of one piece, or of a piece for each frame's
/// header and payload.
fn large(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    begin(&mut client, &mut server)?;
    for round in 0..3 {
        let first = 1 + 2 * LARGE * round;
        let streams: Vec<u32> = (0..LARGE).map(|index| first + 2 * index).collect();
        let requests: Vec<u8> = streams
            .iter()
            .flat_map(|stream| [request(*stream, &format!("/large/{stream}"))].concat())
            .collect();
        pass(&mut client, &mut server, &requests)?;
        let answers: Vec<u8> = streams
            .iter()
            .flat_map(|stream| answer(*stream, BODY, 16_384))
            .collect();
        if arguments == ["pieces"] {
            pass_pieces(&mut server, &mut client, &frames(&answers))?;
        } else {
            pass(&mut server, &mut client, &answers)?;
        }
    }
    Ok(())
}

/// Headers and payloads one by one.
fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let (header, rest) = bytes.split_at(9);
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let (payload, rest) = rest.split_at(length);
        pieces.push(header);
        pieces.extend((!payload.is_empty()).then_some(payload));
        bytes = rest;
    }
    pieces
}

fn a_read_and_a_write_of_many_large_frames(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http2-large", &["one"])?;
    check(&exchanges, "/large/", &odd(3 * LARGE), BODY as u64)
}

fn a_write_of_many_pieces(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http2-large", &["pieces"])?;
    check(&exchanges, "/large/", &odd(3 * LARGE), BODY as u64)
}

const SMALL: u32 = 60;

/// Many frames that say little, with requests and answers among them.
fn small(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    begin(&mut client, &mut server)?;
    let window = frame::of(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]);
    let (mut requests, mut answers) = (Vec::new(), Vec::new());
    for stream in odd(SMALL) {
        requests.extend(window.repeat(7));
        requests.extend(request(stream, &format!("/small/{stream}")));
        answers.extend(window.repeat(3));
        answers.extend(answer(stream, 100, 40));
    }
    pass(&mut client, &mut server, &requests)?;
    pass(&mut server, &mut client, &answers)
}

fn a_write_of_many_small_frames(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http2-small", &[])?;
    check(&exchanges, "/small/", &odd(SMALL), 100)
}

/// A frame of a type that nobody knows (RFC 9113 section 4.1), whose rest is more than one part has
/// room for; requests and answers before and behind it.
fn longer(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    begin(&mut client, &mut server)?;
    let unknown = frame::of(0x20, 0, 0, &[0; 62_000]);
    for stream in odd(6) {
        let asked = [&unknown[..], &request(stream, &format!("/longer/{stream}"))].concat();
        in_two(&mut client, &mut server, &asked, 100)?;
        let answered = [&unknown[..], &answer(stream, 30, 10)].concat();
        in_two(&mut server, &mut client, &answered, 100)?;
    }
    Ok(())
}

fn a_frame_that_is_longer_than_what_is_told(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http2-longer", &[])?;
    let malformed = observed.ring.malformed();
    ensure!(
        malformed == 0,
        "{malformed} records that say more than they have"
    );
    check(&exchanges, "/longer/", &odd(6), 30)
}
