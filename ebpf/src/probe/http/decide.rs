//! What a stream carries, by its first bytes.

use sonde_common::{
    event::{
        connection::{Stream, verdict},
        http::{Direction, flag},
    },
    fault::Fault,
};

use super::{
    Io,
    classify::{Class, classify},
    http2, now,
    record::Record,
    tell_of,
};
use crate::{emit::fault, scratch::forget};

/// Changes of direction after which a connection that was open before the agent and has shown no
/// HTTP is left alone.
const LATE_TURNS: u8 = 32;

/// Whether a read or write is to be told: what it is part of is known, or found out now.
#[inline(always)]
pub(super) fn is_told(stream: &mut Stream, io: &Io) -> bool {
    stream.verdict != verdict::UNDECIDED || io.length > 0 && decide(stream, io)
}

/// Looks at the first bytes of an undecided stream; whether this read or write is told.
#[inline(always)]
fn decide(stream: &mut Stream, io: &Io) -> bool {
    let direction = io.direction as usize & 1;
    let have = stream.first_length[direction] & 7;
    let want = 8 - u32::from(have);
    let Some((bytes, count)) = first(io, want) else {
        return false;
    };
    stream.first[direction] |= bytes << (u32::from(have) * 8);
    stream.first_length[direction] = have + count as u8;
    let first = forget(&mut stream.first[direction]);
    let length = forget(&mut stream.first_length[direction]);
    let class = classify(first, length.into());
    match class {
        Class::Request | Class::Response => {
            stream.verdict = verdict::HTTP;
            true
        }
        Class::Http2 => {
            http2::begin(stream, io.direction, have);
            true
        }
        Class::Partial => true,
        Class::Tls if stream.tls == 0 => {
            reset_first(stream, direction);
            stream.verdict = verdict::TLS;
            false
        }
        Class::Tls | Class::Other => {
            reset_first(stream, direction);
            if length == 8 && http2::is_settings(first) {
                let before = stream.first_length[1 - direction];
                http2::begin(stream, opposite(io.direction), before);
                return true;
            }
            if stream.late != 0 && length == 8 && http2::is_header(first) {
                http2::join(stream);
                return true;
            }
            if stream.late == 0 || turned(stream, io.direction) > LATE_TURNS {
                reject(stream, io);
            }
            false
        }
    }
}

#[inline(always)]
const fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Receive => Direction::Send,
        Direction::Send => Direction::Receive,
    }
}

#[inline(always)]
fn reset_first(stream: &mut Stream, direction: usize) {
    stream.first[direction & 1] = 0;
    stream.first_length[direction & 1] = 0;
}

/// Up to `want` of the first bytes, and how many they are.
#[inline(always)]
fn first(io: &Io, want: u32) -> Option<(u64, u32)> {
    let record = Record::begin(io.slot);
    io.payload.first(io.length, want, record.word())
}

/// Counts changes of direction; how many there have been.
#[inline(always)]
pub(crate) fn turned(stream: &mut Stream, direction: Direction) -> u8 {
    if stream.last_direction != direction as u8 {
        stream.last_direction = direction as u8;
        stream.turns = stream.turns.saturating_add(1);
    }
    stream.turns
}

#[inline(always)]
fn reject(stream: &mut Stream, io: &Io) {
    fault(Fault::NotHttp);
    if stream.announced != 0 {
        tell_of(stream, &Io { length: 0, ..*io }, now(), flag::CLOSED);
    }
    stream.verdict = verdict::OPAQUE;
}
