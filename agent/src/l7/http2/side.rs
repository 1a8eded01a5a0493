//! How each direction of a connection begins.

use sonde_common::event::http::{Direction, Tuple};

use super::{
    fields::{Named, Valued},
    frames::Frames,
    head::Block,
    hpack::Decoder,
};

/// One direction.
#[derive(Debug)]
pub(super) struct Side {
    /// Position after the last byte that was told of.
    pub(super) next: u64,
    /// When the last byte moved.
    pub(super) last: u64,
    pub(super) frames: Frames,
    pub(super) decoder: Decoder<Named, Valued>,
    /// A header block that goes on.
    pub(super) block: Option<Block>,
}

/// Where a direction is when its connection turns out to be HTTP/2.
#[derive(Clone, Copy, Debug)]
pub(in crate::l7) enum Start {
    /// At its beginning.
    First,
    /// After so many bytes of the connection preface, which begins at the direction's start.
    Preface(usize),
    /// Somewhere: the connection was open before, or bytes were missed.
    Anywhere,
}

/// What is known of a connection when it turns out to be HTTP/2.
#[derive(Clone, Copy, Debug)]
pub(in crate::l7) struct Opening {
    pub(in crate::l7) id: u64,
    pub(in crate::l7) tuple: Tuple,
    pub(in crate::l7) scheme: &'static str,
    /// Which direction requests go.
    pub(in crate::l7) requests: Option<Direction>,
    /// Position and state of what is received, then of what is sent.
    pub(in crate::l7) sides: [(u64, Start); 2],
}

impl Opening {
    /// Whether something came before that wasn't seen.
    pub(super) fn is_late(&self) -> bool {
        let mut sides = self.sides.iter();
        sides.any(|(_, start)| matches!(start, Start::Anywhere))
    }
}

impl Side {
    pub(super) fn new(next: u64, start: Start) -> Self {
        Self {
            next,
            last: 0,
            frames: match start {
                Start::First => Frames::at_boundary(),
                Start::Preface(bytes) => Frames::after_preface(bytes),
                Start::Anywhere => Frames::lost(),
            },
            decoder: match start {
                Start::First | Start::Preface(_) => Decoder::new(),
                Start::Anywhere => Decoder::late(),
            },
            block: None,
        }
    }
}
