//! HTTP/2 (RFC 9113): where its frames begin and end, so that what stands in DATA frames needn't be
//! told, and everything else is told whole: a header block that is missed leaves a hole in the
//! state that all later ones depend on.
//!
//! Of a read or write are captured: from where the DATA frame ends that was under way, up to where
//! one begins that goes on in a later one. Where that is more than fits, or the place is lost, the
//! agent gets the front, and both look for the next read or write that begins with a frame.

use sonde_common::event::{
    connection::{LOST, Stream, verdict},
    http::{Direction, HTTP2_CAPTURE, HTTP2_DATA, NOT_QUEUED, Segment, flag},
};

use super::{Io, Peers, queued, record::Record, tell_of};
use crate::scratch::forget;

/// "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", RFC 9113 section 3.4.
const PREFACE: u32 = 24;
/// Frame header, RFC 9113 section 4.1.
const HEADER: u64 = 9;
/// Type of a DATA frame.
const DATA: u8 = 0;
/// Inside of a DATA frame that is worth a record of its own to leave out. More than a record's head,
/// which is written over it.
const LARGE: u64 = 512;
/// Frames of one read or write that are followed. Where there are more, they are small, and there is
/// little to leave out.
const FRAMES: u32 = 16;

/// The client's preface begins here.
#[inline(always)]
pub(super) fn begin(stream: &mut Stream, preface: Direction) {
    let direction = preface as usize & 1;
    stream.verdict = verdict::HTTP2;
    stream.first = [0; 2];
    stream.first_length = [0; 2];
    stream.data = [0; 2];
    stream.budget = [0; 2];
    stream.budget[direction] = PREFACE;
}

/// Tells of a read or write, without what is in DATA frames at its front and end.
#[inline(always)]
pub(super) fn tell<P: Peers>(stream: &mut Stream, peers: &P, io: &Io) {
    let direction = io.direction as usize & 1;
    let mut record = Record::begin(io.slot);
    let left = stream.budget[direction];
    let lost = left == LOST;
    let rest = if lost { 0 } else { left.min(io.length) };
    let skipped = if stream.data[direction] != 0 { rest } else { 0 };
    let window = (io.length - skipped).min(HTTP2_CAPTURE as u32);
    let mut captured = 0;
    if window > 0 {
        let Some(count) = record.capture_at(&io.payload, skipped, window) else {
            stream.budget[direction] = LOST;
            stream.first_length[direction] = 0;
            tell_of(stream, io, record.time(), flag::OPAQUE);
            return;
        };
        captured = count;
    }
    let (at, walks) = if lost {
        (0, begins_frame(&record, captured))
    } else {
        stream.budget[direction] = left - rest;
        (rest - skipped, rest == left)
    };
    let mut piece = Segment {
        skipped,
        queued: queued(peers, io, true, record.time()),
        ..io.segment(stream, record.time(), 0)
    };
    let mut begin = 0;
    if walks {
        let walk = Walk {
            at,
            captured,
            total: io.length - skipped,
        };
        (begin, captured) = walk.follow(stream, direction, &mut record, &mut piece);
    }
    piece.captured = captured.wrapping_sub(begin) as u16;
    record.send_from(begin, &piece);
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
    /// Goes on to the end, and notes in the stream where that is; where among the captured bytes
    /// those begin and end that are to be told. What is before a large DATA frame's inside is told
    /// on the way; `piece` is what is left then. Sums of lengths don't overflow 64 bits, so that
    /// nothing branches on that.
    #[inline(always)]
    fn follow(
        self,
        stream: &mut Stream,
        direction: usize,
        record: &mut Record,
        piece: &mut Segment,
    ) -> (u32, u32) {
        let word = record.word();
        let at = word.forget(self.at);
        let captured = u64::from(word.forget(self.captured));
        let total = u64::from(word.forget(self.total));
        let have = forget(&mut stream.first_length[direction]) & 15;
        let mut header = record.word_at(at);
        let mut body = u64::from(at) + HEADER;
        if have != 0 {
            // The rest of a header that began in an earlier read or write stands at the front.
            let shift = u32::from(have & 7) * 8;
            header = (stream.first[direction] | record.first() << shift) as u32;
            body -= u64::from(have);
            stream.first_length[direction] = 0;
        }
        stream.budget[direction] = LOST;
        let (mut frames, mut begin) = (0, 0u64);
        while frames < FRAMES {
            frames += 1;
            body = record.forget(body);
            if body > captured {
                break;
            }
            let end = record.forget(body + length(header));
            let data = (header >> 24) as u8 == DATA;
            let told = record.forget(body + HTTP2_DATA as u64 - HEADER);
            if end >= total {
                stream.budget[direction] = (end - total) as u32;
                stream.data[direction] = data.into();
                let shorter = data && told < captured;
                let until = if shorter { told } else { captured };
                return (begin as u32, until as u32);
            }
            begin = record.forget(begin);
            if data && end < captured && end > told + LARGE {
                let all = piece.length;
                piece.length = (end - begin) as u32 + piece.skipped;
                piece.captured = (told - begin) as u16;
                record.send_from(begin as u32, piece);
                piece.offset += u64::from(piece.length);
                piece.length = all.wrapping_sub(piece.length);
                piece.skipped = 0;
                piece.queued = NOT_QUEUED;
                begin = end;
            }
            header = record.word_at(end as u32);
            body = end + HEADER;
        }
        // A header that isn't whole, at the very end.
        let start = record.forget(body.wrapping_sub(HEADER));
        let whole = have == 0 || frames > 1;
        if whole && captured == total && start < captured && captured - start < HEADER {
            stream.first[direction] = record.words_at(start as u32) & mask(captured - start);
            stream.first_length[direction] = (captured - start) as u8;
            stream.budget[direction] = 0;
        }
        (begin as u32, captured as u32)
    }
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
