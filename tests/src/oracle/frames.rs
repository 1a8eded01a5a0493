//! An HTTP/2 connection of the generator's that notes when its streams begin and end: by the frames
//! (RFC 9113 section 4.1) as they are written and read, for the client of the h2 crate has queues
//! of its own before and behind.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    clock::{Came, Moment, Took},
    splitting::Io,
    wire::Last,
};
use crate::frame::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE};

/// Streams under way, and those that nobody has asked for since.
#[derive(Clone, Default)]
pub(super) struct Times(Arc<Mutex<HashMap<u32, Stream>>>);

#[derive(Clone, Copy)]
struct Stream {
    began: Moment,
    ended: Option<Came>,
}

impl Times {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Stream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a stream took whose end has been read.
    pub(super) fn take(&self, stream: u32) -> Result<Took> {
        let times = self.lock().remove(&stream);
        let stream = times.context("a stream that wasn't begun")?;
        let ended = stream.ended.context("a stream without an end")?;
        Ok(ended.after(stream.began))
    }
}

/// The connection.
pub(super) struct Frames {
    io: Io,
    last: Last,
    times: Times,
    written: Follower<Moment>,
    read: Follower<Came>,
    /// A stream whose end stands in a head that is continued.
    ending: bool,
}

impl Frames {
    /// Around a connection whose last bytes came to a socket when `last` says.
    pub(super) fn new(io: Io, last: Last) -> Self {
        Self {
            io,
            last,
            times: Times::default(),
            written: Follower::behind(PREFACE.len()),
            read: Follower::behind(0),
            ending: false,
        }
    }

    pub(super) fn times(&self) -> Times {
        self.times.clone()
    }

    fn note_read(&mut self, bytes: &[u8]) {
        let came = Came {
            arrived: self.last.came().arrived,
            ..Came::now()
        };
        let mut streams = self.times.lock();
        self.read.follow(bytes, came, |frame| {
            let ends = match frame.kind {
                CONTINUATION => self.ending,
                _ => frame.may_end() && frame.flags & END_STREAM != 0,
            };
            let whole = !frame.is_head() || frame.flags & END_HEADERS != 0;
            self.ending = ends && !whole;
            if ends
                && whole
                && let Some(stream) = streams.get_mut(&frame.stream)
            {
                stream.ended = Some(frame.last);
            }
        });
    }

    fn note_written(&mut self, bytes: &[u8], now: Moment) {
        let mut streams = self.times.lock();
        self.written.follow(bytes, now, |frame| {
            if frame.kind == HEADERS {
                streams.entry(frame.stream).or_insert(Stream {
                    began: frame.first,
                    ended: None,
                });
            }
        });
    }
}

impl AsyncRead for Frames {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        self.note_read(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Frames {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let now = Moment::now();
        let count = ready!(Pin::new(&mut self.io).poll_write(context, bytes))?;
        self.note_written(&bytes[..count], now);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// A frame, with what is known of its first and its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame<T> {
    kind: u8,
    flags: u8,
    stream: u32,
    first: T,
    last: T,
}

impl<T> Frame<T> {
    const fn is_head(&self) -> bool {
        matches!(self.kind, HEADERS | CONTINUATION)
    }

    /// Whether [`END_STREAM`] means that.
    const fn may_end(&self) -> bool {
        matches!(self.kind, DATA | HEADERS)
    }
}

/// Finds the frames in one direction.
struct Follower<T> {
    /// Bytes before the first frame.
    before: usize,
    header: [u8; 9],
    have: usize,
    /// Bytes of the payload that are to come.
    left: usize,
    first: Option<T>,
}

impl<T: Copy> Follower<T> {
    const fn behind(before: usize) -> Self {
        Self {
            before,
            header: [0; 9],
            have: 0,
            left: 0,
            first: None,
        }
    }

    /// Follows bytes that moved at one time.
    fn follow(&mut self, mut bytes: &[u8], time: T, mut each: impl FnMut(Frame<T>)) {
        bytes = &bytes[passed(&mut self.before, bytes)..];
        while let Some((byte, rest)) = bytes.split_first() {
            if self.have < self.header.len() {
                self.first.get_or_insert(time);
                self.header[self.have] = *byte;
                self.have += 1;
                bytes = rest;
                let [a, b, c, ..] = self.header;
                self.left = u32::from_be_bytes([0, a, b, c]) as usize;
            }
            if self.have == self.header.len() {
                bytes = &bytes[passed(&mut self.left, bytes)..];
                if self.left == 0 {
                    each(self.frame(time));
                    self.have = 0;
                    self.first = None;
                }
            }
        }
    }

    fn frame(&self, last: T) -> Frame<T> {
        let [_, _, _, kind, flags, a, b, c, d] = self.header;
        Frame {
            kind,
            flags,
            stream: u32::from_be_bytes([a & 0x7f, b, c, d]),
            first: self.first.unwrap_or(last),
            last,
        }
    }
}

/// How many bytes are among those that are to be passed over.
fn passed(left: &mut usize, bytes: &[u8]) -> usize {
    let count = bytes.len().min(*left);
    *left -= count;
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    #[test]
    fn frames_are_found_wherever_reads_are_cut() {
        let mut bytes = PREFACE.to_vec();
        for (kind, payload) in [(4, &b""[..]), (1, b"head"), (0, b"some data"), (0, b"")] {
            bytes.extend(frame::of(kind, 1, 3, payload));
        }
        for size in 1..bytes.len() {
            let mut follower = Follower::behind(PREFACE.len());
            let mut found = Vec::new();
            for (number, part) in bytes.chunks(size).enumerate() {
                follower.follow(part, number, |frame| found.push(frame));
            }
            let at = |position: usize| position / size;
            let expected = [(4, 24, 33), (1, 33, 46), (0, 46, 64), (0, 64, 73)];
            let expected = expected.map(|(kind, first, end)| Frame {
                kind,
                flags: 1,
                stream: 3,
                first: at(first),
                last: at(end - 1),
            });
            assert_eq!(found, expected, "cut every {size} bytes");
        }
    }
}
