//! HTTP/2 connections (RFC 9113): frames, streams, and the exchanges they make.
//!
//! A stream is a request and its answer, so nothing has to be paired by order. What was missed
//! matters in three ways only:
//!
//! 1. **Within a payload** it leaves every frame around it in place: of DATA nothing is lost but,
//!    where it hid a prefix, the number of gRPC messages; of a header block, what its fields say.
//! 2. **Beyond a frame's end** the frames that follow are not known ([`frames`]) until the front
//!    of a later read or write looks like frames. Streams that were open are doubtful from then on:
//!    their end may have been missed. One that goes on ends as it should, without sizes; one that
//!    doesn't is dropped, and counted, rather than told to have failed.
//! 3. **A header block that was missed** may have inserted entries into the direction's dynamic table.
//!    From there on only entries that are inserted later are known ([`hpack`]). What a message's
//!    other fields say is hidden: a request then has no path, host or method, an answer no status,
//!    and neither gets a wrong one. The rest of the exchange is right.
//!
//! A connection that was open before begins with the second and third, and without saying who asks:
//! the first header block with a pseudo-header field does.
//!
//! An answer that is told of before its request, because one thread writes and another reads, waits
//! as its stream's.

mod chunk;
mod end;
mod fields;
mod frame;
mod frames;
mod head;
mod hpack;
mod intake;
mod messages;
mod side;
mod streams;

use sonde_common::event::http::{Direction, Tuple, flag as event_flag};

use self::{
    chunk::{Origin, Payload},
    frame::{FrameHeader, Kind, MAX_FRAME, flag},
    side::Side,
    streams::{Half, Streams},
};
pub(super) use self::{
    frame::{PREFACE, looks_late, starts_as_server},
    hpack::Memory,
    side::{Opening, Start},
};
use super::{
    connection::{Context, Fate},
    exchange::Failure,
};
use crate::event::Segment;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    tuple: Tuple,
    /// `url.scheme`
    scheme: &'static str,
    received: Side,
    sent: Side,
    /// Which direction requests go, once that is known.
    requests: Option<Direction>,
    streams: Streams,
    /// Highest number of a request's stream.
    newest: u32,
    /// Requests on streams with a higher number may have been missed.
    unsure: bool,
    /// Streams with a higher number are not looked at by the server.
    refused_above: u32,
    /// Streams of which only the answer was told of.
    waiting: usize,
    /// Largest payload that either side said it takes.
    longest: u32,
    /// When and how the connection ended.
    gone: Option<(u64, Failure)>,
}

impl Connection {
    pub(super) fn new(opening: &Opening) -> Self {
        let [received, sent] = opening.sides.map(|(next, start)| Side::new(next, start));
        Self {
            id: opening.id,
            tuple: opening.tuple,
            scheme: opening.scheme,
            received,
            sent,
            requests: opening.requests,
            streams: Streams::default(),
            newest: 0,
            unsure: opening.is_late(),
            refused_above: u32::MAX,
            waiting: 0,
            longest: MAX_FRAME,
            gone: None,
        }
    }

    /// A connection that was HTTP/1.1 until now; the request in this slot of the pool is answered on
    /// stream 1 (RFC 7540 section 3.2).
    pub(super) fn upgraded(opening: &Opening, slot: u32, cx: &mut Context<'_>) -> Self {
        let mut connection = Self::new(opening);
        connection.newest = 1;
        if let Some(exchange) = cx.pool.value(slot) {
            exchange.version = "2";
            let stream = connection.streams.get_or_insert(1, exchange.start);
            stream.request = Some(slot);
            stream.asked = Half::over(exchange.request_body);
        }
        connection
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Receive => &mut self.received,
            Direction::Send => &mut self.sent,
        }
    }

    /// `url.scheme`
    pub(super) const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// When the last byte moved in either direction.
    pub(super) fn last(&self) -> u64 {
        self.received.last.max(self.sent.last)
    }

    /// Takes one segment in.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) -> Fate {
        self.forget_old(segment.time, cx);
        if segment.length > 0 {
            self.bytes(segment, cx);
        }
        if segment.flags & event_flag::RESET != 0 {
            self.close(segment.time, Failure::ConnectionReset, cx);
        } else if segment.flags & event_flag::CLOSED != 0 {
            self.close(segment.time, Failure::ConnectionClosed, cx);
        } else if segment.flags & event_flag::END != 0 && self.is_answers(segment.direction) {
            self.finish_all(segment.time, Failure::ConnectionClosed, cx);
        }
        match self.gone {
            None => Fate::Open,
            Some(_) if self.waiting > 0 => Fate::Lingering,
            Some(_) => {
                self.release(cx);
                Fate::Gone
            }
        }
    }

    /// A part of a DATA frame; the last one when `ended`.
    fn data(
        &mut self,
        direction: Direction,
        header: &FrameHeader,
        payload: Payload<'_>,
        ended: bool,
        time: u64,
        cx: &mut Context<'_>,
    ) {
        let answers = self.is_answers(direction);
        let Some(stream) = self.streams.get(header.stream) else {
            return;
        };
        stream.last = time;
        let half = if answers {
            &mut stream.answered
        } else {
            &mut stream.asked
        };
        if half.ended {
            return;
        }
        half.pass(payload);
        if ended && header.has(flag::END_STREAM) {
            half.ended = true;
            if answers {
                self.answered(header.stream, time, None, cx);
            }
        }
    }

    /// Any other frame that matters; `first` tells of its first byte and `time` of its last.
    fn frame(
        &mut self,
        direction: Direction,
        header: FrameHeader,
        payload: Option<&[u8]>,
        first: Origin,
        time: u64,
        cx: &mut Context<'_>,
    ) {
        match header.kind {
            Kind::Headers | Kind::PushPromise => {
                self.begin_block(direction, header, payload, first, time, cx);
            }
            Kind::Continuation => self.continue_block(direction, header, payload, time, cx),
            Kind::ResetStream => self.reset(header.stream, payload, time, cx),
            Kind::GoAway if self.is_answers(direction) => self.go_away(payload, cx),
            Kind::Settings => self.settings(payload.unwrap_or_default()),
            _ => {}
        }
    }

    /// `SETTINGS_MAX_FRAME_SIZE`, RFC 9113 section 6.5.2. No other setting changes what is read.
    fn settings(&mut self, payload: &[u8]) {
        let (settings, _) = payload.as_chunks::<6>();
        for [i1, i0, v3, v2, v1, v0] in settings {
            if [*i1, *i0] == [0, 5] {
                let value = u32::from_be_bytes([*v3, *v2, *v1, *v0]);
                self.longest = self.longest.max(value);
            }
        }
    }

    /// Where the next frame begins is not known any more, nor what was sent in between.
    fn lose(&mut self, direction: Direction, cx: &mut Context<'_>) {
        cx.counters.framing_lost += 1;
        self.unsure = true;
        self.drop_block(direction, cx);
        self.side(direction).decoder.forget(cx.memory);
        let answers = self.is_answers(direction);
        self.streams
            .values_mut()
            .for_each(|stream| stream.miss(answers));
    }

    fn is_answers(&self, direction: Direction) -> bool {
        self.requests.is_some_and(|requests| requests != direction)
    }
}

const BOTH: [Direction; 2] = [Direction::Receive, Direction::Send];

const fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Receive => Direction::Send,
        Direction::Send => Direction::Receive,
    }
}
