//! Bodies of HTTP/1.x: what is read or written within one needn't be told. So the cost of a body
//! doesn't grow with its size, and its size is known.
//!
//! The head of a message that goes on in a later read or write says where its body ends, or where
//! the first chunk begins ([`super::head`]); a chunk's size says where the next one does
//! ([`super::chunk`]). Up to there nothing is told. The read or write in which a message ends is
//! told from its last byte on, or from the last chunk on, and what was not told before counts as left
//! out at the front of that record. Where this loses its way, and where nobody says where a body
//! ends, every read and write is told.
//!
//! An answer to HEAD has the head of one with a body, and a body may look like a message: so one that
//! begins like a message for sure is told, and nothing is left out any more until there is a message
//! that follows something in the other direction.

use sonde_common::{
    event::{
        connection::{Stream, body, message},
        http::{BUDGET, Direction, HTTP2_CAPTURE, PIPELINE_BUDGET, SPLIT_BUDGET, Segment, flag},
    },
    fault::Fault,
    header::Kind,
};

use super::{
    Io, Peers, chunk,
    classify::{is_method, is_name, is_sure},
    head::Body,
    now, queued,
    record::Record,
    tell_of,
};
use crate::{emit::send, scratch::forget};

/// Longest part that is told of pipelined messages at once.
const PART: u32 = HTTP2_CAPTURE as u32;
/// Pieces of a vector that are looked at for a part.
const PIECES: u32 = 16;
/// Bytes of a last chunk without trailers. Where there are more, another message may be among them.
const LAST_CHUNK: u32 = 5;
/// Untold bytes that are too many: a record's length has to have room for those of another read or
/// write (2 GiB at most) and of a chunk (16 MiB).
pub(super) const MOST_UNTOLD: u32 = (1 << 31) - (1 << 25);

/// What a body has in a read or write.
pub(super) enum Found {
    /// So many bytes of data and no end. They may be fewer than there are.
    Data(u64),
    /// Something that the agent must see, after so many bytes.
    Framing(u64),
}

/// A message begins with a read or write, and this is its body; how much is to be told of it in the
/// usual way. 0: other messages are behind it, and [`tell`] tells all of them.
#[inline(always)]
pub(super) fn begin(stream: &mut Stream, record: &Record, io: &Io, body: Body) -> u32 {
    let direction = io.direction as usize & 1;
    let length = u64::from(io.length);
    let turned = stream.message[direction] & message::TURNED != 0;
    let (kind, end) = match body {
        Body::Until(end, _) if end < length => {
            stream.budget[direction] = PIPELINE_BUDGET;
            stream.body[direction] = body::PIPELINED;
            return 0;
        }
        // One that doesn't follow something in the other direction may be inside of a body.
        Body::Until(end, _) if turned && end > length => (body::LENGTH, end),
        Body::Chunked(head) if turned => (body::CHUNKED, head.into()),
        _ => return io.length,
    };
    stream.body[direction] = kind;
    stream.end[direction] = stream.offset[direction] + end;
    stream.told = moment(record.time());
    chunk::forget_line(stream, direction);
    end.min(length) as u32
}

/// Whether a read or write that begins with these bytes is told whole: where messages were pipelined
/// before, any may begin within it, and where a short message goes on, any of its framing may be
/// there. Something in the other direction ends that, and so does what begins with a message.
#[inline(always)]
pub(super) fn is_told_whole(stream: &mut Stream, direction: usize, first: u64, size: u32) -> bool {
    let direction = direction & 1;
    let marks = stream.message[direction];
    let short = marks & message::SHORT != 0;
    if !short && stream.budget[direction] <= BUDGET {
        return false;
    }
    stream.message[direction] = marks & !message::OF_SHORT;
    if marks & message::TURNED != 0 || is_another(marks, first, size.min(8)) {
        stream.budget[direction] = stream.budget[direction].min(BUDGET);
        return false;
    }
    if short {
        stream.message[direction] |= message::SPLIT;
        stream.budget[direction] = SPLIT_BUDGET;
    }
    stream.body[direction] = body::PIPELINED;
    true
}

/// Whether another message begins behind one with these marks. A request may be cut before its
/// version, or "Host", and an answer within a list of methods.
#[inline(always)]
fn is_another(marks: u8, first: u64, size: u32) -> bool {
    marks & message::REQUEST == 0 && is_name(first, size)
        || marks & message::ANSWER == 0 && is_method(first, size)
}

/// Passes over a read or write that is inside of a body; whether it is, and there is nothing to tell.
#[inline(always)]
pub(super) fn passes_over(stream: &mut Stream, io: &Io) -> bool {
    let direction = io.direction as usize & 1;
    // The last byte is told of a body but not of a chunk.
    let data = match stream.body[direction] {
        body::LENGTH => 0,
        body::CHUNKED => 1,
        _ => return false,
    };
    let after = stream.offset[direction] + u64::from(io.length);
    if stream.end[direction] + data <= after
        || stream.told != moment(now())
        || stream.untold[direction] >= MOST_UNTOLD
        || data == 0 && begins_message(io)
    {
        return false;
    }
    leave_out(stream, direction, io.length);
    true
}

#[inline(always)]
fn begins_message(io: &Io) -> bool {
    let record = Record::begin(io.slot);
    match io.payload.first(io.length, 8, record.word()) {
        Some((bytes, count)) => {
            let count = record.word().forget(count);
            is_sure(record.forget(bytes), count)
        }
        None => false,
    }
}

#[inline(always)]
fn leave_out(stream: &mut Stream, direction: usize, bytes: u32) {
    let untold = &mut stream.untold[direction & 1];
    *untold = untold.wrapping_add(bytes);
}

/// Tells what is to be told of a read or write that isn't passed over: of the end of a body or
/// chunk, and of what is pipelined behind; how many bytes it has told of.
#[inline(always)]
pub(super) fn tell<P: Peers>(stream: &mut Stream, peers: &P, io: &Io) -> u32 {
    let direction = io.direction as usize & 1;
    let mut record = Record::begin(io.slot);
    let kind = forget(&mut stream.body[direction]);
    let before = stream.end[direction].wrapping_sub(stream.offset[direction]);
    let followed = match kind {
        body::PIPELINED => true,
        body::CHUNKED if before > 0 => true,
        body::CHUNKED | body::LENGTH => !begins_message(io),
        _ => false,
    };
    if !followed {
        // What this is isn't known, so neither is that no body is around it.
        stream.message[direction] &= !message::TURNED;
        lose(stream, io, record.time());
        return 0;
    }
    let mut payload = io.payload;
    let (found, ends) = match kind {
        body::CHUNKED => {
            let found = chunk::follow(stream, &record, io, &mut payload);
            (found, forget(&mut stream.body[direction]) == body::UNKNOWN)
        }
        body::PIPELINED => {
            stream.body[direction] = body::UNKNOWN;
            (Found::Framing(0), false)
        }
        _ if before > u64::from(io.length) => (Found::Data(io.length.into()), false),
        _ => {
            stream.body[direction] = body::UNKNOWN;
            // The last byte is told: it is when the message ends.
            (Found::Framing(before.saturating_sub(1)), true)
        }
    };
    let from = match found {
        Found::Framing(from) => record.forget(from) as u32,
        Found::Data(bytes) => {
            let bytes = record.forget(bytes) as u32;
            if kind == body::LENGTH && stream.untold[direction] >= MOST_UNTOLD {
                tell_untold(stream, io, record.time());
            }
            leave_out(stream, direction, bytes);
            tell_progress(stream, io, record.time());
            return bytes;
        }
    };
    let window = io.length.wrapping_sub(from);
    if ends && window > LAST_CHUNK {
        stream.budget[direction] = PIPELINE_BUDGET;
    }
    let payload = payload.forget(&record);
    let window = window.min(PART);
    let Some(captured) = record.capture_at::<PIECES>(&payload, from, window) else {
        let segment = io.segment(stream, record.time(), flag::OPAQUE);
        record.send(with_untold(stream, io.direction, segment));
        return io.length;
    };
    let told = part(stream, direction, io.length, from, captured);
    let told = record.word().forget(told);
    let segment = Segment {
        length: told,
        captured: captured as u16,
        skipped: from,
        queued: queued(peers, io, true, record.time()),
        ..io.segment(stream, record.time(), 0)
    };
    record.send(with_untold(stream, io.direction, segment));
    told
}

/// Tells now and then that a body moves on, or the agent would take it for one that is stuck.
#[inline(always)]
fn tell_progress(stream: &mut Stream, io: &Io, time: u64) {
    if stream.told != moment(time) {
        stream.told = moment(time);
        tell_of(stream, &Io { length: 0, ..*io }, time, 0);
    }
}

/// Tells how much has been left out.
#[inline(always)]
fn tell_untold(stream: &mut Stream, io: &Io, time: u64) {
    if stream.untold[io.direction as usize & 1] != 0 {
        let segment = Io { length: 0, ..*io }.segment(stream, time, 0);
        let segment = with_untold(stream, io.direction, segment);
        send(Kind::HttpSegment, &segment, Fault::RingHttp);
    }
}

/// Looks for no end of a body any more, and tells how much of it has been left out.
#[inline(always)]
pub(super) fn lose(stream: &mut Stream, io: &Io, time: u64) {
    let direction = io.direction as usize & 1;
    let offset = stream.offset[direction];
    if stream.body[direction] == body::LOST {
        stream.offset[direction] = stream.end[direction];
    }
    stream.body[direction] = body::UNKNOWN;
    stream.framing[direction] = 0;
    tell_untold(stream, io, time);
    stream.offset[direction] = offset;
}

/// How many bytes of a read or write belong to a part with bytes captured `from` some place on. All,
/// unless what is behind these is another part.
#[inline(always)]
fn part(stream: &mut Stream, direction: usize, length: u32, from: u32, captured: u32) -> u32 {
    let budget = stream.budget[direction];
    let until = from.wrapping_add(captured);
    if budget <= BUDGET {
        return length;
    }
    stream.budget[direction] = budget.wrapping_sub(captured).max(BUDGET);
    if until >= length {
        return length;
    }
    stream.body[direction] = body::PIPELINED;
    until
}

/// The same record, with the bytes before it that weren't told.
#[inline(always)]
pub(super) fn with_untold(stream: &mut Stream, direction: Direction, segment: Segment) -> Segment {
    let direction = direction as usize & 1;
    let untold = stream.untold[direction];
    let framing = stream.framing[direction];
    stream.untold[direction] = 0;
    stream.framing[direction] = 0;
    Segment {
        offset: segment.offset.wrapping_sub(u64::from(untold)),
        length: segment.length.wrapping_add(untold),
        skipped: segment.skipped.wrapping_add(untold),
        framing,
        ..segment
    }
}

/// A time in units of about a second.
#[inline(always)]
const fn moment(time: u64) -> u16 {
    (time >> 30) as u16
}

/// Bytes pass that can't be told.
#[inline(always)]
pub(crate) fn pass(stream: &mut Stream, direction: Direction, bytes: u32) {
    let direction = direction as usize & 1;
    if stream.body[direction] != body::LOST {
        stream.end[direction] = stream.offset[direction];
    }
    if stream.body[direction] != body::UNKNOWN {
        stream.body[direction] = body::LOST;
    }
    stream.offset[direction] += u64::from(bytes);
}
