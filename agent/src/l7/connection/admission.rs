//! Whether a request may join the queue.

use sonde_common::event::http::Direction;

use super::{Answering, Connection, Context, opposite, set_state};
use crate::{
    event::Segment,
    l7::{
        counters::{Dropped, GivenUp},
        exchange::Method,
        http1,
        stream::{Origin, State},
    },
};

impl Connection {
    /// Which way answers come is certain from here on; `guessed` when it was guessed before.
    /// Bytes that came that way before belong to a request that wasn't seen, unless that direction
    /// is in step.
    pub(super) fn begin_pairing(&mut self, guessed: bool, cx: &mut Context<'_>) {
        let Some(stream) = self.responses() else {
            return;
        };
        if stream.is_seeking() {
            stream.drop_head(cx.buffers);
            let moved = stream.next > 0;
            self.suspect |= moved;
        } else if !guessed {
            // The front of an answer looks like that of an unknown method.
            stream.partial_waited();
        }
    }

    /// Whether a head found while out of step may be a request: see the module's rules.
    pub(super) fn may_resume(&mut self) -> bool {
        let pipelined = self.pipelined;
        let over = match self.responses().map(|stream| &stream.state) {
            Some(State::Lost(lost)) => !pipelined || lost.may_be_over(),
            _ => false,
        };
        self.stale.is_empty() && (self.queue.is_empty() || (self.queue.len() == 1 && over))
    }

    /// Whether everything that was asked before is answered, so that a head after a body whose
    /// framing was lost is the next request.
    pub(super) fn may_follow_lost_body(&mut self) -> bool {
        if self.suspect || !self.stale.is_empty() {
            return false;
        }
        let waiting = self.queue.len();
        match self.responses().map(|stream| &stream.state) {
            Some(State::Boundary) => waiting == 0,
            Some(State::Lost(lost)) => waiting == 1 && lost.has_last_chunk(),
            _ => false,
        }
    }

    /// Counts a request that bytes at the start of a read or write begin with, and that can't be
    /// followed.
    pub(super) fn pass_over_request(origin: Origin, bytes: &[u8], cx: &mut Context<'_>) {
        if origin.fresh && http1::begins_request(bytes) {
            cx.counters.pass_over_request(Dropped::Unsynchronised);
        }
    }

    /// The same, for a connection that was given up.
    pub(super) fn pass_over_segment(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) {
        if self.answers != Some(opposite(segment.direction)) {
            return;
        }
        let stream = self.stream(segment.direction);
        let fresh = segment.offset >= stream.next;
        let end = segment.offset.saturating_add(segment.length.into());
        stream.next = stream.next.max(end);
        if fresh && http1::begins_request(segment.head) {
            cx.counters.pass_over_request(Dropped::Unsynchronised);
        }
    }

    /// Whether a request may join the queue; counts it as dropped when not.
    pub(super) fn admit(
        &mut self,
        method: Method,
        origin: Origin,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> bool {
        let waiting = !self.queue.is_empty();
        self.pipelined |= waiting && !origin.fresh;
        let full = if waiting && self.suspect {
            self.fall_out_of_step(method, direction, cx);
            return false;
        } else if self.queue.len() >= cx.limits.max_pipeline {
            (GivenUp::PipelineFull, Dropped::PipelineFull)
        } else if cx.pool.len() >= cx.limits.max_in_flight {
            (GivenUp::InFlightFull, Dropped::InFlightFull)
        } else {
            return true;
        };
        cx.counters.drop_request(full.1);
        self.give_up(full.0, full.1, cx);
        false
    }

    /// A request of this `method` came while the one before may have another's answer: both are
    /// dropped, and their answers waited out.
    fn fall_out_of_step(&mut self, method: Method, direction: Direction, cx: &mut Context<'_>) {
        let mut answering = std::mem::replace(&mut self.answering, Answering::Nobody);
        while let Some(exchange) = self.queue.front(cx.pool) {
            cx.counters.drop_request(Dropped::Uncertain);
            if answering != Answering::First {
                self.stale.push(exchange.method);
            }
            answering = Answering::Nobody;
            self.queue.drop_front(cx.pool);
        }
        cx.counters.drop_request(Dropped::Uncertain);
        self.stale.push(method);
        set_state(self.responses(), State::Seeking);
        self.stream(direction).state = State::Seeking;
        if self.pipelined {
            self.give_up(GivenUp::PipelineLost, Dropped::Uncertain, cx);
        }
    }
}
