//! HTTP: which reads and writes are told to the agent, and how much of them.
//!
//! Next to nothing is parsed here. The first eight bytes decide whether a connection is looked at
//! at all; after that every read and write is told with its place in the stream, and enough of its
//! bytes that the agent can follow the messages. See `sonde_common::event::http`. The same goes for
//! what is read and written inside TLS (`super::tls`), with positions of its own.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use sonde_common::{
    event::{
        connection::{LOST, Stream, body::UNKNOWN, message, verdict},
        http::{
            BUDGET, CAPTURE_BODY, CAPTURE_FRONT, Direction, NOT_QUEUED, Open, Segment, Tuple, flag,
        },
        tcp::Arrival,
    },
    fault::Fault,
    header::{Header, Kind},
};

mod arrival;
mod body;
mod chunk;
mod classify;
mod cursor;
mod decide;
mod head;
mod http2;
mod life;
mod payload;
mod record;
mod rest;
mod socket;
mod sysexit;

pub(crate) use self::{
    arrival::{before_last_read, forget_arrivals},
    body::pass,
    decide::turned,
    life::{closing, end, sending_ended},
    payload::Payload,
    record::{Buffer, Slot},
    rest::{Left, Rest, give_up, give_up_messages, tell_messages, tell_parts},
    socket::{MSG_ERRQUEUE, MSG_PEEK},
};
use self::{
    classify::{Class, classify},
    decide::is_told,
    life::{adopt, moves, state_of},
    record::Record,
};
use crate::{
    emit::{header, send},
    kernel::{Access, Tcp, waited},
    scratch::forget,
};

/// One read or write that moved bytes, or found the end of the stream (`length` 0).
pub(crate) struct Io {
    pub(crate) direction: Direction,
    /// Without those that were told as parts of their own.
    pub(crate) length: u32,
    pub(crate) tgid: u32,
    pub(crate) payload: Payload,
    /// Memory for the record.
    pub(crate) slot: Slot,
}

/// Who can say who talks to whom.
pub(crate) trait Peers {
    /// Not for the hot path: several reads.
    fn peers(&self) -> Tuple;

    /// How long what is read now has been there, microseconds, or [`NOT_QUEUED`].
    fn waited(&self, now: u64) -> u32;
}

impl<A: Access> Peers for Tcp<A> {
    #[inline(always)]
    fn peers(&self) -> Tuple {
        self.sock().tuple()
    }

    #[inline(always)]
    fn waited(&self, now: u64) -> u32 {
        let arrival = arrival::number(&self.sock()).zip(self.last_data());
        arrival.map_or(NOT_QUEUED, |(sk, data)| {
            waited(&Arrival::new(before_last_read(sk), data), now)
        })
    }
}

impl Io {
    /// What the record says of it, without any of its bytes.
    #[inline(always)]
    fn segment(&self, stream: &Stream, time: u64, flags: u32) -> Segment {
        Segment {
            header: Header {
                time,
                tgid: self.tgid,
                tid: 0,
                kind: Kind::HttpSegment as u32,
                pad: 0,
            },
            connection: stream.connection,
            offset: stream.offset[self.direction as usize & 1],
            length: self.length,
            captured: 0,
            tail: 0,
            direction: self.direction as u16,
            flags: flags as u16,
            skipped: 0,
            framing: 0,
            queued: NOT_QUEUED,
            tcp: stream.tcp,
        }
    }
}

/// Follows bytes that move in a stream; how many are left for [`go_on`].
#[inline(always)]
pub(crate) fn follow<P: Peers>(stream: &mut Stream, peers: &P, io: &Io) -> u32 {
    let told = is_told(stream, io);
    advance(stream, peers, io, told)
}

/// The same, where it is known whether they are told.
#[inline(always)]
fn advance<P: Peers>(stream: &mut Stream, peers: &P, io: &Io, told: bool) -> u32 {
    let mut left = 0;
    if told && announce(stream, peers) {
        if stream.verdict == verdict::HTTP2 {
            return go_on(stream, peers, io);
        }
        left = follow_http1(stream, peers, io);
    } else if told && stream.verdict == verdict::HTTP2 {
        // Where the next frame begins isn't looked for while nobody is told.
        http2::join(stream);
    }
    stream.offset[io.direction as usize & 1] += u64::from(io.length - left);
    left
}

/// Tells a part of what is read or written, of HTTP/2; how many bytes are left for another one.
#[inline(always)]
fn go_on<P: Peers>(stream: &mut Stream, peers: &P, io: &Io) -> u32 {
    let length = http2::tell(stream, peers, io);
    stream.offset[io.direction as usize & 1] += u64::from(length);
    io.length - length
}

/// The same of HTTP/1.x, where [`follow_http1`] has left it.
#[inline(always)]
fn go_on_http1<P: Peers>(stream: &mut Stream, peers: &P, io: &Io) -> u32 {
    let direction = io.direction as usize & 1;
    let length = if forget(&mut stream.body[direction]) == UNKNOWN {
        head::tell(stream, peers, io)
    } else {
        body::tell(stream, peers, io)
    };
    stream.offset[direction] += u64::from(length);
    io.length.wrapping_sub(length)
}

/// Follows what is read or written of HTTP/1.x; how many bytes are left for [`go_on_http1`]: all of
/// those of a message that goes on beyond what this program looks at, or ends there.
#[inline(always)]
fn follow_http1<P: Peers>(stream: &mut Stream, peers: &P, io: &Io) -> u32 {
    let direction = io.direction as usize & 1;
    let turned = stream.last_direction != io.direction as u8 || stream.offset[direction] == 0;
    let marks = stream.message[direction] & !message::TURNED;
    stream.message[direction] = marks | if turned { message::TURNED } else { 0 };
    stream.last_direction = io.direction as u8;
    if stream.body[direction] == UNKNOWN {
        tell(stream, peers, io)
    } else if body::passes_over(stream, io) {
        0
    } else {
        io.length
    }
}

/// Tells the agent who talks to whom, once; whether it knows.
#[inline(always)]
fn announce<P: Peers>(stream: &mut Stream, peers: &P) -> bool {
    if stream.announced != 0 {
        return true;
    }
    let record = Open {
        header: header(Kind::HttpOpen),
        connection: stream.connection,
        tuple: peers.peers(),
        late: stream.late.into(),
        tls: stream.tls.into(),
        http2: (stream.verdict == verdict::HTTP2 && stream.budget[0] == LOST).into(),
    };
    if send(Kind::HttpOpen, &record, Fault::RingHttp) {
        stream.announced = 1;
    }
    stream.announced != 0
}

/// Tells of the read or write, with its first and last bytes; how many of them are left, because
/// they aren't HTTP/1.x, or may be more than a short message.
#[inline(always)]
fn tell<P: Peers>(stream: &mut Stream, peers: &P, io: &Io) -> u32 {
    let direction = io.direction as usize & 1;
    let mut record = Record::begin(io.slot);
    let front = io.length.min(CAPTURE_FRONT as u32);
    let Some(captured) = record.capture(&io.payload, front) else {
        tell_of(stream, io, record.time(), flag::OPAQUE);
        return 0;
    };
    let class = classify(record.first(), captured.min(8));
    if class as u8 == Class::Http2 as u8 {
        // The preface follows the answer: what is read and written is told otherwise from here on.
        http2::upgrade(stream, io.direction);
        return io.length;
    }
    // One to the verifier, whatever has led to it, and the same below.
    let class = record.word().forget(class as u32);
    if body::is_told_whole(stream, direction, record.first(), captured) {
        return io.length;
    }
    let class = record.word().forget(class);
    if class == Class::Request as u32 || class == Class::Response as u32 {
        stream.budget[direction] = BUDGET;
        let split = stream.message[direction] & message::SPLIT != 0;
        if split || head::is_worth_reading(&record, captured, io.length) {
            stream.message[direction] &= !message::OF_SHORT;
            return io.length;
        }
        stream.message[direction] |= head::short(class == Class::Request as u32);
    } else if class == Class::Partial as u32 {
        // A message may begin with a few bytes that could be the start of anything.
        stream.budget[direction] = BUDGET;
        if stream.message[direction] & message::TURNED != 0 {
            stream.message[direction] |= message::SHORT;
        }
    }
    let class = record.word().forget(class);
    let captured = record.word().forget(captured);
    let captured = captured.min(forget(&mut stream.budget[direction]).max(CAPTURE_BODY as u32));
    let captured = record.word().forget(captured);
    let request = class == Class::Request as u32;
    tell_front(stream, peers, io, record, captured, request);
    0
}

/// Tells of a read or write with the bytes of its front that were captured, and its last ones.
#[inline(always)]
fn tell_front<P: Peers>(
    stream: &mut Stream,
    peers: &P,
    io: &Io,
    mut record: Record,
    captured: u32,
    request: bool,
) {
    let direction = io.direction as usize & 1;
    stream.budget[direction] = stream.budget[direction].saturating_sub(captured);
    let tail = if captured < io.length {
        record.tail(&io.payload, io.length, captured)
    } else {
        0
    };
    let segment = Segment {
        captured: captured as u16,
        tail: tail as u16,
        queued: queued(peers, io, request, record.time()),
        ..io.segment(stream, record.time(), 0)
    };
    record.send(segment);
}

/// How long a request that is read was there before.
#[inline(always)]
fn queued<P: Peers>(peers: &P, io: &Io, request: bool, now: u64) -> u32 {
    if request && io.direction as u8 == Direction::Receive as u8 {
        io.slot.word().forget(peers.waited(now))
    } else {
        NOT_QUEUED
    }
}

/// Tells of a read or write, or of the end of a direction, without any of its bytes.
#[inline(always)]
fn tell_of(stream: &Stream, io: &Io, time: u64, flags: u32) {
    let segment = io.segment(stream, time, flags);
    send(Kind::HttpSegment, &segment, Fault::RingHttp);
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper takes nothing and always succeeds.
    unsafe { bpf_ktime_get_ns() }
}
