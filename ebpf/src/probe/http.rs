//! HTTP: which reads and writes are told to the agent, and how much of them.
//!
//! Next to nothing is parsed here. The first eight bytes decide whether a connection is looked at
//! at all; after that every read and write is told with its place in the stream, and enough of its
//! bytes that the agent can follow the messages. See `sonde_common::event::http`. The same goes for
//! what is read and written inside TLS (`super::tls`), with positions of its own.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use sonde_common::{
    event::{
        connection::{Connection, LOST, Stream, body::UNKNOWN, message, verdict},
        http::{
            BUDGET, CAPTURE_BODY, CAPTURE_FRONT, Direction, NOT_QUEUED, Open, Segment, Tuple, flag,
        },
    },
    fault::Fault,
    header::{Header, Kind},
};

mod body;
mod chunk;
mod classify;
mod cursor;
mod decide;
mod head;
mod http2;
mod payload;
mod record;
mod rest;
mod socket;
mod sysexit;

pub(crate) use self::{
    body::pass,
    decide::turned,
    payload::Payload,
    record::{Buffer, Slot},
    rest::{Left, Rest, give_up, give_up_messages, tell_messages, tell_parts},
};
use self::{
    classify::{Class, classify},
    decide::is_told,
    record::Record,
};
use super::tls;
use crate::{
    connection::Store,
    emit::{fault, header, send},
    kernel::{Access, Sock},
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

impl<A: Access> Peers for Sock<A> {
    #[inline(always)]
    fn peers(&self) -> Tuple {
        self.tuple()
    }

    #[inline(always)]
    fn waited(&self, now: u64) -> u32 {
        Sock::waited(self, now).unwrap_or(NOT_QUEUED)
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

/// Notes a read or write on a TCP socket; whether it moves bytes, for [`advance`].
#[inline(always)]
fn moves<A: Access>(sk: &Sock<A>, connection: &mut Connection, io: &Io) -> bool {
    if io.length == 0 {
        end(&connection.stream, io);
        return false;
    }
    if io.direction as u8 == Direction::Receive as u8 {
        let unseen = unseen_bytes(sk, connection, io.length);
        if unseen != 0 {
            pass(&mut connection.stream, Direction::Receive, unseen);
        }
    }
    true
}

/// Nothing more comes from this direction.
#[inline(always)]
pub(crate) fn end(stream: &Stream, io: &Io) {
    if stream.announced != 0 {
        tell_of(stream, io, now(), flag::END);
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

/// Bytes that left the receive queue since the last read that was seen, other than by this one:
/// splice out of the socket, `io_uring` before 6.3.
#[inline(always)]
fn unseen_bytes<A: Access>(sk: &Sock<A>, connection: &mut Connection, seen: u32) -> u32 {
    let Some(now) = sk.copied_seq() else {
        return 0;
    };
    let moved = now.wrapping_sub(connection.copied_seq);
    let known = connection.copied_seq_known != 0;
    connection.copied_seq = now;
    connection.copied_seq_known = 1;
    let unseen = moved.wrapping_sub(seen);
    // A smaller move than the read is kernel TLS or a racing reader: no gap to tell of.
    if !known || unseen == 0 || unseen > u32::MAX / 2 {
        return 0;
    }
    // The FIN is taken with the last bytes when it came with them.
    let unseen = unseen - u32::from(sk.fin_is_read());
    if unseen != 0 {
        fault(Fault::UnseenBytes);
    }
    unseen
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
            stream.message[direction] &= !message::SHORT;
            return io.length;
        }
        stream.message[direction] |= message::SHORT;
    } else if class == Class::Partial as u32 {
        // A message may begin with a few bytes that could be the start of anything.
        stream.budget[direction] = BUDGET;
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

/// The process has shut or closed its sending side: a FIN follows the last byte.
#[inline(always)]
pub(crate) fn sending_ended<A: Access>(sk: &Sock<A>, connection: &mut Connection) {
    let stream = &mut connection.stream;
    stream.tcp = sk.tcp_info().unwrap_or(stream.tcp);
    if stream.announced != 0 && stream.verdict != verdict::OPAQUE {
        let end = Io {
            direction: Direction::Send,
            length: 0,
            tgid: connection.tgid,
            payload: Payload::NONE,
            slot: Slot::NONE,
        };
        tell_of(stream, &end, now(), flag::END);
    }
}

/// The connection is gone: what was read unseen since the last read that was seen is told; the
/// `TcpClosed` record follows.
#[inline(always)]
pub(crate) fn closing<A: Access>(sk: &Sock<A>, connection: &mut Connection) {
    if connection.stream.verdict == verdict::TLS {
        tls::closing(sk, connection);
        return;
    }
    if connection.stream.announced == 0 || connection.stream.verdict == verdict::OPAQUE {
        return;
    }
    let unseen = unseen_bytes(sk, connection, 0);
    if unseen != 0 {
        let io = Io {
            direction: Direction::Receive,
            length: unseen,
            tgid: connection.tgid,
            payload: Payload::NONE,
            slot: Slot::NONE,
        };
        let stream = &mut connection.stream;
        body::lose(stream, &io, now());
        tell_of(stream, &io, now(), flag::OPAQUE);
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper takes nothing and always succeeds.
    unsafe { bpf_ktime_get_ns() }
}

/// The state of a socket that is read or written, made if there is none. None is made for a closed
/// one, of which bytes may still be read: its end has been told, and there won't be another.
#[inline(always)]
fn state_of<S: Store>(sk: &Sock<S::Access>) -> Option<*mut Connection> {
    if sk.is_closed() {
        S::find(sk)
    } else {
        S::find_or_create(sk)
    }
}

/// Sets up the state of a connection that was open before the programs were attached.
#[inline(always)]
fn adopt<S: Store>(connection: &mut Connection, tgid: u32) {
    if connection.stream.connection == 0 {
        connection.stream.connection = S::next_id();
        connection.stream.late = 1;
        connection.opened = now();
    }
    if connection.tgid == 0 {
        connection.tgid = tgid;
    }
}
