//! HTTP/1.x on plain sockets: which reads and writes are told to the agent, and how much of them.
//!
//! Nothing is parsed here. The first eight bytes decide whether a connection is looked at at all;
//! after that every read and write is told with its place in the stream, and enough of its bytes
//! that the agent can follow the messages. See `sonde_common::event::http`.

use sonde_common::{
    event::{
        connection::{Connection, verdict},
        http::{
            BUDGET, CAPTURE_BODY, CAPTURE_FRONT, CAPTURE_MAX, Direction, Open, PENDING_MAX,
            Segment, flag,
        },
    },
    fault::Fault,
    header::Kind,
};

mod classify;
mod payload;
mod pending;
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
    scratch::{Context, forget},
};

pub(crate) use self::pending::Hold;

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
    #[inline(always)]
    fn end(&self, flags: u8) -> End {
        End {
            context: Context::Task,
            direction: self.direction,
            tgid: self.tgid,
            flags,
        }
    }
}

/// Follows one read or write on a TCP socket.
#[inline(always)]
fn on_io<S: Hold>(sk: &Sock<S::Access>, connection: &mut Connection, io: &Io) {
    if connection.verdict == verdict::OPAQUE {
        return;
    }
    if io.length == 0 {
        if connection.announced != 0 {
            end_of_stream::<S>(sk, connection, io.end(flag::END));
        }
        return;
    }
    let direction = io.direction as usize & 1;
    if io.direction as u8 == Direction::Receive as u8 {
        let unseen = unseen_bytes(sk, connection, io.length);
        connection.offset[direction] += u64::from(unseen);
    }
    if connection.verdict == verdict::UNDECIDED && !decide::<S>(sk, connection, io) {
        connection.offset[direction] += u64::from(io.length);
        return;
    }
    tell::<S>(sk, connection, io);
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
fn decide<S: Hold>(sk: &Sock<S::Access>, connection: &mut Connection, io: &Io) -> bool {
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
                reject::<S>(sk, connection, io, class);
            }
            false
        }
    }
}

/// Up to `want` of the first bytes, and how many they are.
#[inline(always)]
fn first(io: &Io, want: u32) -> Option<(u64, u32)> {
    let record = Record::begin(Context::Task)?;
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
fn reject<S: Hold>(sk: &Sock<S::Access>, connection: &mut Connection, io: &Io, class: Class) {
    fault(match class {
        Class::Tls => Fault::Tls,
        Class::Http2 => Fault::Http2,
        _ => Fault::NotHttp,
    });
    if connection.announced != 0 {
        end_of_stream::<S>(sk, connection, io.end(flag::CLOSED));
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
        late: connection.late,
        pad: [0; 7],
    };
    if send(Kind::HttpOpen, &record, Fault::RingHttp) {
        connection.announced = 1;
    }
    connection.announced != 0
}

/// Writes the read or write into a record: held back when it is a whole request head, sent with a
/// head that was held back, or sent alone.
#[inline(always)]
fn tell<S: Hold>(sk: &Sock<S::Access>, connection: &mut Connection, io: &Io) {
    if !announce(sk, connection) {
        return;
    }
    let direction = io.direction as usize & 1;
    let Some(mut record) = Record::begin(Context::Task) else {
        return;
    };
    if connection.pending != 0 {
        connection.pending = 0;
        if pending::take::<S>(sk, &mut record) == Some(io.direction as u8) {
            // Pipelining: the held head goes on its own.
            record.send(connection.id, io.tgid);
            record.restart();
        }
    }
    let front = io.length.min(CAPTURE_FRONT as u32);
    let Some(mut captured) = record.capture(&io.payload, front) else {
        record.put(segment(&record, connection, io, 0, 0, flag::OPAQUE));
        record.send(connection.id, io.tgid);
        return;
    };
    let first = record.first();
    let class = classify(first, captured.min(8));
    let starts = matches!(class, Class::Request | Class::Response);
    // A message may begin with a few bytes that could be the start of anything.
    if starts || class as u8 == Class::Partial as u8 {
        connection.budget[direction] = BUDGET;
    }
    if starts && io.length > front && io.payload.ends_with_blank_line(io.length) {
        let longer = io.length.min(CAPTURE_MAX as u32);
        captured = record.capture(&io.payload, longer).unwrap_or(0);
    }
    captured = captured.min(connection.budget[direction].max(CAPTURE_BODY as u32));
    connection.budget[direction] = connection.budget[direction].saturating_sub(captured);
    let tail = if captured < io.length {
        record.tail(&io.payload, io.length, captured)
    } else {
        0
    };
    record.put(segment(&record, connection, io, captured, tail, 0));
    let whole_head = starts
        && captured == io.length
        && captured <= PENDING_MAX as u32
        && record.is_single()
        && matches!(class, Class::Request)
        && record.ends_with_blank_line(captured);
    if whole_head && pending::hold::<S>(sk, connection.id, &record) {
        connection.pending = 1;
        return;
    }
    record.send(connection.id, io.tgid);
}

#[inline(always)]
fn segment(
    record: &Record,
    connection: &Connection,
    io: &Io,
    captured: u32,
    tail: u32,
    flags: u8,
) -> Segment {
    Segment {
        time: record.time(),
        offset: connection.offset[io.direction as usize & 1],
        length: io.length,
        tgid: io.tgid,
        captured: captured as u16,
        tail: tail as u16,
        direction: io.direction as u8,
        flags,
        pad: [0; 2],
    }
}

/// The end of a direction.
struct End {
    context: Context,
    direction: Direction,
    tgid: u32,
    flags: u8,
}

/// Tells of the end of one direction, with a head that was held back before it.
#[inline(always)]
fn end_of_stream<S: Hold>(sk: &Sock<S::Access>, connection: &mut Connection, end: End) {
    let Some(mut record) = Record::begin(end.context) else {
        return;
    };
    if connection.pending != 0 {
        connection.pending = 0;
        pending::take::<S>(sk, &mut record);
    }
    let io = Io {
        direction: end.direction,
        length: 0,
        tgid: end.tgid,
        payload: Payload::None,
    };
    record.put(segment(&record, connection, &io, 0, 0, end.flags));
    record.send(connection.id, end.tgid);
}

/// The process has shut or closed its sending side: a FIN follows the last byte.
#[inline(always)]
pub(crate) fn sending_ended<S: Hold>(sk: &Sock<S::Access>, connection: &mut Connection) {
    if connection.announced != 0 && connection.verdict != verdict::OPAQUE {
        let end = End {
            context: Context::State,
            direction: Direction::Send,
            tgid: connection.tgid,
            flags: flag::END,
        };
        end_of_stream::<S>(sk, connection, end);
    }
}

/// The connection is gone: what was held back is told, and what was read unseen since the last
/// read that was seen; the `TcpClosed` record follows.
#[inline(always)]
pub(crate) fn closing<S: Hold>(sk: &Sock<S::Access>, connection: &mut Connection) {
    if connection.announced == 0 || connection.verdict == verdict::OPAQUE {
        return;
    }
    let unseen = unseen_bytes(sk, connection, 0);
    if connection.pending == 0 && unseen == 0 {
        return;
    }
    let Some(mut record) = Record::begin(Context::State) else {
        return;
    };
    let held = connection.pending != 0 && pending::take::<S>(sk, &mut record).is_some();
    connection.pending = 0;
    if unseen != 0 {
        let io = Io {
            direction: Direction::Receive,
            length: unseen,
            tgid: connection.tgid,
            payload: Payload::None,
        };
        record.put(segment(&record, connection, &io, 0, 0, flag::OPAQUE));
    }
    if held || unseen != 0 {
        record.send(connection.id, connection.tgid);
    }
}

/// The state of a socket that is read or written, made if there is none. None is made for a closed
/// one, of which bytes may still be read: its end has been told, and there won't be another.
#[inline(always)]
fn state_of<S: Hold>(sk: &Sock<S::Access>) -> Option<*mut Connection> {
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
        connection.opened = record::now();
    }
    if connection.tgid == 0 {
        connection.tgid = tgid;
    }
}
