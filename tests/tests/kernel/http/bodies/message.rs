//! Messages with bodies, and the ways of writing them.

use std::{
    io::{IoSlice, Read as _, Write as _},
    net::TcpStream,
    thread,
};

use anyhow::{Context as _, Result, ensure};

/// How a body is framed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Framing {
    Length(usize),
    /// Size and number of the chunks.
    Chunks(usize, usize),
}

/// How a message is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Whole,
    HeadFirst,
    /// So many bytes at once.
    Pieces(usize),
    /// Head, lines and data one by one.
    OneByOne,
    /// The same in one call.
    Vector,
    /// In one call, each piece with the first bytes of the next, as Node.js writes the first chunk.
    Across,
}

pub(super) const FRAMINGS: &[Framing] = &[
    Framing::Length(0),
    Framing::Length(1),
    Framing::Length(900),
    Framing::Length(1_100),
    Framing::Length(70_000),
    Framing::Length(1_000_000),
    Framing::Chunks(1, 0),
    Framing::Chunks(1, 5),
    Framing::Chunks(10, 3_000),
    Framing::Chunks(100, 50),
    Framing::Chunks(1_000, 100),
    Framing::Chunks(4_096, 64),
    Framing::Chunks(16_384, 10),
    Framing::Chunks(300_000, 3),
];

pub(super) const WAYS: &[Way] = &[
    Way::Whole,
    Way::HeadFirst,
    Way::Pieces(1_301),
    Way::Pieces(65_536),
    Way::OneByOne,
    Way::Vector,
    Way::Across,
];

/// Sizes of reads.
pub(super) const READS: &[usize] = &[1_200, 4_096, 65_536];

impl Framing {
    pub(super) fn size(self) -> u64 {
        match self {
            Self::Length(size) => size as u64,
            Self::Chunks(size, count) => (size * count) as u64,
        }
    }

    /// The message with this first line, head and body in the pieces that it is made of.
    pub(super) fn message(self, line: &str) -> Vec<Vec<u8>> {
        let head = |field: &str| format!("{line}\r\nHost: bodies\r\n{field}\r\n\r\n").into_bytes();
        match self {
            Self::Length(size) => {
                vec![head(&format!("content-length: {size}")), vec![b'x'; size]]
            }
            Self::Chunks(size, count) => {
                let mut pieces = vec![head("Transfer-Encoding: chunked")];
                for _ in 0..count {
                    pieces.push(format!("{size:x}\r\n").into_bytes());
                    pieces.push(vec![b'0'; size]);
                    pieces.push(b"\r\n".to_vec());
                }
                pieces.push(b"0\r\n\r\n".to_vec());
                pieces
            }
        }
    }
}

pub(super) fn write(to: &mut TcpStream, pieces: &[Vec<u8>], way: Way) -> Result<()> {
    match way {
        Way::Whole => to.write_all(&pieces.concat())?,
        Way::HeadFirst => {
            to.write_all(&pieces[0])?;
            to.write_all(&pieces[1..].concat())?;
        }
        Way::Pieces(size) => {
            for piece in pieces.concat().chunks(size) {
                to.write_all(piece)?;
            }
        }
        Way::OneByOne => {
            for piece in pieces {
                to.write_all(piece)?;
            }
        }
        Way::Vector => write_vector(to, pieces)?,
        Way::Across => {
            let mut pieces = pieces.to_vec();
            for next in 1..pieces.len() {
                let count = pieces[next].len().min(2);
                let moved: Vec<u8> = pieces[next].drain(..count).collect();
                pieces[next - 1].extend(moved);
            }
            write_vector(to, &pieces)?;
        }
    }
    Ok(())
}

fn write_vector(to: &mut TcpStream, pieces: &[Vec<u8>]) -> Result<()> {
    let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        let written = to.write_vectored(rest)?;
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

pub(super) fn pass(
    from: &mut TcpStream,
    to: &TcpStream,
    pieces: &[Vec<u8>],
    way: Way,
    read: usize,
) -> Result<()> {
    let total: usize = pieces.iter().map(Vec::len).sum();
    let mut reader = to.try_clone()?;
    let thread = thread::spawn(move || -> Result<()> {
        let mut buffer = vec![0; read];
        let mut left = total;
        while left > 0 {
            let count = reader.read(&mut buffer[..read.min(left)])?;
            ensure!(count > 0, "the end, within a message");
            left -= count;
        }
        Ok(())
    });
    write(from, pieces, way)?;
    thread.join().ok().context("the reader's thread")?
}

/// Passes a message that is written whole, and read in pieces of these sizes.
pub(super) fn pass_in(
    from: &mut TcpStream,
    to: &mut TcpStream,
    pieces: &[Vec<u8>],
    mut size: impl FnMut() -> usize,
) -> Result<()> {
    let bytes = pieces.concat();
    from.write_all(&bytes)?;
    let mut left = bytes.len();
    while left > 0 {
        let mut buffer = vec![0; size().min(left)];
        let count = to.read(&mut buffer)?;
        ensure!(count > 0, "the end, within a message");
        left -= count;
    }
    Ok(())
}
