//! One direction of a connection: where it is, and what comes next.

use sonde_common::event::tcp::Info;

use self::head::Partial;
pub(super) use self::{
    head::{Buffers, Reading, Refusal},
    lost::Lost,
};
use super::body::Body;

mod head;
mod lost;

/// One direction.
#[derive(Debug)]
pub(super) struct Stream {
    /// Position after the last byte that was told of.
    pub(super) next: u64,
    /// When the last byte moved.
    pub(super) last: u64,
    /// Payload of the present body.
    pub(super) payload: u64,
    pub(super) state: State,
    /// A head that isn't whole yet.
    partial: Option<Box<Partial>>,
}

/// What the next byte belongs to.
#[derive(Debug)]
pub(super) enum State {
    /// Not known. Only a head at the start of a read or write ends this.
    Seeking,
    /// A head; its first bytes may have been seen.
    Boundary,
    /// A body whose end will be known.
    Body(Body),
    /// The first byte of a request's body that may be left out.
    Offered(Body),
    /// A message whose end can only be inferred.
    Lost(Lost),
    /// Nothing that matters.
    Ended,
}

/// Where a message began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) time: u64,
    pub(super) tgid: u32,
    /// How long it lay in the socket, microseconds.
    pub(super) queued: Option<u32>,
    pub(super) tcp: Option<Info>,
    /// At the start of a read or write.
    pub(super) fresh: bool,
    /// At the start of the stream.
    pub(super) first: bool,
    /// It waited for the message in the other direction that it belongs to.
    pub(super) waited: bool,
}

impl Origin {
    /// The same read or write, after its first bytes.
    pub(super) fn pass(&mut self) {
        self.fresh = false;
        self.first = false;
    }
}

impl Stream {
    /// A stream at its beginning, or, when `late`, anywhere.
    pub(super) const fn new(late: bool) -> Self {
        Self {
            next: 0,
            last: 0,
            payload: 0,
            state: if late {
                State::Seeking
            } else {
                State::Boundary
            },
            partial: None,
        }
    }

    pub(super) const fn is_boundary(&self) -> bool {
        matches!(self.state, State::Boundary)
    }

    /// It is known where the next message begins, or will be.
    pub(super) const fn is_in_step(&self) -> bool {
        matches!(
            self.state,
            State::Boundary | State::Body(_) | State::Offered(_)
        )
    }

    pub(super) const fn is_seeking(&self) -> bool {
        matches!(self.state, State::Seeking)
    }

    /// Starts a body.
    pub(super) fn begin(&mut self, body: Body) {
        self.payload = 0;
        self.state = State::Body(body);
    }

    /// Whether the body that starts may be left out.
    pub(super) fn offer(&mut self, offers: bool) {
        if offers && let State::Body(body) = self.state {
            self.state = State::Offered(body);
        }
    }

    /// A body that was offered comes.
    pub(super) fn accept(&mut self) {
        if let State::Offered(body) = self.state {
            self.state = State::Body(body);
        }
    }
}
