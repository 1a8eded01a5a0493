//! The direction of answers.

use super::{Answering, Arrival, Connection, Context, opposite, set_state};
use crate::l7::{
    body::{Body, Progress},
    counters::{Dropped, GivenUp, Rejection},
    exchange::{Failure, Method},
    http1::{Framing, Request, Response},
    stream::{Lost, Origin, Reading, Refusal, State},
};

/// What every status line begins with.
const STATUS_LINE: &[u8] = b"HTTP/1.";

impl Connection {
    /// Reads bytes of the response direction; how many of them.
    pub(super) fn read_responses(
        &mut self,
        arrival: Arrival,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> usize {
        let (time, fresh) = (arrival.origin.time, arrival.origin.fresh);
        let stream = self.stream(arrival.direction);
        let begun = stream.has_partial();
        match &mut stream.state {
            State::Ended | State::Offered(_) => bytes.len(),
            State::Seeking if !(begun || fresh && may_be_response(bytes)) => {
                self.pass_over(cx);
                bytes.len()
            }
            State::Lost(lost) => {
                lost.note(bytes, time);
                bytes.len()
            }
            State::Seeking | State::Boundary => self.read_response_head(arrival, bytes, cx),
            State::Body(body) => match body.read(bytes, &mut stream.payload) {
                Progress::More => bytes.len(),
                Progress::Done(used) => {
                    let payload = stream.payload;
                    self.response_ended(time, Some(payload), cx);
                    usize::try_from(used).unwrap_or(bytes.len())
                }
                Progress::Lost => {
                    self.lose_response(time, cx);
                    if let Some(State::Lost(lost)) = self.responses().map(|s| &mut s.state) {
                        lost.note(bytes, time);
                    }
                    bytes.len()
                }
            },
        }
    }

    fn read_response_head(
        &mut self,
        arrival: Arrival,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> usize {
        let stream = self.stream(arrival.direction);
        let time = arrival.origin.time;
        match stream.read_head::<Response>(bytes, arrival.origin, cx.buffers, cx.reader) {
            Reading::More => bytes.len(),
            Reading::Whole { head, origin, used } => {
                self.begin_response(&head, origin, time, cx);
                used
            }
            Reading::Cut {
                head: Some(head),
                origin,
            } => {
                self.begin_response(&head, origin, time, cx);
                bytes.len()
            }
            Reading::Cut { head: None, origin } => {
                self.refuse_response(origin, time, cx);
                bytes.len()
            }
            Reading::Invalid(Refusal {
                origin, continued, ..
            }) => {
                self.stream(arrival.direction).drop_head(cx.buffers);
                if self.stream(arrival.direction).is_seeking() {
                    if continued && arrival.origin.fresh {
                        return self.read_responses(arrival, bytes, cx);
                    }
                    self.pass_over(cx);
                } else {
                    self.refuse_response(origin, time, cx);
                }
                bytes.len()
            }
        }
    }

    /// Bytes that begin no answer, while out of step. When a request waits, its answer may be
    /// within them.
    fn pass_over(&mut self, cx: &mut Context<'_>) {
        if self.queue.is_empty() {
            self.suspect = true;
        } else {
            self.lose_answers(cx);
        }
    }

    /// Where an answer must begin stands something else.
    fn refuse_response(&mut self, origin: Origin, time: u64, cx: &mut Context<'_>) {
        if self.stale.is_empty()
            && let Some(exchange) = self.queue.front(cx.pool)
        {
            exchange.response_start = Some(origin.time);
            exchange.failure = Some(Failure::InvalidResponse);
            self.finish(time, cx);
            self.give_up(GivenUp::InvalidResponse, Dropped::Uncertain, cx);
        } else {
            cx.counters.reject(Rejection::NotHttp);
            self.suspect = true;
            set_state(self.responses(), State::Seeking);
        }
    }

    /// An answer's head; `time` is when its last byte moved.
    pub(super) fn begin_response(
        &mut self,
        response: &Response,
        origin: Origin,
        time: u64,
        cx: &mut Context<'_>,
    ) {
        if response.is_interim() {
            if !self.queue.is_empty() {
                set_state(self.responses(), State::Boundary);
            }
            return;
        }
        cx.counters.truncated += u64::from(response.truncated);
        let method = self.assign(response, origin, cx);
        let framing = response.framing(method);
        if self.answering == Answering::Nobody {
            cx.counters.orphan_responses += 1;
        }
        let Some(stream) = self.responses() else {
            return;
        };
        stream.payload = 0;
        match framing {
            Framing::Length(0) => self.response_ended(time, Some(0), cx),
            Framing::Length(length) => stream.begin(Body::Length(length)),
            Framing::Chunked => stream.begin(Body::CHUNKED),
            Framing::UntilClose => stream.begin(Body::UntilClose),
            Framing::Tunnel if response.is_http2_upgrade() => self.upgrade(time, cx),
            Framing::Tunnel => self.tunnel(time, cx),
            Framing::Unknown => self.lose_response(time, cx),
        }
    }

    /// Finds the request that an answer belongs to, and that request's method.
    fn assign(
        &mut self,
        response: &Response,
        origin: Origin,
        cx: &mut Context<'_>,
    ) -> Option<Method> {
        if !self.stale.is_empty() {
            self.answering = Answering::Nobody;
            return Some(self.stale.remove(0));
        }
        if self.queue.is_empty() && !self.suspect {
            self.begin_answered_request(origin.time, cx);
        }
        let front = self.queue.front(cx.pool).map(|exchange| exchange.start);
        if !origin.waited && front.is_some_and(|start| start > origin.time) {
            // The front of an answer, kept from before that request.
            self.lose_answers(cx);
        }
        let in_step = self.responses().is_some_and(|stream| stream.is_boundary());
        self.pipelined |= in_step && self.queue.len() > 1;
        if let Some(exchange) = self.queue.front(cx.pool) {
            exchange.response_start = Some(origin.time);
            exchange.status = Some(response.status);
            exchange.truncated |= response.truncated;
            exchange.response_headers = response.headers.clone();
            self.answering = Answering::First;
            return Some(exchange.method);
        }
        self.suspect = true;
        self.answering = Answering::Nobody;
        None
    }

    /// A server may answer before it has read all of a head (431, 414, 400): the head then ends
    /// where the answer begins.
    fn begin_answered_request(&mut self, time: u64, cx: &mut Context<'_>) {
        let Some(direction) = self.answers.map(opposite) else {
            return;
        };
        let stream = self.stream(direction);
        if stream.partial_since().is_some_and(|since| since <= time)
            && let Some((head, origin)) = stream.cut_head::<Request>(cx.buffers, cx.reader)
        {
            self.begin_cut_request(head, origin, direction, cx);
        }
    }

    /// The answer under way is complete.
    pub(super) fn response_ended(&mut self, end: u64, body: Option<u64>, cx: &mut Context<'_>) {
        set_state(self.responses(), State::Boundary);
        match std::mem::replace(&mut self.answering, Answering::Nobody) {
            Answering::Nobody => {}
            Answering::First => {
                if let Some(exchange) = self.queue.front(cx.pool) {
                    exchange.response_body = body;
                }
                self.finish(end, cx);
                // One request, its answer, and nothing else: in step.
                self.suspect &= !self.queue.is_empty();
            }
        }
    }

    /// The end of the answer under way can only be inferred from here on.
    pub(super) fn lose_response(&mut self, time: u64, cx: &mut Context<'_>) {
        cx.counters.framing_lost += 1;
        if self.answering == Answering::Nobody {
            set_state(self.responses(), State::Seeking);
            self.pass_over(cx);
        } else if self.queue.len() > 1 {
            // The other answers may be in what is missed.
            self.response_ended(time, None, cx);
            self.lose_answers(cx);
        } else {
            set_state(self.responses(), State::Lost(Lost::new(time)));
        }
    }

    /// Infers, as the next request begins, that an answer whose framing was lost is over.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        let Some(State::Lost(lost)) = self.responses().map(|stream| &stream.state) else {
            return;
        };
        let lost = *lost;
        // Nothing else was in flight, so whatever is asked from here on is answered after this.
        self.response_ended(lost.end, None, cx);
        if !lost.has_last_chunk() {
            self.suspect = true;
            set_state(self.responses(), State::Seeking);
        }
    }

    /// The handshake of an upgrade or a tunnel is over, and HTTP with it.
    pub(super) fn tunnel(&mut self, time: u64, cx: &mut Context<'_>) {
        if self.answering == Answering::First {
            self.response_ended(time, Some(0), cx);
        }
        self.drop_all(Dropped::Tunnel, cx);
        self.release(cx);
    }
}

/// The bytes are, or can become, the front of a status line.
fn may_be_response(bytes: &[u8]) -> bool {
    bytes.starts_with(STATUS_LINE) || STATUS_LINE.starts_with(bytes)
}
