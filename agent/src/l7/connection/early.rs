//! Answers that are seen before their requests.
//!
//! A write is told of after its bytes have left: when one thread writes and another reads, the
//! answer may have been read, and told of, before. As long as both directions are in step, such
//! bytes wait, as they came, for the request that comes next.

use std::collections::VecDeque;

use super::{
    Arrival, Connection, Context,
    intake::{LeftOut, Piece},
};
use crate::l7::{exchange::Failure, exchange::Role, stream::Buffers};

/// Longest time by which an answer may be ahead of its request, in nanoseconds. Only a thread
/// that is kept from running just after its write makes it longer than an instant.
pub(in crate::l7) const AHEAD_MAX: u64 = 5_000_000_000;

/// What waits for a request.
#[derive(Debug, Default)]
pub(super) struct Early {
    pieces: VecDeque<Held>,
    /// Bytes in `pieces`.
    bytes: usize,
    /// When the direction ended.
    ended: Option<u64>,
    /// When the connection ended, and how.
    gone: Option<(u64, Failure)>,
}

#[derive(Debug)]
struct Held {
    arrival: Arrival,
    left_out: LeftOut,
    head: Vec<u8>,
    middle: u64,
    tail: Vec<u8>,
}

impl Held {
    fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }
}

impl Connection {
    /// An answer that begins here is that of a request that wasn't seen yet: both directions are
    /// in step, and no request waits.
    pub(super) fn awaits_request(&mut self) -> bool {
        if self.hasty || self.suspect || !self.queue.is_empty() || !self.stale.is_empty() {
            return false;
        }
        // A server may answer before it has read all of a head; its client reads that answer
        // after it has written what it writes.
        let client = self.role() == Role::Client;
        self.responses().is_some_and(|stream| stream.is_boundary())
            && self
                .requests()
                .is_some_and(|stream| stream.is_in_step() && (client || !stream.has_partial()))
    }

    /// Keeps bytes of the response direction behind those that wait already.
    pub(super) fn hold(&mut self, arrival: Arrival, piece: Piece<'_>, cx: &mut Context<'_>) {
        let early = self.early.get_or_insert_default();
        let held = piece.to_held(arrival);
        let full = early.pieces.len() >= cx.limits.max_pipeline
            || held.len() > cx.buffers.room(early.bytes);
        early.take(held, cx.buffers, VecDeque::push_back);
        if full {
            self.stop_waiting(cx);
        }
    }

    /// Keeps the rest of a piece in front of those that wait.
    pub(super) fn hold_rest(&mut self, arrival: Arrival, piece: Piece<'_>, cx: &mut Context<'_>) {
        let early = self.early.get_or_insert_default();
        let held = piece.to_held(arrival);
        let full = held.len() > cx.buffers.room(early.bytes);
        early.take(held, cx.buffers, VecDeque::push_front);
        if full {
            self.stop_waiting(cx);
        }
    }

    /// Takes what waits in, as far as there are requests for it.
    pub(super) fn replay(&mut self, cx: &mut Context<'_>) {
        while !self.awaits_request() {
            let Some(early) = &mut self.early else {
                return;
            };
            let Some(held) = early.pieces.pop_front() else {
                break;
            };
            early.bytes -= held.len();
            cx.buffers.used -= held.len();
            let piece = Piece {
                left_out: held.left_out,
                head: &held.head,
                middle: held.middle,
                tail: &held.tail,
            };
            let mut arrival = held.arrival;
            arrival.origin.waited = !self.hasty;
            self.pass(arrival, piece, cx);
        }
        let drained = self.early.take_if(|early| early.pieces.is_empty());
        let Some(early) = drained else {
            return;
        };
        if let (Some(time), Some(direction)) = (early.ended, self.answers) {
            self.end(direction, time, cx);
        }
        if let Some((time, failure)) = early.gone {
            self.close(time, failure, cx);
        }
    }

    /// Takes what waits in, whether or not there are requests for it.
    pub(in crate::l7) fn stop_waiting(&mut self, cx: &mut Context<'_>) {
        if self.early.is_some() && !self.hasty {
            self.hasty = true;
            self.replay(cx);
            self.hasty = false;
        }
    }

    /// What came before `time` waits too long for a request to belong to it.
    pub(super) fn forget_old(&mut self, time: u64, cx: &mut Context<'_>) {
        let since = self.early.as_ref().and_then(|early| early.pieces.front());
        if since.is_some_and(|held| time.saturating_sub(held.arrival.origin.time) > AHEAD_MAX) {
            self.stop_waiting(cx);
        }
    }

    /// Remembers that the response direction ended; `false` when nothing waits.
    pub(super) fn end_early(&mut self, time: u64) -> bool {
        let Some(early) = &mut self.early else {
            return false;
        };
        early.ended.get_or_insert(time);
        true
    }

    /// Remembers that the connection is gone; `false` when nothing waits.
    pub(super) fn close_early(&mut self, time: u64, failure: Failure) -> bool {
        let Some(early) = &mut self.early else {
            return false;
        };
        early.gone.get_or_insert((time, failure));
        true
    }

    /// Lets go of what waits.
    pub(super) fn drop_early(&mut self, cx: &mut Context<'_>) {
        if let Some(early) = self.early.take() {
            cx.buffers.used -= early.bytes;
            cx.counters.orphan_responses += 1;
        }
    }
}

impl Early {
    fn take(&mut self, held: Held, buffers: &mut Buffers, push: fn(&mut VecDeque<Held>, Held)) {
        self.bytes += held.len();
        buffers.used += held.len();
        push(&mut self.pieces, held);
    }
}

impl Piece<'_> {
    fn to_held(self, arrival: Arrival) -> Held {
        Held {
            arrival,
            left_out: self.left_out,
            head: self.head.to_vec(),
            middle: self.middle,
            tail: self.tail.to_vec(),
        }
    }
}
