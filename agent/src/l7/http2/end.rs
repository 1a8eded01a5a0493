//! Ends: of a stream, of the connection, of patience.

use super::{Connection, streams::Stream};
use crate::l7::{
    connection::{AHEAD_MAX, Context},
    counters::Dropped,
    exchange::{ErrorCode, Failure},
    rpc::Rpc,
    table::is_over,
};

impl Connection {
    /// A stream's answer is complete, or never will be.
    pub(super) fn answered(
        &mut self,
        number: u32,
        time: u64,
        failure: Option<Failure>,
        cx: &mut Context<'_>,
    ) {
        if let Some(stream) = self.streams.get(number) {
            stream.answer.end = Some(time);
            stream.answer.failure = failure;
            self.settle(number, cx);
        }
    }

    /// Gives a stream's exchange out when its request and the end of its answer are there.
    pub(super) fn settle(&mut self, number: u32, cx: &mut Context<'_>) {
        let gone = self.gone;
        let Some(stream) = self.streams.get(number) else {
            return;
        };
        if let Some((time, failure)) = gone {
            stream.answer.end.get_or_insert_with(|| {
                stream.answer.failure = Some(failure);
                time
            });
        }
        if stream.request.is_some()
            && stream.answer.end.is_some()
            && let Some(stream) = self.streams.remove(number)
        {
            complete(&stream, cx);
        }
    }

    /// `RST_STREAM`.
    pub(super) fn reset(
        &mut self,
        number: u32,
        payload: Option<&[u8]>,
        time: u64,
        cx: &mut Context<'_>,
    ) {
        let code = payload.and_then(|payload| payload.first_chunk());
        let code = code.map_or(ErrorCode::Other, |code| {
            ErrorCode::of(u32::from_be_bytes(*code))
        });
        self.answered(number, time, Some(Failure::StreamReset(code)), cx);
    }

    /// GOAWAY of the server: what it hasn't looked at will get no answer (RFC 9113 section 6.8). What
    /// it has begun to answer it has looked at, whatever it says.
    pub(super) fn go_away(&mut self, payload: Option<&[u8]>, cx: &mut Context<'_>) {
        let Some(last) = payload.and_then(|payload| payload.first_chunk()) else {
            return;
        };
        let last = u32::from_be_bytes(*last) & (u32::MAX >> 1);
        self.refused_above = self.refused_above.min(last);
        let refused = |number: u32, stream: &Stream| number > last && stream.answer.start.is_none();
        for (_, stream) in self.streams.extract(refused) {
            self.abandon(&stream, Dropped::GoneAway, cx);
        }
    }

    /// Lets go of a stream that nothing is told of.
    pub(super) fn forget(&mut self, number: u32, cx: &mut Context<'_>) {
        if let Some(stream) = self.streams.remove(number) {
            self.abandon(&stream, Dropped::Uncertain, cx);
        }
    }

    /// The same for one that is out of the table.
    fn abandon(&mut self, stream: &Stream, reason: Dropped, cx: &mut Context<'_>) {
        if let Some(slot) = stream.request {
            cx.pool.remove(slot);
            cx.counters.drop_request(reason);
        } else {
            self.waiting -= 1;
            cx.counters.orphan_responses += 1;
        }
    }

    /// The connection is gone. Answers whose requests may still be told of wait a little longer.
    pub(super) fn close(&mut self, time: u64, failure: Failure, cx: &mut Context<'_>) {
        self.finish_all(time, failure, cx);
        self.gone.get_or_insert((time, failure));
    }

    /// No answer follows. What isn't complete has failed, unless its end may have been missed.
    pub(super) fn finish_all(&mut self, time: u64, failure: Failure, cx: &mut Context<'_>) {
        for (_, mut stream) in self.streams.extract(|_, stream| stream.request.is_some()) {
            if stream.doubtful {
                self.abandon(&stream, Dropped::Uncertain, cx);
            } else {
                stream.answer.end = Some(time);
                stream.answer.failure = Some(failure);
                complete(&stream, cx);
            }
        }
    }

    /// Gives up what has been silent for too long at `now`. A call that has begun to answer, and
    /// one of gRPC, may rest for as long as it likes on a connection that is alive: on a stream
    /// whose frames were all seen, that no end came means that it goes on.
    pub(in crate::l7) fn age(&mut self, now: u64, cx: &mut Context<'_>) {
        let limits = cx.limits;
        let dead = is_over(self.last(), limits.response_timeout, now);
        let old = self.streams.extract(|_, stream| {
            let rests = stream.grpc || stream.answer.start.is_some();
            stream.request.is_some()
                && if rests && !stream.doubtful {
                    dead
                } else {
                    is_over(stream.last, limits.request_timeout, now)
                }
        });
        for (_, mut stream) in old {
            if stream.doubtful {
                self.abandon(&stream, Dropped::Uncertain, cx);
            } else {
                cx.counters.aged += 1;
                stream.answer.end = Some(now);
                stream.answer.failure = Some(Failure::Timeout);
                complete(&stream, cx);
            }
        }
        self.forget_old(now, cx);
    }

    /// Answers that wait too long for a request to belong to them.
    pub(super) fn forget_old(&mut self, now: u64, cx: &mut Context<'_>) {
        if self.waiting == 0 {
            return;
        }
        let old = self.streams.extract(|_, stream| {
            stream.request.is_none() && now.saturating_sub(stream.last) > AHEAD_MAX
        });
        for (_, stream) in old {
            self.abandon(&stream, Dropped::Uncertain, cx);
        }
    }

    /// Lets go of everything that takes memory.
    pub(in crate::l7) fn release(&mut self, cx: &mut Context<'_>) {
        for (_, stream) in self.streams.extract(|_, _| true) {
            self.abandon(&stream, Dropped::Uncertain, cx);
        }
        for direction in super::BOTH {
            self.drop_block(direction, cx);
            let side = self.side(direction);
            side.frames.release(cx.buffers);
            side.decoder.forget(cx.memory);
        }
    }
}

/// Gives the exchange of a stream out.
fn complete(stream: &Stream, cx: &mut Context<'_>) {
    let Some(slot) = stream.request else {
        return;
    };
    let answer = &stream.answer;
    if let Some(exchange) = cx.pool.value(slot) {
        exchange.start = exchange.start.min(answer.start.unwrap_or(u64::MAX));
        exchange.end = answer.end.unwrap_or_default().max(exchange.start);
        exchange.response_start = answer.start;
        exchange.status = answer.status;
        exchange.response_headers = answer.headers.clone();
        exchange.failure = answer.failure;
        exchange.request_body = stream.asked.body();
        exchange.response_body = stream.answered.body();
        exchange.truncated |= answer.truncated;
        exchange.rpc = stream.grpc.then(|| Rpc {
            status: answer.grpc_status,
            requests: stream.asked.messages(),
            responses: stream.answered.messages(),
        });
        exchange.transport.ended(cx.tcp);
        cx.counters.exchanges += 1;
        (cx.out)(exchange);
    }
    cx.pool.remove(slot);
}
