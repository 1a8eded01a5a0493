//! HTTP/2 on the wire: reads and writes of which only a part can be told at once, and frames whose
//! headers are cut.

use std::{
    io::{IoSlice, Read as _, Write as _},
    net::TcpStream,
    thread::sleep,
    time::Duration,
};

use anyhow::{Result, ensure};
use sonde::l7::exchange::{Exchange, Role};
use sonde_common::fault::Fault;

use super::{both, by_role, framing::in_two};
use crate::{child::Workload, harness::Test, observed::Observed, tcp::pair};

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
    Test {
        name: "http::parts::frames_that_are_cut_anywhere",
        run: frames_that_are_cut_anywhere,
    },
    Test {
        name: "http::parts::frames_behind_a_preface_that_is_cut_anywhere",
        run: frames_behind_a_preface_that_is_cut_anywhere,
    },
    Test {
        name: "http::parts::frames_behind_an_upgrade",
        run: frames_behind_an_upgrade,
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
    Workload {
        name: "http2-cut",
        run: cut,
    },
    Workload {
        name: "http2-preface",
        run: preface,
    },
    Workload {
        name: "http2-upgrade",
        run: upgrade,
    },
];

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// RFC 9113 section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[])
}

/// A path that goes into the dynamic table, so that a block that is missed shows later.
fn request(stream: u32, path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x44, u8::try_from(path.len()).expect("short")];
    block.extend(path.bytes());
    frame(1, END_HEADERS | END_STREAM, stream, &block)
}

/// A request whose path is the newest entry of the table.
fn request_again(stream: u32) -> Vec<u8> {
    frame(1, END_HEADERS | END_STREAM, stream, &[0x82, 0x86, 0xbe])
}

/// An answer with a body of so many bytes, in frames of at most `most`.
fn answer(stream: u32, body: usize, most: usize) -> Vec<u8> {
    let status = format!("{}", 200 + stream % 100);
    let mut block = vec![0x48, 3];
    block.extend(status.bytes());
    let mut bytes = frame(1, END_HEADERS, stream, &block);
    let body = vec![b'x'; body];
    for piece in body.chunks(most) {
        bytes.extend(frame(0, 0, stream, piece));
    }
    bytes.extend(frame(0, END_STREAM, stream, &[]));
    bytes
}

fn begin(client: &mut TcpStream, server: &mut TcpStream) -> Result<()> {
    pass(client, server, &[PREFACE, &settings()].concat())?;
    pass(server, client, &settings())
}

/// Written at once, and read at once.
fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    pass_pieces(from, to, &[bytes])
}

fn pass_pieces(from: &mut TcpStream, to: &mut TcpStream, pieces: &[&[u8]]) -> Result<()> {
    let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let total: usize = pieces.iter().map(|piece| piece.len()).sum();
    let reader = to.try_clone()?;
    let thread = std::thread::spawn(move || {
        let mut reader = reader;
        // So that one read finds as much as the socket holds.
        sleep(Duration::from_millis(30));
        let mut buffer = vec![0; total];
        let mut have = 0;
        while have < total {
            have += reader.read(&mut buffer[have..])?;
        }
        std::io::Result::Ok(())
    });
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        let written = from.write_vectored(rest)?;
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(thread.join().expect("the reader")?)
}

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

fn check(exchanges: &[Exchange], prefix: &str, streams: &[u32], body: u64) -> Result<()> {
    for role in [Role::Server, Role::Client] {
        let found = by_role(exchanges, role);
        let count = found.len();
        ensure!(
            count == streams.len(),
            "{role:?}: {count} of {}",
            streams.len()
        );
        for stream in streams {
            let path = format!("{prefix}{stream}");
            let mut here = found.iter().filter(|exchange| *exchange.path == path);
            let (Some(exchange), None) = (here.next(), here.next()) else {
                let paths: Vec<_> = found.iter().map(|exchange| &exchange.path).collect();
                anyhow::bail!("{role:?}: not once {path}: {paths:?}");
            };
            let expected = u16::try_from(200 + stream % 100)?;
            ensure!(
                exchange.status == Some(expected),
                "{role:?} {path}: {:?}",
                exchange.status
            );
            let told = exchange.response_body;
            ensure!(
                told == Some(body),
                "{role:?} {path}: {told:?} of {body} bytes"
            );
            ensure!(
                exchange.failure.is_none(),
                "{role:?} {path}: {:?}",
                exchange.failure
            );
        }
    }
    Ok(())
}

fn odd(count: u32) -> Vec<u32> {
    (0..count).map(|index| 1 + 2 * index).collect()
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
    let window = frame(8, 0, 0, &[0, 0, 1, 0]);
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
    let unknown = frame(0x20, 0, 0, &[0; 62_000]);
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

/// A request and its answer cut in two at every offset, and byte by byte.
fn cut(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    begin(&mut client, &mut server)?;
    for stream in odd(60) {
        let offset = usize::try_from(stream)? / 2;
        let asked = request(stream, &format!("/cut/{stream}"));
        let answered = answer(stream, 30, 10);
        in_two(&mut client, &mut server, &asked, offset % asked.len())?;
        in_two(&mut server, &mut client, &answered, offset % answered.len())?;
    }
    let stream = 121;
    for byte in request(stream, &format!("/cut/{stream}")) {
        in_two(&mut client, &mut server, &[byte], 0)?;
    }
    for byte in answer(stream, 30, 10) {
        in_two(&mut server, &mut client, &[byte], 0)?;
    }
    Ok(())
}

fn frames_that_are_cut_anywhere(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http2-cut", &[])?;
    check(&exchanges, "/cut/", &odd(61), 30)
}

/// Where the preface ends must be known: what follows it is read as a frame's header.
fn preface(_: &[&str]) -> Result<()> {
    for at in 1..PREFACE.len() {
        let (mut client, mut server) = pair()?;
        in_two(
            &mut client,
            &mut server,
            &[PREFACE, &settings()].concat(),
            at,
        )?;
        pass(&mut server, &mut client, &settings())?;
        let asked = request(1, &format!("/preface/{at}"));
        pass(&mut client, &mut server, &asked)?;
        // Of HTTP/1.x not all of it would be told.
        pass(&mut server, &mut client, &answer(1, 9_000, 3_000))?;
    }
    Ok(())
}

fn frames_behind_a_preface_that_is_cut_anywhere(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http2-preface", &[])?;
    for role in [Role::Server, Role::Client] {
        let mut told: Vec<_> = by_role(&exchanges, role)
            .iter()
            .map(|exchange| (exchange.path.to_string(), exchange.status))
            .collect();
        let mut expected: Vec<_> = (1..PREFACE.len())
            .map(|at| (format!("/preface/{at}"), Some(201)))
            .collect();
        told.sort();
        expected.sort();
        ensure!(told == expected, "{role:?}: {told:?}");
    }
    Ok(())
}

/// The first request in HTTP/1.1; then a preface with more behind it than is told of a body.
fn upgrade(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    let asked = b"GET /up/1 HTTP/1.1\r\nHost: up\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                  Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    pass(&mut client, &mut server, asked)?;
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let first = [&switch[..], &settings(), &answer(1, 3000, 1000)].concat();
    pass(&mut server, &mut client, &first)?;
    let mut bytes = [PREFACE, &settings()].concat();
    bytes.extend(frame(8, 0, 0, &[0, 0, 1, 0]).repeat(8));
    bytes.extend(request(3, "/up/3"));
    pass(&mut client, &mut server, &bytes)?;
    pass(&mut server, &mut client, &answer(3, 3000, 1000))?;
    pass(&mut client, &mut server, &request_again(5))?;
    pass(&mut server, &mut client, &answer(5, 3000, 1000))
}

fn frames_behind_an_upgrade(observed: &mut Observed) -> Result<()> {
    let lost = observed.faults(Fault::PayloadUnreadable)?;
    let exchanges = both(observed, "http2-upgrade", &[])?;
    for role in [Role::Server, Role::Client] {
        let found = by_role(&exchanges, role);
        let told: Vec<_> = found
            .iter()
            .map(|exchange| (&*exchange.path, exchange.status, exchange.response_body))
            .collect();
        let expected = [
            ("/up/1", Some(201), Some(3000)),
            ("/up/3", Some(203), Some(3000)),
            ("/up/3", Some(205), Some(3000)),
        ];
        ensure!(told == expected, "{role:?}: {told:?}");
    }
    let lost = observed.faults(Fault::PayloadUnreadable)? - lost;
    ensure!(
        lost == 0,
        "{lost} reads and writes that couldn't be looked at"
    );
    Ok(())
}
