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
use sonde_tests::frame::{self, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, settings};

use super::by_role;

pub(crate) mod cut;
pub(crate) mod many;

/// A path that goes into the dynamic table, so that a block that is missed shows later.
fn request(stream: u32, path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x44, u8::try_from(path.len()).expect("short")];
    block.extend(path.bytes());
    frame::of(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// An answer with a body of so many bytes, in frames of at most `most`.
fn answer(stream: u32, body: usize, most: usize) -> Vec<u8> {
    let status = format!("{}", 200 + stream % 100);
    let mut block = vec![0x48, 3];
    block.extend(status.bytes());
    let mut bytes = frame::of(HEADERS, END_HEADERS, stream, &block);
    let body = vec![b'x'; body];
    for piece in body.chunks(most) {
        bytes.extend(frame::of(DATA, 0, stream, piece));
    }
    bytes.extend(frame::of(DATA, END_STREAM, stream, &[]));
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

fn odd(count: u32) -> Vec<u32> {
    (0..count).map(|index| 1 + 2 * index).collect()
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
