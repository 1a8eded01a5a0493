//! HTTP/1.x on plain sockets: which reads and writes are told to the agent, and how much of them.
//!
//! Nothing is parsed here. The first eight bytes decide whether a connection is looked at at all;
//! after that every read and write is told with its place in the stream, and enough of its bytes
//! that the agent can follow the messages. See `sonde_common::event::http`.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use sonde_common::{
    event::{
        connection::{Connection, verdict},
        http::{
            BUDGET, CAPTURE_BODY, CAPTURE_FRONT, CAPTURE_MAX, Direction, NOT_QUEUED, Open, Segment,
            flag,
        },
    },
    fault::Fault,
    header::{Header, Kind},
};

mod classify;
mod payload;
mod record;
mod socket;
mod sysexit;

use self::{
    classify::{Class, classify},
    payload::Payload,
    record::Record,
};
use crate::{
    connection::Store,
    emit::{fault, header, send},
    kernel::{Access, Sock},
    scratch::forget,
};

/// Changes of direction after which a connection that was open before the agent and has shown no
/// HTTP is left alone.
const LATE_TURNS: u8 = 32;

/// One read or write that moved bytes, or found the end of the stream (`length` 0).
pub(crate) struct Io {
    direction: Direction,
    length: u32,
    tgid: u32,
    payload: Payload,
}

impl Io {
    /// What the record says of it, without any of its bytes.
    #[inline(always)]
    fn segment(&self, connection: &Connection, time: u64, flags: u32) -> Segment {
        Segment {
            header: Header {
                time,
                tgid: self.tgid,
                tid: 0,
                kind: Kind::HttpSegment as u32,
                pad: 0,
            },
            connection: connection.id,
            offset: connection.offset[self.direction as usize & 1],
            length: self.length,
            captured: 0,
            tail: 0,
            direction: self.direction as u32,
            flags,
            skipped: 0,
            queued: NOT_QUEUED,
        }
    }
}

/// Follows one read or write on a TCP socket.
#[inline(always)]
fn on_io<A: Access>(sk: &Sock<A>, connection: &mut Connection, io: &Io) {
    if io.length == 0 {
        if connection.announced != 0 {
            tell_of(connection, io, now(), flag::END);
        }
        return;
    }
    let direction = io.direction as usize & 1;
    if io.direction as u8 == Direction::Receive as u8 {
        let unseen = unseen_bytes(sk, connection, io.length);
        connection.offset[direction] += u64::from(unseen);
    }
    if connection.verdict == verdict::UNDECIDED && !decide(sk, connection, io) {
        connection.offset[direction] += u64::from(io.length);
        return;
    }
    tell(sk, connection, io);
    connection.offset[direction] += u64::from(io.length);
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

/// Looks at the first bytes of an undecided connection; whether this read or write is told.
#[inline(always)]
fn decide<A: Access>(sk: &Sock<A>, connection: &mut Connection, io: &Io) -> bool {
    let direction = io.direction as usize & 1;
    let have = connection.first_length[direction] & 7;
    let want = 8 - u32::from(have);
    let Some((bytes, count)) = first(io, want) else {
        return false;
    };
    connection.first[direction] |= bytes << (u32::from(have) * 8);
    connection.first_length[direction] = have + count as u8;
    let first = forget(&mut connection.first[direction]);
    let length = forget(&mut connection.first_length[direction]);
    let class = classify(first, length.into());
    match class {
        Class::Request | Class::Response => {
            connection.verdict = verdict::HTTP;
            announce(sk, connection)
        }
        Class::Partial => announce(sk, connection),
        Class::Tls | Class::Http2 | Class::Other => {
            connection.first[direction] = 0;
            connection.first_length[direction] = 0;
            if connection.late == 0 || class as u8 != Class::Other as u8 || turned(connection, io) {
                reject(connection, io, class);
            }
            false
        }
    }
}

/// Up to `want` of the first bytes, and how many they are.
#[inline(always)]
fn first(io: &Io, want: u32) -> Option<(u64, u32)> {
    let record = Record::begin(io.direction)?;
    io.payload.first(io.length, want, record.word())
}

/// Counts changes of direction; whether there were enough to give up.
#[inline(always)]
fn turned(connection: &mut Connection, io: &Io) -> bool {
    if connection.last_direction != io.direction as u8 {
        connection.last_direction = io.direction as u8;
        connection.turns = connection.turns.saturating_add(1);
    }
    connection.turns > LATE_TURNS
}

#[inline(always)]
fn reject(connection: &mut Connection, io: &Io, class: Class) {
    fault(match class {
        Class::Tls => Fault::Tls,
        Class::Http2 => Fault::Http2,
        _ => Fault::NotHttp,
    });
    if connection.announced != 0 {
        tell_of(connection, &Io { length: 0, ..*io }, now(), flag::CLOSED);
    }
    connection.verdict = verdict::OPAQUE;
}

/// Tells the agent who talks to whom, once; whether it knows.
#[inline(always)]
fn announce<A: Access>(sk: &Sock<A>, connection: &mut Connection) -> bool {
    if connection.announced != 0 {
        return true;
    }
    let record = Open {
        header: header(Kind::HttpOpen),
        connection: connection.id,
        tuple: sk.tuple(),
        late: connection.late.into(),
        tls: 0,
    };
    if send(Kind::HttpOpen, &record, Fault::RingHttp) {
        connection.announced = 1;
    }
    connection.announced != 0
}

/// Tells of the read or write, with its first and last bytes.
#[inline(always)]
fn tell<A: Access>(sk: &Sock<A>, connection: &mut Connection, io: &Io) {
    if !announce(sk, connection) {
        return;
    }
    let direction = io.direction as usize & 1;
    let Some(mut record) = Record::begin(io.direction) else {
        return;
    };
    let front = io.length.min(CAPTURE_FRONT as u32);
    let Some(mut captured) = record.capture(&io.payload, front) else {
        tell_of(connection, io, record.time(), flag::OPAQUE);
        return;
    };
    let class = classify(record.first(), captured.min(8));
    let starts = matches!(class, Class::Request | Class::Response);
    // A message may begin with a few bytes that could be the start of anything.
    if starts || class as u8 == Class::Partial as u8 {
        connection.budget[direction] = BUDGET;
    }
    if io.length > front {
        // A body may follow a request's head in the same write, and the model needs all of the
        // head. An answer must be nothing but a head, which keeps large bodies out of the ring.
        let request = class as u8 == Class::Request as u8 && has_space(record.first());
        if request || starts && io.payload.ends_with_blank_line(io.length) {
            let longer = io.length.min(CAPTURE_MAX as u32);
            captured = record.capture(&io.payload, longer).unwrap_or(0);
        }
    }
    captured = captured.min(connection.budget[direction].max(CAPTURE_BODY as u32));
    connection.budget[direction] = connection.budget[direction].saturating_sub(captured);
    let tail = if captured < io.length {
        record.tail(&io.payload, io.length, captured)
    } else {
        0
    };
    let segment = Segment {
        captured: captured as u16,
        tail: tail as u16,
        ..io.segment(connection, record.time(), 0)
    };
    record.send(segment);
}

/// Whether one of eight bytes is a space, as behind each method of RFC 9110 and RFC 5789. Without
/// one, letters that begin a body are taken for a request as well.
#[inline(always)]
const fn has_space(bytes: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // To subtract one sets the top bit of the lowest byte that is zero.
    let zero = bytes ^ (ONES * b' ' as u64);
    zero.wrapping_sub(ONES) & !zero & (ONES << 7) != 0
}

/// Tells of a read or write, or of the end of a direction, without any of its bytes.
#[inline(always)]
fn tell_of(connection: &Connection, io: &Io, time: u64, flags: u32) {
    let segment = io.segment(connection, time, flags);
    send(Kind::HttpSegment, &segment, Fault::RingHttp);
}

/// The process has shut or closed its sending side: a FIN follows the last byte.
#[inline(always)]
pub(crate) fn sending_ended(connection: &Connection) {
    if connection.announced != 0 && connection.verdict != verdict::OPAQUE {
        let end = Io {
            direction: Direction::Send,
            length: 0,
            tgid: connection.tgid,
            payload: Payload::None,
        };
        tell_of(connection, &end, now(), flag::END);
    }
}

/// The connection is gone: what was read unseen since the last read that was seen is told; the
/// `TcpClosed` record follows.
#[inline(always)]
pub(crate) fn closing<A: Access>(sk: &Sock<A>, connection: &mut Connection) {
    if connection.announced == 0 || connection.verdict == verdict::OPAQUE {
        return;
    }
    let unseen = unseen_bytes(sk, connection, 0);
    if unseen != 0 {
        let io = Io {
            direction: Direction::Receive,
            length: unseen,
            tgid: connection.tgid,
            payload: Payload::None,
        };
        tell_of(connection, &io, now(), flag::OPAQUE);
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
    if connection.id == 0 {
        connection.id = S::next_id();
        connection.late = 1;
        connection.opened = now();
    }
    if connection.tgid == 0 {
        connection.tgid = tgid;
    }
}
