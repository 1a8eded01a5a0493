//! HTTP/2 (RFC 9113): where its frames begin and end, so that what stands in DATA frames needn't be
//! told, and everything else is told whole: a header block that is missed leaves a hole in the
//! state that all later ones depend on.
//!
//! Of a read or write are captured: from where the DATA frame ends that was under way, up to where
//! one begins that goes on in a later one. Where that is more than fits, or the place is lost, the
//! agent gets the front, and both look for the next read or write that begins with a frame.

use sonde_common::event::{
    connection::{LOST, Stream, verdict},
    http::{Direction, HTTP2_CAPTURE, HTTP2_DATA, Segment, flag},
};

use super::{Io, Peers, payload::HTTP2_PIECES, queued, record::Record, tell_of};
use crate::scratch::forget;

/// "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", RFC 9113 section 3.4.
const PREFACE: u32 = 24;
/// Frame header, RFC 9113 section 4.1.
const HEADER: u64 = 9;
/// Type of a DATA frame.
const DATA: u8 = 0;
/// Inside of a DATA frame that is worth a record of its own to leave out.
const LARGE: u64 = 1024;
/// Frames that are told at once.
const FRAMES: u32 = 8;

/// The client's preface begins here, or has `before` bytes, fewer than 8, in earlier reads or writes.
#[inline(always)]
pub(super) fn begin(stream: &mut Stream, preface: Direction, before: u8) {
    let direction = preface as usize & 1;
    stream.verdict = verdict::HTTP2;
    stream.first = [0; 2];
    stream.first_length = [0; 2];
    stream.data = [0; 2];
    stream.budget = [0; 2];
    stream.budget[direction] = PREFACE - u32::from(before & 7);
}

/// HTTP/1.1 becomes HTTP/2 (RFC 7540 section 3.2). The other side may have begun already.
#[inline(always)]
pub(super) fn upgrade(stream: &mut Stream, preface: Direction) {
    begin(stream, preface, 0);
    stream.budget[1 - (preface as usize & 1)] = LOST;
}

/// Tells of a part of a read or write, without what is in DATA frames at its front and end; how many
/// bytes that part has. What is behind them is a part of its own.
#[inline(always)]
pub(super) fn tell<P: Peers>(stream: &mut Stream, peers: &P, io: &Io) -> u32 {
    let direction = io.direction as usize & 1;
    let mut record = Record::begin(io.slot);
    let left = stream.budget[direction];
    let lost = left == LOST;
    let rest = if lost { 0 } else { left.min(io.length) };
    let skipped = if stream.data[direction] != 0 { rest } else { 0 };
    let total = io.length - skipped;
    let mut captured = 0;
    if total > 0 {
        let window = total.min(HTTP2_CAPTURE as u32);
        let Some(count) = record.capture_at::<HTTP2_PIECES>(&io.payload, skipped, window) else {
            stream.budget[direction] = LOST;
            stream.first_length[direction] = 0;
            tell_of(stream, io, record.time(), flag::OPAQUE);
            return io.length;
        };
        captured = count;
    }
    let (at, walks) = if lost {
        (0, begins_frame(&record, captured))
    } else {
        stream.budget[direction] = left - rest;
        (rest - skipped, rest == left)
    };
    let mut part = Part {
        length: total,
        captured,
    };
    if walks {
        part = Walk {
            at,
            captured,
            total,
        }
        .follow(stream, direction, &mut record);
    }
    let length = skipped + part.length;
    record.send(Segment {
        length,
        captured: part.captured as u16,
        skipped,
        queued: queued(peers, io, true, record.time()),
        ..io.segment(stream, record.time(), 0)
    });
    length
}

/// What is told at once of a read or write.
struct Part {
    /// Bytes that it has, without those that are skipped at its front.
    length: u32,
    /// Those at its front that are told.
    captured: u32,
}

/// The way from frame to frame through captured bytes.
struct Walk {
    /// Where the next frame begins.
    at: u32,
    /// Bytes that were captured.
    captured: u32,
    /// Bytes that there are.
    total: u32,
}

impl Walk {
    /// Goes as far as everything that isn't in a DATA frame can be told at once, and notes in the
    /// stream how much of the last frame is missing. Sums of lengths don't overflow 64 bits, so that
    /// nothing branches on that.
    #[inline(always)]
    fn follow(self, stream: &mut Stream, direction: usize, record: &mut Record) -> Part {
        let word = record.word();
        let captured = u64::from(word.forget(self.captured));
        let total = u64::from(word.forget(self.total));
        let have = forget(&mut stream.first_length[direction]) & 15;
        let mut start = u64::from(word.forget(self.at));
        let mut header = record.word_at(start as u32);
        let mut body = start + HEADER;
        if have != 0 {
            // The rest of a header that began in an earlier read or write stands at the front. Its
            // first four bytes are what matters.
            header = stream.first[direction] as u32;
            if have < 4 {
                header |= (record.first() << (have * 8)) as u32;
            }
            body -= u64::from(have);
        }
        stream.budget[direction] = 0;
        stream.data[direction] = 0;
        let mut frames = 0;
        while frames < FRAMES {
            frames += 1;
            body = record.forget(body);
            if body > captured {
                break;
            }
            stream.first_length[direction] = 0;
            let end = record.forget(body + length(header));
            let data = (header >> 24) as u8 == DATA;
            let told = record.forget(body + HTTP2_DATA as u64 - HEADER);
            if end >= total {
                stream.budget[direction] = (end - total) as u32;
                stream.data[direction] = data.into();
                let captured = if data && told < captured {
                    told
                } else {
                    captured
                };
                return Part::new(total, captured);
            }
            if data && end > told + LARGE {
                let captured = if told < captured { told } else { captured };
                return Part::new(end, captured);
            }
            start = record.forget(start);
            if end > captured {
                // By itself it fits, or never does.
                return if start > 0 {
                    Part::new(start, start)
                } else {
                    Part::new(end, captured)
                };
            }
            start = end;
            header = record.word_at(end as u32);
            body = end + HEADER;
        }
        start = record.forget(start);
        if body > captured && captured == total {
            note_header(stream, direction, record, start, captured);
            return Part::new(total, captured);
        }
        if start > 0 {
            // What goes on in front of it may be longer than what was captured.
            return Part::new(start, if start < captured { start } else { captured });
        }
        stream.budget[direction] = LOST;
        Part::new(total, captured)
    }
}

impl Part {
    #[inline(always)]
    fn new(length: u64, captured: u64) -> Self {
        Self {
            length: length as u32,
            captured: captured as u32,
        }
    }
}

/// Keeps what there is of a frame's header, from `start` on.
#[inline(always)]
fn note_header(stream: &mut Stream, direction: usize, record: &Record, start: u64, end: u64) {
    let have = u64::from(forget(&mut stream.first_length[direction]) & 7);
    let bytes = record.words_at(start as u32) & mask(end - start);
    let before = if have == 0 {
        0
    } else {
        stream.first[direction]
    };
    stream.first[direction] = before | bytes << (have * 8);
    stream.first_length[direction] = (have + end - start) as u8;
}

/// The lowest bytes of a word.
#[inline(always)]
fn mask(bytes: u64) -> u64 {
    if bytes >= 8 {
        u64::MAX
    } else {
        (1 << (bytes * 8)) - 1
    }
}

/// A frame's length, out of the first four bytes of its header: three bytes, the highest first.
#[inline(always)]
fn length(header: u32) -> u64 {
    u64::from((header & 0xff) << 16 | header & 0xff00 | header >> 16 & 0xff)
}

/// Whether eight bytes at the start of a read or write have the form of a frame's header: a type
/// that is known, a length that it may have, and a stream where it needs one, or none where it
/// mustn't have one.
#[inline(always)]
pub(super) fn is_header(first: u64) -> bool {
    const LARGEST: u64 = 16 * 1024;
    let length = length(first as u32);
    let kind = (first >> 24) as u8;
    // The last byte of the number isn't among the eight.
    let number = (first >> 40) as u32;
    if length > LARGEST || number & 0x80 != 0 {
        return false;
    }
    match kind {
        4 => length.is_multiple_of(6) && number == 0,
        6 => length == 8 && number == 0,
        7 => length >= 8 && number == 0,
        3 | 8 => length == 4,
        0 | 1 | 9 => length > 0,
        _ => false,
    }
}

/// Whether eight bytes have the form of the SETTINGS frame's header with which a server begins:
/// inside TLS it needn't wait for the client's preface.
#[inline(always)]
pub(super) fn is_settings(first: u64) -> bool {
    const SETTINGS: u64 = 4;
    let length = length(first as u32);
    first >> 24 == SETTINGS && length < 1 << 16 && length.is_multiple_of(6)
}

#[inline(always)]
fn begins_frame(record: &Record, captured: u32) -> bool {
    u64::from(captured) >= HEADER && is_header(record.first())
}

/// A connection of which no preface was seen: the first frames may belong to anything.
#[inline(always)]
pub(super) fn join(stream: &mut Stream) {
    stream.verdict = verdict::HTTP2;
    stream.first = [0; 2];
    stream.first_length = [0; 2];
    stream.data = [0; 2];
    stream.budget = [LOST; 2];
}
