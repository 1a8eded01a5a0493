//! Messages of HTTP/1.x that go on beyond what is captured at once, or may: what their heads say of
//! where their bodies end (RFC 9112 section 6.3).

use sonde_common::event::{
    connection::{Stream, message},
    http::{CAPTURE_BODY, CAPTURE_FRONT, CAPTURE_HEAD, CAPTURE_MAX, flag},
};

use super::{
    Io, Peers, body,
    classify::{Class, classify},
    record::Record,
    tell_front, tell_of,
};
use crate::scratch::word::{each, index, zeros};

/// Words of eight bytes, and lines, of a head that are looked at: as many as [`CAPTURE_HEAD`] has.
const STEPS: u32 = 160;
/// What is no longer, and no head alone, is taken for a whole message.
const SHORT: u32 = 512;
/// Digits of a length that are looked at.
const DIGITS: u64 = 13;
/// Where the three digits of a status stand in a response's head, "HTTP/1.1 200".
const STATUS: u32 = 9;

/// What is known of a body, and the bytes of the head before it.
pub(super) enum Body {
    /// Nothing.
    Unknown,
    /// Nothing yet: the head goes on.
    Cut,
    /// It ends so many bytes after the message's first one.
    Until(u64, u32),
    /// It is a chunked one, and its first chunk begins behind the head.
    Chunked(u32),
}

impl Body {
    /// Bytes of the head, 0 when that isn't known.
    #[inline(always)]
    const fn head(&self) -> u32 {
        match *self {
            Self::Unknown | Self::Cut => 0,
            Self::Until(_, head) | Self::Chunked(head) => head,
        }
    }
}

const fn word(text: [u8; 8]) -> u64 {
    u64::from_le_bytes(text)
}

/// Makes capital letters small, and leaves hyphen and colon as they are.
const SMALL: u64 = each(0x20);
const CONTENT: u64 = word(*b"content-");
const LENGTH: u64 = word(*b"length:\0");
const TRANSFER: u64 = word(*b"transfer");
/// Bytes of "content-length:".
const NAME: u64 = 15;
/// Mark of a chunked body beside the place of a length.
const IS_CHUNKED: u64 = 1 << 32;

/// Whether a message that begins with captured bytes, of so many that there are, may go on beyond
/// them. Most are short and whole, or requests without a body.
#[inline(always)]
pub(super) fn is_worth_reading(record: &Record, captured: u32, length: u32) -> bool {
    let first = record.first() as u32;
    if captured < length {
        return true;
    }
    if first == u32::from_le_bytes(*b"GET ") || first == u32::from_le_bytes(*b"HEAD") {
        return false;
    }
    captured > SHORT || record.word_at(captured.wrapping_sub(4)) == u32::from_le_bytes(*b"\r\n\r\n")
}

/// What a read or write begins with.
const NEITHER: u32 = 0;
const REQUEST: u32 = 1;
const RESPONSE: u32 = 2;

/// Marks of a message that is short so far.
#[inline(always)]
pub(super) const fn short(request: bool) -> u8 {
    if request {
        message::SHORT | message::REQUEST
    } else {
        message::SHORT | message::ANSWER
    }
}

/// Tells the front of a message that a read or write begins with; how many bytes it has told of.
/// The others are a body's that [`body`] follows.
#[inline(always)]
pub(super) fn tell<P: Peers>(stream: &mut Stream, peers: &P, io: &Io) -> u32 {
    let direction = io.direction as usize & 1;
    let mut record = Record::begin(io.slot);
    let looked = io.length.min(CAPTURE_HEAD as u32);
    let Some(mut captured) = record.capture(&io.payload, looked) else {
        tell_of(stream, io, record.time(), flag::OPAQUE);
        return io.length;
    };
    let class = classify(record.first(), captured.min(8));
    let kind = match class {
        Class::Response => RESPONSE,
        Class::Request if has_space(record.first()) => REQUEST,
        _ => NEITHER,
    };
    // What is forgotten here and below is one to the verifier, whatever has led to it.
    let kind = record.word().forget(kind);
    let mut head = 0;
    let mut told = io.length;
    if kind != NEITHER {
        let body = read(&record, captured, kind);
        head = record.word().forget(body.head());
        if matches!(body, Body::Cut) && captured == io.length {
            stream.message[direction] |= short(kind == REQUEST);
        }
        told = record.word().forget(body::begin(stream, &record, io, body));
        if told == 0 {
            return 0;
        }
    }
    let kind = record.word().forget(kind);
    let (request, response) = (kind == REQUEST, kind == RESPONSE);
    let mut front = head.max(CAPTURE_FRONT as u32);
    if head == 0 && io.length > captured {
        // A body may follow a request's head in the same write, and the model needs all of the
        // head. An answer must be nothing but a head, which keeps large bodies out of the ring, or
        // one that another protocol may follow.
        let whole = || is_switch(&record) || io.payload.ends_with_blank_line(io.length);
        if request || response && whole() {
            front = CAPTURE_MAX as u32;
            captured = record
                .capture(&io.payload, io.length.min(front))
                .unwrap_or(0);
        }
    }
    let budget = stream.budget[direction].max(CAPTURE_BODY as u32);
    let captured = record.word().forget(captured.min(front));
    let captured = record.word().forget(captured.min(budget).min(told));
    let front = Io {
        length: told,
        ..*io
    };
    tell_front(stream, peers, &front, record, captured, request);
    told
}

/// Whether an answer's status is 101 (Switching Protocols).
#[inline(always)]
fn is_switch(record: &Record) -> bool {
    const STATUS: u32 = "HTTP/1.1 ".len() as u32;
    record.word_at(STATUS) == u32::from_le_bytes(*b"101 ")
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

/// Reads the head at the front of the captured bytes, which may have some of the body behind it.
#[inline(always)]
fn read(record: &Record, captured: u32, kind: u32) -> Body {
    if kind == RESPONSE && has_no_body(record) {
        return Body::Unknown;
    }
    let kind = record.word().forget(kind);
    let mut captured = u64::from(captured);
    let (mut at, mut found, mut end, mut steps) = (0u64, 0u64, u64::MAX, 0);
    while steps < STEPS {
        steps += 1;
        at = record.forget(at);
        found = record.forget(found);
        captured = record.forget(captured);
        if at >= captured {
            break;
        }
        let newlines = zeros(record.words_at(at as u32) ^ each(b'\n'));
        if newlines == 0 {
            at += 8;
            continue;
        }
        at += index(newlines) + 1;
        let line = record.words_at(at as u32);
        if line as u16 == u16::from_le_bytes(*b"\r\n") {
            end = at + 2;
            break;
        }
        let name = line | SMALL;
        if name == CONTENT {
            let rest = record.words_at((at + 8) as u32) | SMALL;
            if rest << 8 == LENGTH << 8 {
                found = found & IS_CHUNKED | (at + NAME);
            }
        } else if name == TRANSFER {
            found |= IS_CHUNKED;
        }
    }
    // All ways out of the loop are one to the verifier.
    let end = record.forget(end);
    let found = record.forget(found);
    if end > captured {
        return Body::Cut;
    }
    if kind == RESPONSE && found == 0 {
        // An answer without a length ends with the connection.
        return Body::Unknown;
    }
    body(record, found, end)
}

/// A head that ends at `end` and has a length at the place that was `found`.
#[inline(always)]
fn body(record: &Record, found: u64, end: u64) -> Body {
    if found >= IS_CHUNKED {
        Body::Chunked(end as u32)
    } else if found == 0 {
        Body::Until(end, end as u32)
    } else {
        match length(record, found) {
            Some(length) => Body::Until(end + length, end as u32),
            None => Body::Unknown,
        }
    }
}

/// The number at a place.
#[inline(always)]
fn length(record: &Record, at: u64) -> Option<u64> {
    let space = u64::from(record.word_at(at as u32) as u8 == b' ');
    let at = record.forget(at + space);
    let (mut value, mut count) = (0u64, 0);
    while count < DIGITS {
        let byte = record.word_at((at + count) as u32) as u8;
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (byte == b'\r' && count > 0).then_some(value);
        }
        value = record.forget(value * 10 + u64::from(digit));
        count += 1;
    }
    None
}

/// The status is one of 1xx, 204 or 304.
#[inline(always)]
fn has_no_body(record: &Record) -> bool {
    let status = record.word_at(STATUS) & 0x00ff_ffff;
    status as u8 == b'1' || status == digits(*b"204") || status == digits(*b"304")
}

const fn digits(text: [u8; 3]) -> u32 {
    u32::from_le_bytes([text[0], text[1], text[2], 0])
}
