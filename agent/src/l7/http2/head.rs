//! Header blocks: to requests, answers and trailers.

use sonde_common::event::http::Direction;

use super::{
    Connection, FrameHeader, Kind,
    chunk::Origin,
    fields::{Collector, Head},
    flag,
    streams::Half,
};
use crate::l7::{
    connection::Context,
    counters::Dropped,
    exchange::{Exchange, Method, Role},
    headers::{Headers, Message},
    transport::Transport,
};

/// A header block that comes in several frames.
#[derive(Debug)]
pub(super) struct Block {
    of: Of,
    /// `None` when a part was missed, or it is longer than may be kept.
    bytes: Option<Vec<u8>>,
}

/// What a header block belongs to.
#[derive(Clone, Copy, Debug)]
struct Of {
    stream: u32,
    /// A request that the server makes up: it is passed over.
    promised: bool,
    end_stream: bool,
    /// The first byte of its first frame.
    origin: Origin,
}

impl Connection {
    /// HEADERS and `PUSH_PROMISE`.
    pub(super) fn begin_block(
        &mut self,
        direction: Direction,
        header: FrameHeader,
        payload: Option<&[u8]>,
        origin: Origin,
        time: u64,
        cx: &mut Context<'_>,
    ) {
        if self.side(direction).block.is_some() {
            // The one before has no end: no such thing may happen (RFC 9113 section 6.10).
            self.drop_block(direction, cx);
            self.side(direction).decoder.forget(cx.memory);
        }
        let of = Of {
            stream: header.stream,
            promised: header.kind == Kind::PushPromise,
            end_stream: header.has(flag::END_STREAM) && header.kind == Kind::Headers,
            origin,
        };
        let fragment = payload.and_then(|payload| fragment(&header, payload));
        if header.has(flag::END_HEADERS) {
            return self.block(direction, of, fragment, time, cx);
        }
        let bytes = fragment.filter(|bytes| bytes.len() <= cx.buffers.room(0));
        cx.buffers.used += bytes.map_or(0, <[u8]>::len);
        self.side(direction).block = Some(Block {
            of,
            bytes: bytes.map(<[u8]>::to_vec),
        });
    }

    /// CONTINUATION.
    pub(super) fn continue_block(
        &mut self,
        direction: Direction,
        header: FrameHeader,
        payload: Option<&[u8]>,
        time: u64,
        cx: &mut Context<'_>,
    ) {
        let Some(mut block) = self.side(direction).block.take() else {
            // That of a block whose beginning was missed.
            cx.counters.header_blocks += 1;
            return self.side(direction).decoder.forget(cx.memory);
        };
        let kept = block.bytes.as_ref().map_or(0, Vec::len);
        let fits = |more: &&[u8]| more.len() <= cx.buffers.room(kept);
        match (&mut block.bytes, payload.filter(fits)) {
            (Some(bytes), Some(more)) if block.of.stream == header.stream => {
                cx.buffers.used += more.len();
                bytes.extend_from_slice(more);
            }
            _ => {
                cx.buffers.used -= kept;
                block.bytes = None;
            }
        }
        if header.has(flag::END_HEADERS) {
            cx.buffers.used -= block.bytes.as_ref().map_or(0, Vec::len);
            self.block(direction, block.of, block.bytes.as_deref(), time, cx);
        } else {
            self.side(direction).block = Some(block);
        }
    }

    /// Lets go of a header block that goes on.
    pub(super) fn drop_block(&mut self, direction: Direction, cx: &mut Context<'_>) {
        if let Some(block) = self.side(direction).block.take() {
            cx.buffers.used -= block.bytes.map_or(0, |bytes| bytes.len());
            cx.counters.header_blocks += 1;
        }
    }

    /// A whole header block, or the end of one that was missed.
    fn block(
        &mut self,
        direction: Direction,
        of: Of,
        bytes: Option<&[u8]>,
        time: u64,
        cx: &mut Context<'_>,
    ) {
        let mut collector = Collector {
            head: Head::default(),
            texts: &mut cx.reader.texts,
            selection: &cx.reader.selection,
        };
        let decoder = &mut self.side(direction).decoder;
        let read = bytes.map(|bytes| decoder.decode(bytes, &mut collector, cx.memory));
        let mut head = collector.head;
        if !matches!(read, Some(Ok(()))) {
            decoder.forget(cx.memory);
            cx.counters.header_blocks += 1;
            head.hidden = true;
            head.truncated = true;
        }
        // Streams that a server begins have even numbers.
        if of.promised || of.stream.is_multiple_of(2) {
            cx.counters.pushed += u64::from(of.promised);
            return;
        }
        cx.counters.hidden_fields += u64::from(head.hidden);
        self.requests = self.requests.or(match (head.asks, head.answers) {
            (true, false) => Some(direction),
            (false, true) => Some(super::opposite(direction)),
            _ => None,
        });
        match self.requests {
            Some(requests) if requests == direction => self.ask(of, head, time, cx),
            Some(_) => self.answer(of, &head, time, cx),
            None => {}
        }
    }

    /// A request, or its trailers.
    fn ask(&mut self, of: Of, head: Head, time: u64, cx: &mut Context<'_>) {
        if let Some(stream) = self.streams.get(of.stream)
            && stream.request.is_some()
        {
            stream.last = time;
            stream.asked.ended |= of.end_stream;
            return;
        }
        // Trailers of a request that was missed end its stream.
        let trailers = self.unsure && of.end_stream && !head.asks;
        if of.stream <= self.newest || trailers {
            return;
        }
        self.newest = of.stream;
        self.unsure &= !head.asks;
        cx.counters.requests += 1;
        if let Some(reason) = self.refusal(of.stream, cx) {
            cx.counters.drop_request(reason);
            return self.forget(of.stream, cx);
        }
        self.begin(of, head, time, cx);
    }

    /// Why a request can't be followed.
    fn refusal(&mut self, stream: u32, cx: &Context<'_>) -> Option<Dropped> {
        if stream > self.refused_above {
            Some(Dropped::GoneAway)
        } else if self.streams.len() >= cx.limits.max_streams && self.streams.get(stream).is_none()
        {
            Some(Dropped::StreamsFull)
        } else if cx.pool.len() >= cx.limits.max_in_flight {
            Some(Dropped::InFlightFull)
        } else {
            None
        }
    }

    fn begin(&mut self, of: Of, head: Head, time: u64, cx: &mut Context<'_>) {
        let grpc = head.grpc;
        let exchange = self.exchange(of.origin, head, cx);
        let slot = cx.pool.insert(exchange);
        self.waiting -= usize::from(self.streams.get(of.stream).is_some());
        let stream = self.streams.get_or_insert(of.stream, time);
        stream.request = Some(slot);
        stream.grpc |= grpc;
        stream.asked = Half::begun(grpc);
        stream.asked.ended = of.end_stream;
        stream.last = time;
        self.settle(of.stream, cx);
    }

    fn exchange(&self, origin: Origin, head: Head, cx: &mut Context<'_>) -> Exchange {
        let (method, method_original) = head.method.unwrap_or((Method::Hidden, None));
        let empty = || cx.reader.texts.text(b"", 0).0;
        Exchange {
            connection: self.id,
            tuple: self.tuple,
            role: match self.requests {
                Some(Direction::Send) => Role::Client,
                _ => Role::Server,
            },
            tgid: origin.tgid,
            start: origin.time,
            queued: origin.queued,
            transport: Transport::begun(origin.tcp),
            response_start: None,
            end: origin.time,
            method,
            method_original,
            path: head.path.unwrap_or_else(empty),
            host: head.authority.or(head.host),
            user_agent: head.user_agent,
            version: "2",
            scheme: self.scheme,
            status: None,
            failure: None,
            request_body: None,
            response_body: None,
            parent: head.parent,
            truncated: head.truncated,
            request_headers: cx.reader.selection.headers(Message::Request, &head.kept),
            response_headers: Headers::default(),
            rpc: None,
        }
    }

    /// An answer, or its trailers.
    fn answer(&mut self, of: Of, head: &Head, time: u64, cx: &mut Context<'_>) {
        if self.streams.get(of.stream).is_none() {
            if of.stream <= self.newest {
                // It is over.
                return;
            }
            if self.streams.len() >= cx.limits.max_streams {
                cx.counters.orphan_responses += 1;
                return;
            }
            self.waiting += 1;
        }
        let stream = self.streams.get_or_insert(of.stream, time);
        if stream.answer.end.is_some() {
            // Only its request is waited for: nothing may follow an answer's end.
            return;
        }
        stream.last = time;
        stream.grpc |= head.grpc || head.grpc_status.is_some();
        let trailers = of.end_stream && !head.answers;
        let interim = head.is_interim() && !of.end_stream;
        if !(trailers || interim) {
            stream.answer.start = Some(of.origin.time);
            stream.answer.status = head.status;
            stream.answer.headers = cx.reader.selection.headers(Message::Response, &head.kept);
            stream.answered = Half::begun(stream.grpc);
        }
        stream.answer.truncated |= head.truncated;
        stream.answer.grpc_status = stream.answer.grpc_status.or(head.grpc_status);
        if of.end_stream {
            stream.answered.ended = true;
            self.answered(of.stream, time, None, cx);
        }
    }
}

/// The part of a payload that is of the header block, RFC 9113 sections 6.2 and 6.6; `None` when
/// it is not as long as it says.
fn fragment<'a>(header: &FrameHeader, payload: &'a [u8]) -> Option<&'a [u8]> {
    let (padding, rest) = if header.has(flag::PADDED) {
        let (padding, rest) = payload.split_first()?;
        (usize::from(*padding), rest)
    } else {
        (0, payload)
    };
    let before = match header.kind {
        Kind::PushPromise => 4,
        _ if header.has(flag::PRIORITY) => 5,
        _ => 0,
    };
    rest.get(before..rest.len().checked_sub(padding)?)
}
