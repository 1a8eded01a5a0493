//! Both directions of a connection: pairs answers with requests, first in, first out.
//!
//! What the kernel side tells has holes: records are lost, and only the front and the end of a
//! long read or write is captured. Three kinds of hole, three rules:
//!
//! 1. **The hole is inside a body whose framing needs none of the missing bytes** (a known
//!    length, chunk data, a body that ends with the connection): it is counted over. Nothing is
//!    uncertain.
//! 2. **The framing stood in the hole** (a chunk size, the rest of a long head). The exchange
//!    stays right in what is known; a body's size is not. A request's body then counts as over
//!    when its answer is. An answer's end is inferred when the next request begins or the
//!    direction ends, and is the time of the last byte before that. Where those bytes are a last
//!    chunk, the direction is in step again; else an answer to what is asked next is taken only
//!    from the start of a read or write. When other requests wait already, their answers may be in
//!    the hole as well, and rule 3 holds for them. So it does when records of requests were lost by
//!    then: the last bytes may be another answer's.
//! 3. **Whole messages may have been in the hole** (it lies between messages, within a head, or
//!    reaches beyond a body's end). In the request direction, the requests before the hole are
//!    still the first in line and keep their answers; then the direction is out of step. In the
//!    response direction no answer can be told to belong to a request in flight any more: those
//!    without the beginning of an answer are dropped, and counted.
//!
//! A direction that is out of step (and a connection that was open before the agent starts so)
//! takes a request only from a head at the very start of a read or write, and only when nothing is
//! in flight, or one request whose answer has begun and whose end can only be inferred: a client
//! that doesn't pipeline sends the next request after it has read the whole answer. The answer must
//! then begin at the start of a read or write too. On a connection that was seen to pipeline such a
//! point is known only after a request's body whose framing was lost, where its last chunk was seen
//! and everything is answered; else it is given up. While answers of unknown requests may be under way
//! (`suspect`), a second request before the first one's answer is out of step again: both are
//! dropped, and their answers waited out. A request that is not taken is counted as dropped.
//!
//! A body that a client offers (`Expect: 100-continue`) may be left out after a final answer
//! (RFC 9110 section 10.1.1): what stands in its place then is the next request.
//!
//! What can't be known is pipelining that happened in missed bytes only. RFC 9112 section 9.3.2
//! tells clients not to pipeline after a request with a non-idempotent method, which is where
//! bodies, and so missed bytes, are.
//!
//! A client that writes in one thread and reads in another may be seen to read an answer before
//! its request is seen: see [`early`].

mod admission;
mod early;
mod end;
mod gap;
mod intake;
mod request;
mod request_body;
mod response;
mod upgrade;

use sonde_common::event::{
    http::{Direction, Tuple, flag},
    tcp::Info,
};

pub(super) use self::early::AHEAD_MAX;
use self::{early::Early, upgrade::Upgrade};
use super::{
    counters::{Counters, Dropped, GivenUp},
    exchange::{Exchange, Failure, Method, Role},
    http1::Reader,
    http2::{self, Memory},
    queue::{Pool, Queue},
    stream::{Buffers, Origin, State, Stream},
    table::Limits,
};
use crate::event::{Opened, Segment};

/// What all connections share.
pub(super) struct Context<'a> {
    pub(super) limits: &'a Limits,
    pub(super) counters: &'a mut Counters,
    pub(super) pool: &'a mut Pool<Exchange>,
    pub(super) reader: &'a mut Reader,
    pub(super) buffers: &'a mut Buffers,
    pub(super) memory: &'a mut Memory,
    /// What TCP knows of the connection at hand, where that is known.
    pub(super) tcp: Option<Info>,
    pub(super) out: &'a mut dyn FnMut(&Exchange),
}

/// One connection.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not states"
)]
pub(super) struct Connection {
    id: u64,
    tuple: Tuple,
    /// `url.scheme`
    scheme: &'static str,
    /// It was open before anything was told of it.
    late: bool,
    received: Stream,
    sent: Stream,
    /// Requests without a complete answer.
    queue: Queue,
    /// Which direction answers come in, once that is known; a guess until a request was taken.
    answers: Option<Direction>,
    /// A request was taken, so `answers` is certain.
    accepted: bool,
    /// Whose answer is under way.
    answering: Answering,
    /// Methods of the requests that were given up and whose answers may still come.
    stale: Vec<Method>,
    /// The connection goes on as HTTP/2.
    upgrade: Upgrade,
    /// Bytes of answers whose requests are still to come.
    early: Option<Box<Early>>,
    /// Nothing waits for a request any more.
    hasty: bool,
    /// A second request began before the first one's answer.
    pipelined: bool,
    /// An answer to an unknown request may be under way.
    suspect: bool,
    /// Nothing more is looked at.
    opaque: bool,
    /// That is so although more requests may come.
    given_up: bool,
    /// The connection has ended.
    gone: bool,
    /// It was counted that bytes were not taken for a message.
    rejected: bool,
}

/// Whose answer the response direction carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answering {
    /// Nobody's that is known.
    Nobody,
    /// That of the first request in the queue.
    First,
}

/// Whether more is to be expected of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    Open,
    /// It is gone, but a request may still be told of whose answer was seen.
    Lingering,
    /// It is gone.
    Gone,
}

/// Where some bytes came from.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    direction: Direction,
    origin: Origin,
}

impl Connection {
    /// A connection of which nothing has been told yet.
    pub(super) const fn new(opened: &Opened) -> Self {
        Self {
            id: opened.connection,
            tuple: opened.tuple,
            scheme: if opened.tls { "https" } else { "http" },
            late: opened.late,
            received: Stream::new(opened.late),
            sent: Stream::new(opened.late),
            queue: Queue::new(),
            answers: None,
            accepted: false,
            answering: Answering::Nobody,
            stale: Vec::new(),
            upgrade: Upgrade::No,
            early: None,
            hasty: false,
            pipelined: false,
            suspect: false,
            opaque: false,
            given_up: false,
            gone: false,
            rejected: false,
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
        if !self.opaque {
            self.forget_old(segment.time, cx);
            self.bytes(segment, cx);
            if self.early.is_some() {
                self.replay(cx);
            }
        } else if self.given_up {
            self.pass_over_segment(segment, cx);
        }
        let failure = if segment.flags & flag::RESET != 0 {
            Some(Failure::ConnectionReset)
        } else if segment.flags & flag::CLOSED != 0 {
            Some(Failure::ConnectionClosed)
        } else {
            if segment.flags & flag::END != 0 {
                self.end(segment.direction, segment.time, cx);
            }
            None
        };
        match failure {
            Some(failure) if self.close_early(segment.time, failure) => return Fate::Lingering,
            Some(failure) => self.close(segment.time, failure, cx),
            None => {}
        }
        if self.gone { Fate::Gone } else { Fate::Open }
    }

    /// Nothing has been taken for a message yet.
    pub(super) const fn is_undecided(&self) -> bool {
        !(self.accepted || self.opaque || self.gone)
    }

    /// Where `direction` is, and the bytes of a head that isn't whole.
    pub(super) fn place(&mut self, direction: Direction) -> (u64, &[u8]) {
        let stream = self.stream(direction);
        (stream.next, stream.partial())
    }

    /// What goes on as HTTP/2; how each direction begins isn't known.
    pub(super) fn become_http2(&mut self, cx: &mut Context<'_>) -> http2::Opening {
        let sides = [self.received.next, self.sent.next];
        self.release(cx);
        http2::Opening {
            id: self.id,
            tuple: self.tuple,
            scheme: self.scheme,
            requests: None,
            sides: sides.map(|next| (next, http2::Start::Anywhere)),
        }
    }

    fn stream(&mut self, direction: Direction) -> &mut Stream {
        match direction {
            Direction::Receive => &mut self.received,
            Direction::Send => &mut self.sent,
        }
    }

    /// The direction of answers; both are `None` until it is known.
    fn responses(&mut self) -> Option<&mut Stream> {
        self.answers.map(|direction| self.stream(direction))
    }

    fn requests(&mut self) -> Option<&mut Stream> {
        self.answers
            .map(|direction| self.stream(opposite(direction)))
    }

    const fn role(&self) -> Role {
        match self.answers {
            Some(Direction::Receive) => Role::Client,
            _ => Role::Server,
        }
    }

    /// Gives the first exchange in the queue out.
    fn finish(&mut self, end: u64, cx: &mut Context<'_>) {
        if let Some(exchange) = self.queue.front(cx.pool) {
            // An early answer was seen before its request.
            exchange.start = exchange
                .start
                .min(exchange.response_start.unwrap_or(u64::MAX));
            // What a long write has begun is told when that ends, which a reset may have made it.
            let begun = exchange.response_start.unwrap_or(exchange.start);
            exchange.end = end.max(begun);
            exchange.transport.ended(cx.tcp);
            cx.counters.exchanges += 1;
            (cx.out)(exchange);
            self.queue.drop_front(cx.pool);
        }
    }

    fn drop_all(&mut self, reason: Dropped, cx: &mut Context<'_>) {
        while self.queue.drop_front(cx.pool) {
            cx.counters.drop_request(reason);
        }
        self.answering = Answering::Nobody;
    }

    /// Looks at nothing more of this connection.
    fn give_up(&mut self, reason: GivenUp, dropped: Dropped, cx: &mut Context<'_>) {
        cx.counters.give_up(reason);
        self.given_up = true;
        self.drop_all(dropped, cx);
        self.release(cx);
    }

    /// Lets go of everything that takes memory.
    pub(super) fn release(&mut self, cx: &mut Context<'_>) {
        self.drop_all(Dropped::Uncertain, cx);
        self.drop_early(cx);
        self.received.drop_head(cx.buffers);
        self.sent.drop_head(cx.buffers);
        self.stale = Vec::new();
        self.opaque = true;
    }
}

/// The state of the response direction, apart from its position.
fn set_state(stream: Option<&mut Stream>, state: State) {
    if let Some(stream) = stream {
        stream.state = state;
    }
}

const fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Receive => Direction::Send,
        Direction::Send => Direction::Receive,
    }
}
