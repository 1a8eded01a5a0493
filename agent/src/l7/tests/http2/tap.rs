//! What real programs read and write, and what the kernel side tells of it.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use sonde_common::event::http::Direction;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::{PREFACE, Script};

/// Reads and writes, in the order in which they happened.
pub(super) type Tape = Vec<(Direction, Vec<u8>)>;

/// One end of a connection, and the reads and writes on it.
#[derive(Debug)]
pub(super) struct Tap {
    inner: DuplexStream,
    tape: Arc<Mutex<Tape>>,
}

impl Tap {
    pub(super) fn new(inner: DuplexStream) -> (Self, Arc<Mutex<Tape>>) {
        let tape = Arc::default();
        let tap = Self {
            inner,
            tape: Arc::clone(&tape),
        };
        (tap, tape)
    }

    fn note(&self, direction: Direction, bytes: &[u8]) {
        if !bytes.is_empty() {
            let mut tape = self.tape.lock().expect("no panic under the lock");
            tape.push((direction, bytes.to_vec()));
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.note(Direction::Receive, &buffer.filled()[before..]);
        result
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = result {
            self.note(Direction::Send, &bytes[..written]);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl tonic::transport::server::Connected for Tap {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

/// The tape as a script, each read and write cut into pieces of these sizes in turn, and captured
/// whole.
pub(super) fn whole(tape: &Tape, sizes: &[usize]) -> Script {
    let pieces = pieces(tape, sizes);
    pieces.fold(Script::new(1), |script, (direction, bytes)| {
        script.moved(direction, bytes)
    })
}

/// Most that the kernel side captures of one read or write. Longer ones have holes that frames may
/// begin in.
pub(super) const MOST: usize = 16 * 1024;

/// The same as the kernel side captures it.
pub(super) fn captured(tape: &Tape, sizes: &[usize]) -> Script {
    let mut places = [Place::default(), Place::default()];
    places[0].left = Left::Preface(PREFACE.len());
    let pieces = pieces(tape, sizes);
    pieces.fold(Script::new(1), |script, (direction, bytes)| {
        let (skipped, front) = places[direction as usize].take(bytes);
        script
            .capture(front, 0)
            .skipping(skipped)
            .moved(direction, bytes)
    })
}

fn pieces<'a>(tape: &'a Tape, sizes: &'a [usize]) -> impl Iterator<Item = (Direction, &'a [u8])> {
    // The front of a server that speaks first is a whole frame header, by which it is recognised.
    let mut sizes = std::iter::once(64).chain(sizes.iter().copied().cycle());
    tape.iter().flat_map(move |(direction, bytes)| {
        let mut cut = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(usize::MAX).clamp(1, rest.len());
            let (piece, after) = rest.split_at(size);
            cut.push((*direction, piece));
            rest = after;
        }
        cut
    })
}

/// Where one direction is, as far as the kernel side follows it.
#[derive(Debug, Default)]
struct Place {
    left: Left,
    header: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default)]
enum Left {
    #[default]
    Header,
    Preface(usize),
    Data(usize),
    Payload(usize),
}

impl Place {
    /// How many bytes at the front of a read or write are left out, and how many are captured then:
    /// all but the rest of a DATA frame, and at the end the payload of one that goes on, apart from
    /// its first 16 bytes.
    fn take(&mut self, bytes: &[u8]) -> (usize, usize) {
        const PAYLOAD: usize = 16;
        let skipped = match self.left {
            Left::Data(left) => left.min(bytes.len()),
            _ => 0,
        };
        let mut captured = bytes.len() - skipped;
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.left {
                Left::Header => {
                    let used = rest.len().min(9 - self.header.len());
                    self.header.extend(&rest[..used]);
                    at += used;
                    if let [l2, l1, l0, kind, ..] = self.header[..]
                        && self.header.len() == 9
                    {
                        let length = u32::from_be_bytes([0, l2, l1, l0]) as usize;
                        self.header.clear();
                        self.left = match kind {
                            0 => Left::Data(length),
                            _ => Left::Payload(length),
                        };
                        if kind == 0 && length > bytes.len() - at {
                            captured = captured.min(at + PAYLOAD - skipped);
                        }
                    }
                }
                Left::Preface(left) | Left::Data(left) | Left::Payload(left) => {
                    let used = rest.len().min(left);
                    at += used;
                    self.left = match self.left {
                        _ if used == left => Left::Header,
                        Left::Preface(_) => Left::Preface(left - used),
                        Left::Data(_) => Left::Data(left - used),
                        _ => Left::Payload(left - used),
                    };
                }
            }
        }
        // A frame without payload has been left already.
        if let Left::Data(0) | Left::Payload(0) = self.left {
            self.left = Left::Header;
        }
        (skipped, captured.min(MOST))
    }
}
