//! What frames are read from, and what comes out.

use sonde_common::event::tcp::Info;

use super::frame::FrameHeader;

/// Bytes at the present position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk<'a> {
    /// As they were.
    Seen(&'a [u8]),
    /// So many that nobody saw.
    Missed(u64),
}

impl Chunk<'_> {
    pub(super) const fn len(self) -> u64 {
        match self {
            Self::Seen(bytes) => bytes.len() as u64,
            Self::Missed(bytes) => bytes,
        }
    }

    /// The first `bytes`, at most all, and the rest.
    pub(super) fn split(self, bytes: u64) -> (Self, Self) {
        match self {
            Self::Seen(seen) => {
                let at = usize::try_from(bytes).unwrap_or(usize::MAX).min(seen.len());
                let (front, rest) = seen.split_at(at);
                (Self::Seen(front), Self::Seen(rest))
            }
            Self::Missed(missed) => {
                let front = bytes.min(missed);
                (Self::Missed(front), Self::Missed(missed - front))
            }
        }
    }
}

/// Where a frame began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) time: u64,
    pub(super) tgid: u32,
    /// How long it lay in the socket, microseconds.
    pub(super) queued: Option<u32>,
    pub(super) tcp: Option<Info>,
}

/// What reading a chunk's front gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Nothing yet.
    More,
    /// A part of a DATA frame's payload without its padding; `ended` when it was the last.
    Data {
        header: FrameHeader,
        payload: Payload<'a>,
        ended: bool,
    },
    /// A frame whose payload matters, and its payload; `None` when a part of that was missed.
    Frame {
        header: FrameHeader,
        payload: Option<Bytes<'a>>,
        origin: Origin,
    },
    /// Where the next frame begins is not known any more.
    Lost,
    /// These bytes are not the connection preface.
    NoPreface,
}

/// A part of a DATA frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    Chunk(Chunk<'a>),
    /// Some of these are padding; how many was missed.
    Padded,
}

/// A payload, from one read or write or from several.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bytes<'a> {
    Whole(&'a [u8]),
    Kept(Vec<u8>),
}

impl std::ops::Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Kept(bytes) => bytes,
        }
    }
}

/// The length of a chunk that was cut from one by a frame's length.
pub(super) fn length(chunk: Chunk<'_>) -> u32 {
    u32::try_from(chunk.len()).unwrap_or(u32::MAX)
}
