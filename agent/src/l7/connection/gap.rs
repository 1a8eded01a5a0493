//! Holes in a stream: the rules of the parent module.

use sonde_common::event::http::Direction;

use super::{Answering, Connection, Context, intake::LeftOut};
use crate::l7::{
    body::{Body, Progress},
    counters::{Dropped, GivenUp},
    http1::{Request, Response},
    stream::State,
};

/// Why bytes were not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    /// Records were lost: nothing is known of when those bytes moved.
    Records,
    /// They moved within one segment, but were not captured.
    Uncaptured,
    /// They were left out of a body that the kernel side followed. Its last byte isn't among them.
    LeftOut,
}

impl Connection {
    /// Passes over bytes that were left out of a body; `time` is that of the segment after them.
    pub(super) fn skip(
        &mut self,
        direction: Direction,
        left_out: LeftOut,
        time: u64,
        cx: &mut Context<'_>,
    ) {
        let stream = self.stream(direction);
        stream.accept();
        let LeftOut { bytes, framing } = left_out;
        if framing > 0
            && let State::Body(body @ Body::Chunked(_)) = &mut stream.state
        {
            stream.payload = stream.payload.saturating_add(bytes.saturating_sub(framing));
            *body = Body::CHUNKED;
            return;
        }
        self.gap(direction, bytes, Hole::LeftOut, time, cx);
    }

    /// Passes over bytes that were not seen; `time` is that of the segment that shows it.
    pub(super) fn gap(
        &mut self,
        direction: Direction,
        bytes: u64,
        hole: Hole,
        time: u64,
        cx: &mut Context<'_>,
    ) {
        if self.opaque {
            return;
        }
        if self.answers == Some(direction) {
            self.response_gap(direction, bytes, hole, time, cx);
        } else {
            self.request_gap(direction, bytes, hole, cx);
        }
    }

    fn request_gap(&mut self, direction: Direction, bytes: u64, hole: Hole, cx: &mut Context<'_>) {
        let stream = self.stream(direction);
        stream.accept();
        match &mut stream.state {
            State::Ended | State::Offered(_) => {}
            State::Lost(_) if hole != Hole::Uncaptured => self.lose_requests(direction, cx),
            State::Lost(lost) => lost.gap(false),
            State::Body(body) => match body.skip(bytes, &mut stream.payload) {
                Progress::More => {}
                Progress::Done(used) => {
                    self.request_ended(direction, cx);
                    if used < bytes {
                        self.between_requests(direction, hole, cx);
                    }
                }
                Progress::Lost if hole == Hole::Uncaptured => {
                    self.lose_request_body(direction, &[], cx);
                }
                Progress::Lost => {
                    cx.counters.framing_lost += 1;
                    self.lose_requests(direction, cx);
                }
            },
            State::Seeking | State::Boundary => self.between_requests(direction, hole, cx),
        }
    }

    /// A hole in which requests may be, or the rest of a head.
    fn between_requests(&mut self, direction: Direction, hole: Hole, cx: &mut Context<'_>) {
        let stream = self.stream(direction);
        let cut = stream.cut_head::<Request>(cx.buffers, cx.reader);
        match hole {
            Hole::Records | Hole::LeftOut => {
                self.doubt_end(cx);
                if let Some((Some(_), _)) = cut {
                    cx.counters.pass_over_request(Dropped::Uncertain);
                }
            }
            Hole::Uncaptured => {
                if let Some((head, origin)) = cut {
                    return self.begin_cut_request(head, origin, direction, cx);
                }
            }
        }
        if self.stream(direction).is_boundary() {
            self.lose_requests(direction, cx);
        }
    }

    /// Requests were lost during an answer without framing: its last bytes may be another
    /// answer's. When it is known that some of its records were lost, it ends before those.
    fn doubt_end(&mut self, cx: &mut Context<'_>) {
        let Some(State::Lost(lost)) = self.responses().map(|stream| &stream.state) else {
            return;
        };
        let sure = lost.sure;
        if sure > 0 {
            self.response_ended(sure, None, cx);
        } else {
            self.answering = Answering::Nobody;
        }
        self.lose_answers(cx);
    }

    fn response_gap(
        &mut self,
        direction: Direction,
        bytes: u64,
        hole: Hole,
        time: u64,
        cx: &mut Context<'_>,
    ) {
        let stream = self.stream(direction);
        let end = match hole {
            Hole::Records | Hole::LeftOut => stream.last,
            Hole::Uncaptured => time,
        };
        match &mut stream.state {
            State::Ended | State::Offered(_) => {}
            State::Lost(lost) => {
                lost.gap(hole != Hole::Uncaptured);
                lost.end = lost.end.max(end);
            }
            State::Body(body) => match body.skip(bytes, &mut stream.payload) {
                Progress::More => {}
                Progress::Done(_) if hole == Hole::LeftOut => self.doubt_response(cx),
                Progress::Done(used) => {
                    let payload = stream.payload;
                    self.response_ended(end, Some(payload), cx);
                    if used < bytes {
                        self.lose_answers(cx);
                    }
                }
                Progress::Lost => {
                    self.lose_response(end, cx);
                    if let State::Lost(lost) = &mut self.stream(direction).state {
                        lost.gap(hole != Hole::Uncaptured);
                    }
                }
            },
            State::Seeking | State::Boundary => self.between_responses(direction, hole, end, cx),
        }
    }

    /// The kernel side took the answer under way for a longer one: when it ended isn't known, and
    /// neither is what came after it.
    fn doubt_response(&mut self, cx: &mut Context<'_>) {
        self.answering = Answering::Nobody;
        self.lose_answers(cx);
    }

    /// A hole in which answers may be, or the rest of a head, whose last byte seen moved at `end`.
    fn between_responses(
        &mut self,
        direction: Direction,
        hole: Hole,
        end: u64,
        cx: &mut Context<'_>,
    ) {
        let stream = self.stream(direction);
        if let Some((Some(head), origin)) = stream.cut_head::<Response>(cx.buffers, cx.reader)
            && !head.is_interim()
        {
            self.begin_response(&head, origin, end, cx);
            if let State::Lost(lost) = &mut self.stream(direction).state {
                lost.gap(hole != Hole::Uncaptured);
            }
        } else {
            self.lose_answers(cx);
        }
    }

    /// No answer can be told to belong to a request in flight.
    pub(super) fn lose_answers(&mut self, cx: &mut Context<'_>) {
        debug_assert_ne!(self.answering, Answering::First, "that answer has begun");
        self.drop_all(Dropped::Uncertain, cx);
        self.stale.clear();
        self.suspect = true;
        super::set_state(self.responses(), State::Seeking);
        if self.pipelined {
            self.give_up(GivenUp::PipelineLost, Dropped::Uncertain, cx);
        }
    }
}
