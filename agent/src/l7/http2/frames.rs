//! One direction's bytes to frames.
//!
//! Bytes come in [`Chunk`]s: seen, or missed. Where frames begin and end follows from their headers
//! alone, so what is missed within a payload leaves the frames around it as they are. Where a
//! header was missed, no frame is known from there on: [`Frames`] is lost until the front of a later
//! read or write looks like frames.

mod data;

use super::{
    chunk::{Bytes, Chunk, Origin, Step, length},
    frame::{FrameHeader, HEADER, Kind, MAX_FRAME, PREFACE, are_frames, flag},
};
use crate::l7::stream::Buffers;

/// One direction's place among its frames.
#[derive(Debug)]
pub(super) struct Frames {
    state: State,
    /// Where the present frame began.
    origin: Origin,
    /// A payload that came in parts so far.
    kept: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// So many bytes of the connection preface were there.
    Preface(usize),
    /// So many bytes of a frame header were there.
    Header(usize, [u8; HEADER]),
    /// A DATA frame, before the length of its padding.
    PadLength(FrameHeader),
    Data {
        header: FrameHeader,
        left: u32,
        padding: u32,
    },
    /// Padding, or the payload of a frame that doesn't matter.
    Skip(u32),
    /// A payload that is wanted whole; `broken` when a part of it was missed.
    Whole {
        header: FrameHeader,
        left: u32,
        broken: bool,
    },
    Lost,
}

impl Frames {
    const fn new(state: State) -> Self {
        Self {
            state,
            origin: Origin {
                time: 0,
                tgid: 0,
                queued: None,
                tcp: None,
            },
            kept: Vec::new(),
        }
    }

    /// The connection preface comes first, of which so many bytes were there already.
    pub(super) const fn after_preface(bytes: usize) -> Self {
        Self::new(State::Preface(bytes))
    }

    /// A frame comes first.
    pub(super) const fn at_boundary() -> Self {
        Self::new(State::BOUNDARY)
    }

    /// Nothing is known of what comes first.
    pub(super) const fn lost() -> Self {
        Self::new(State::Lost)
    }

    pub(super) const fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost)
    }

    /// Takes up frames again where these bytes, the front of a read or write, look like some of at
    /// most `longest` bytes.
    pub(super) fn resume(&mut self, bytes: &[u8], longest: u32) -> bool {
        if bytes.starts_with(PREFACE) {
            self.state = State::Preface(0);
        } else if are_frames(bytes, longest.max(MAX_FRAME)) {
            self.state = State::BOUNDARY;
        }
        !self.is_lost()
    }

    /// Lets go of a payload that isn't whole.
    pub(super) fn release(&mut self, buffers: &mut Buffers) {
        buffers.used -= self.kept.len();
        self.kept = Vec::new();
    }

    fn lose<'a>(&mut self, buffers: &mut Buffers) -> Step<'a> {
        self.release(buffers);
        self.state = State::Lost;
        Step::Lost
    }

    /// Reads from the front of `chunk`, which has come as `origin` says: what that gave, and the
    /// rest.
    pub(super) fn read<'a>(
        &mut self,
        chunk: Chunk<'a>,
        origin: Origin,
        buffers: &mut Buffers,
    ) -> (Step<'a>, Chunk<'a>) {
        match self.state {
            State::Lost => (Step::More, Chunk::Seen(&[])),
            State::Preface(had) => self.read_preface(had, chunk, buffers),
            State::Header(had, header) => self.read_header(had, header, chunk, origin, buffers),
            State::PadLength(header) => self.read_pad_length(header, chunk),
            State::Data {
                header,
                left,
                padding,
            } => self.read_data(header, left, padding, chunk),
            State::Skip(left) => {
                let (front, rest) = chunk.split(left.into());
                self.skip(left - length(front));
                (Step::More, rest)
            }
            State::Whole {
                header,
                left,
                broken,
            } => {
                let (front, rest) = chunk.split(left.into());
                let left = left - length(front);
                (self.read_whole(header, left, broken, front, buffers), rest)
            }
        }
    }

    fn read_preface<'a>(
        &mut self,
        had: usize,
        chunk: Chunk<'a>,
        buffers: &mut Buffers,
    ) -> (Step<'a>, Chunk<'a>) {
        let left = PREFACE.get(had..).unwrap_or_default();
        let (front, rest) = chunk.split(left.len() as u64);
        let Chunk::Seen(bytes) = front else {
            return (self.lose(buffers), Chunk::Seen(&[]));
        };
        if !left.starts_with(bytes) {
            self.lose(buffers);
            return (Step::NoPreface, Chunk::Seen(&[]));
        }
        self.state = if bytes.len() == left.len() {
            State::BOUNDARY
        } else {
            State::Preface(had + bytes.len())
        };
        (Step::More, rest)
    }

    fn read_header<'a>(
        &mut self,
        had: usize,
        mut header: [u8; HEADER],
        chunk: Chunk<'a>,
        origin: Origin,
        buffers: &mut Buffers,
    ) -> (Step<'a>, Chunk<'a>) {
        if had == 0 {
            self.origin = origin;
        }
        let (front, rest) = chunk.split((HEADER - had) as u64);
        let Chunk::Seen(bytes) = front else {
            return (self.lose(buffers), Chunk::Seen(&[]));
        };
        for (place, byte) in header.iter_mut().skip(had).zip(bytes) {
            *place = *byte;
        }
        let had = had + bytes.len();
        if had < HEADER {
            self.state = State::Header(had, header);
            return (Step::More, rest);
        }
        let header = FrameHeader::read(header);
        if !header.is_sound() {
            return (self.lose(buffers), Chunk::Seen(&[]));
        }
        self.begin(header, rest, buffers)
    }

    /// A frame's payload begins with `chunk`.
    fn begin<'a>(
        &mut self,
        header: FrameHeader,
        chunk: Chunk<'a>,
        buffers: &mut Buffers,
    ) -> (Step<'a>, Chunk<'a>) {
        match header.kind {
            Kind::Data if header.has(flag::PADDED) && header.length > 0 => {
                self.state = State::PadLength(header);
                (Step::More, chunk)
            }
            Kind::Data => self.read_data(header, header.length, 0, chunk),
            Kind::Priority | Kind::Ping | Kind::WindowUpdate | Kind::Other(_) => {
                self.skip(header.length);
                (Step::More, chunk)
            }
            Kind::Headers
            | Kind::ResetStream
            | Kind::Settings
            | Kind::PushPromise
            | Kind::GoAway
            | Kind::Continuation => {
                let (front, rest) = chunk.split(header.length.into());
                let left = header.length - length(front);
                (self.read_whole(header, left, false, front, buffers), rest)
            }
        }
    }

    fn skip(&mut self, left: u32) {
        self.state = match left {
            0 => State::BOUNDARY,
            left => State::Skip(left),
        };
    }

    /// Takes `chunk` of a payload of which `left` bytes follow.
    fn read_whole<'a>(
        &mut self,
        header: FrameHeader,
        left: u32,
        broken: bool,
        chunk: Chunk<'a>,
        buffers: &mut Buffers,
    ) -> Step<'a> {
        let mut broken = broken || matches!(chunk, Chunk::Missed(1..));
        let seen = match chunk {
            Chunk::Seen(bytes) => bytes,
            Chunk::Missed(_) => &[],
        };
        if left == 0 && self.kept.is_empty() && !broken {
            self.state = State::BOUNDARY;
            return self.whole(header, Some(Bytes::Whole(seen)));
        }
        broken |= seen.len() > buffers.room(self.kept.len());
        if broken {
            self.release(buffers);
        } else {
            buffers.used += seen.len();
            self.kept.extend_from_slice(seen);
        }
        if left > 0 {
            self.state = State::Whole {
                header,
                left,
                broken,
            };
            return Step::More;
        }
        self.state = State::BOUNDARY;
        buffers.used -= self.kept.len();
        let kept = std::mem::take(&mut self.kept);
        self.whole(header, (!broken).then_some(Bytes::Kept(kept)))
    }

    const fn whole<'a>(&self, header: FrameHeader, payload: Option<Bytes<'a>>) -> Step<'a> {
        Step::Frame {
            header,
            payload,
            origin: self.origin,
        }
    }
}

impl State {
    const BOUNDARY: Self = Self::Header(0, [0; HEADER]);
}
