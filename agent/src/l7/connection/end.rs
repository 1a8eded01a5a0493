//! Ends: of a direction, of the connection, of patience.

use sonde_common::event::http::Direction;

use super::{Answering, Connection, Context, set_state};
use crate::l7::{
    body::Body,
    counters::{Dropped, GivenUp, Rejection},
    exchange::Failure,
    stream::State,
    table::is_over,
};

impl Connection {
    /// Nothing follows in `direction`.
    pub(super) fn end(&mut self, direction: Direction, time: u64, cx: &mut Context<'_>) {
        if self.opaque {
            return;
        }
        if self.answers == Some(direction) {
            if self.end_early(time) {
                return;
            }
            return self.finish_all(time, Failure::ConnectionClosed, cx);
        }
        // A half-close: the answers are still to come.
        if self.stream(direction).drop_head(cx.buffers) {
            cx.counters.reject(Rejection::Incomplete);
        }
    }

    /// The connection is gone.
    pub(super) fn close(&mut self, time: u64, failure: Failure, cx: &mut Context<'_>) {
        self.finish_all(time, failure, cx);
        self.release(cx);
        self.gone = true;
    }

    /// No answer follows: gives out what is in flight, `failure` for what isn't complete.
    pub(super) fn finish_all(&mut self, time: u64, failure: Failure, cx: &mut Context<'_>) {
        if let Some(direction) = self.answers {
            self.finish_answer(direction, time, failure, cx);
            self.finish_unanswered(direction, time, failure, cx);
        }
        for direction in [Direction::Receive, Direction::Send] {
            if self.stream(direction).drop_head(cx.buffers) {
                cx.counters.reject(Rejection::Incomplete);
            }
        }
    }

    /// The answer under way.
    fn finish_answer(
        &mut self,
        direction: Direction,
        time: u64,
        failure: Failure,
        cx: &mut Context<'_>,
    ) {
        if self.answering != Answering::First {
            return;
        }
        let stream = self.stream(direction);
        let payload = stream.payload;
        match stream.state {
            State::Body(Body::UntilClose) if failure == Failure::ConnectionClosed => {
                self.response_ended(time, Some(payload), cx);
            }
            State::Lost(lost) => {
                self.response_ended(lost.end, None, cx);
                // Their answers may have been in what was missed.
                self.drop_all(Dropped::Uncertain, cx);
            }
            _ => {
                if let Some(exchange) = self.queue.front(cx.pool) {
                    exchange.failure = Some(failure);
                }
                self.response_ended(time, None, cx);
            }
        }
    }

    fn finish_unanswered(
        &mut self,
        direction: Direction,
        time: u64,
        failure: Failure,
        cx: &mut Context<'_>,
    ) {
        let stream = self.stream(direction);
        stream.drop_head(cx.buffers);
        if self.suspect {
            // Out of step: what came before may have been its answer.
            return self.drop_all(Dropped::Uncertain, cx);
        }
        while let Some(exchange) = self.queue.front(cx.pool) {
            exchange.failure = Some(failure);
            self.finish(time, cx);
        }
        set_state(self.responses(), State::Ended);
    }

    /// Gives out what is in flight when nothing has moved for too long. Answers that come later
    /// belong to nobody.
    pub(in crate::l7) fn age(&mut self, now: u64, cx: &mut Context<'_>) {
        let patience = match self.answering {
            Answering::First => cx.limits.response_timeout,
            Answering::Nobody => cx.limits.request_timeout,
        };
        if !is_over(self.last(), patience, now) {
            return;
        }
        if let Some(State::Lost(lost)) = self.responses().map(|stream| &stream.state) {
            // Most likely complete: its end could only not be told.
            let end = lost.end;
            cx.counters.aged += 1;
            self.response_ended(end, None, cx);
            self.suspect = true;
            set_state(self.responses(), State::Seeking);
        } else if self.suspect && self.answering != Answering::First {
            self.drop_all(Dropped::Uncertain, cx);
        } else {
            self.time_out(now, cx);
        }
    }

    fn time_out(&mut self, now: u64, cx: &mut Context<'_>) {
        let mut begun = std::mem::replace(&mut self.answering, Answering::Nobody);
        while let Some(exchange) = self.queue.front(cx.pool) {
            if begun != Answering::First {
                self.stale.push(exchange.method);
            }
            begun = Answering::Nobody;
            exchange.failure = Some(Failure::Timeout);
            cx.counters.aged += 1;
            self.finish(now, cx);
        }
        if self.stale.len() > cx.limits.max_pipeline {
            self.give_up(GivenUp::PipelineFull, Dropped::PipelineFull, cx);
        }
    }
}
