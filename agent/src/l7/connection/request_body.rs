//! The bodies of requests: how each is framed, where it ends, and what follows one whose framing was
//! lost.

use sonde_common::event::http::Direction;

use super::{Arrival, Connection, Context};
use crate::l7::{
    body::Body,
    counters::GivenUp,
    exchange::Method,
    http1::{self, Framing},
    stream::{Lost, State},
};

impl Connection {
    /// What follows the head of the newest request.
    pub(super) fn frame_request(
        &mut self,
        framing: Framing,
        method: Method,
        direction: Direction,
        cx: &mut Context<'_>,
    ) {
        let stream = self.stream(direction);
        stream.payload = 0;
        match framing {
            // What follows may be a tunnel's bytes; the answer tells.
            _ if method == Method::Connect => stream.state = State::Seeking,
            Framing::Length(0) => self.request_ended(direction, cx),
            Framing::Length(length) => stream.begin(Body::Length(length)),
            Framing::Chunked => stream.begin(Body::CHUNKED),
            Framing::Unknown | Framing::UntilClose | Framing::Tunnel => {
                cx.counters.framing_lost += 1;
                self.lose_requests(direction, cx);
            }
        }
    }

    /// The newest request's last byte was seen.
    pub(super) fn request_ended(&mut self, direction: Direction, cx: &mut Context<'_>) {
        let stream = self.stream(direction);
        stream.state = State::Boundary;
        let payload = stream.payload;
        // Its answer may have been complete before: then the queue is empty.
        if let Some(exchange) = self.queue.back(cx.pool) {
            exchange.request_body = Some(payload);
        }
    }

    /// The framing of the newest request's body stood in what was missed; `rest` is what was seen
    /// after that. On a connection that was seen to pipeline, only a last chunk tells that no other
    /// request was in what was missed.
    pub(super) fn lose_request_body(
        &mut self,
        direction: Direction,
        rest: &[u8],
        cx: &mut Context<'_>,
    ) {
        cx.counters.framing_lost += 1;
        if self.pipelined {
            let mut lost = Lost::new(0);
            lost.note(rest, 0);
            self.stream(direction).state = State::Lost(lost);
        } else {
            self.lose_requests(direction, cx);
        }
    }

    /// Where requests begin is not known any more. Those in the queue keep their answers.
    pub(super) fn lose_requests(&mut self, direction: Direction, cx: &mut Context<'_>) {
        let pipelined = self.pipelined;
        let stream = self.stream(direction);
        stream.drop_head(cx.buffers);
        stream.state = if pipelined {
            // No later request can be told to be the next one.
            cx.counters.give_up(GivenUp::PipelineLost);
            State::Ended
        } else {
            State::Seeking
        };
    }

    /// Reads bytes after a body's framing was lost, on a connection that was seen to pipeline.
    pub(super) fn read_lost_request(
        &mut self,
        arrival: Arrival,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> usize {
        let (direction, time) = (arrival.direction, arrival.origin.time);
        let over = self.may_follow_lost_body();
        let next = arrival.origin.fresh && self.may_be_next(direction, bytes);
        let stream = self.stream(direction);
        if next && over {
            stream.state = State::Boundary;
            return self.read_request_head(arrival, bytes, cx);
        }
        if next && stream.begins_head(bytes, http1::may_become_request) {
            // Kept until the answer before it has been told.
            return self.read_request_head(arrival, bytes, cx);
        }
        stream.drop_head(cx.buffers);
        let State::Lost(lost) = &mut stream.state else {
            return bytes.len();
        };
        if !(arrival.origin.fresh && http1::begins_request(bytes)) {
            lost.note(bytes, time);
            return bytes.len();
        }
        Self::pass_over_request(arrival.origin, bytes, cx);
        self.lose_requests(direction, cx);
        bytes.len()
    }

    /// Whether bytes behind a body whose framing was lost follow its last chunk, and nothing but the
    /// front of a head.
    fn may_be_next(&mut self, direction: Direction, bytes: &[u8]) -> bool {
        let stream = self.stream(direction);
        let may_begin =
            |bytes: &[u8]| http1::begins_request(bytes) || http1::may_become_request(bytes);
        match &stream.state {
            State::Lost(lost) if !stream.has_partial() => lost.has_last_chunk(),
            _ => stream.begins_head(bytes, may_begin),
        }
    }

    /// Whether the body that was offered comes, or was left out after a final answer.
    pub(super) fn resolve_offer(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) {
        let newest = self.queue.back(cx.pool);
        let answered = newest.is_none_or(|exchange| exchange.status.is_some());
        if answered && http1::begins_request(bytes) {
            self.request_ended(direction, cx);
        } else {
            self.stream(direction).accept();
        }
    }
}
