//! The chunked coding (RFC 9112 section 7.1): from chunk to chunk, without looking at their data.

use sonde_common::event::{
    connection::{Stream, body::UNKNOWN},
    http::PIPELINE_BUDGET,
};

use super::{
    Io,
    body::{Found, MOST_UNTOLD},
    cursor::Cursor,
    payload::Payload,
    record::Record,
};
use crate::scratch::{
    forget,
    word::{each, index, zeros},
};

/// Sizes of chunks, and pieces of the process's memory, that are looked at in one run
/// of the program. No more than are passed over at once when the next one begins.
const STEPS: u32 = 32;
/// Chunks, or pieces of memory, of which so many steps make no more bytes are told rather than
/// followed: the kernel ends a program that goes on too often.
const SMALL: u64 = 4096;
/// Bytes of the line with a chunk's size that are looked at: six digits and the line's end. Longer
/// ones aren't followed, nor are extensions.
const LINE: u64 = 8;
/// Bytes of a line's end.
const LINE_END: u64 = 2;

/// Looks for what the agent must see: the last chunk, something that can't be followed, or a
/// chunk's line that isn't whole. A chunk's line begins there, or goes on there whose front was told.
/// `payload`, which is the read's or write's, is made to begin with the piece where that is.
#[inline(always)]
pub(super) fn follow(
    stream: &mut Stream,
    record: &Record,
    io: &Io,
    payload: &mut Payload,
) -> Found {
    let direction = io.direction as usize & 1;
    // Positions are those in the pieces, of which some bytes may be left out.
    let (_, _, before) = payload.parts();
    let before = u64::from(before);
    let start = stream.offset[direction].wrapping_sub(before);
    let total = before + u64::from(io.length);
    let cursor = record.scratch();
    *cursor = Cursor::new(payload, total);
    let mut at = stream.end[direction].wrapping_sub(start);
    let mut framing = stream.framing[direction];
    let begin = record.forget(at);
    // Where what is read of a line begins.
    let mut line = begin;
    let (mut steps, mut next) = (0, Next::LOST);
    loop {
        at = record.forget(at);
        line = record.forget(line);
        framing = record.forget(framing.into()) as u32;
        if at >= total {
            next = Next::DATA;
            break;
        }
        if steps == STEPS {
            if line.wrapping_sub(begin) >= SMALL {
                // The next run begins with this line.
                forget_line(stream, direction);
                at = line;
                next = Next::DATA;
            }
            break;
        }
        steps += 1;
        if at >= cursor.end() {
            if !cursor.next() {
                break;
            }
            continue;
        }
        if at == line {
            cursor.mark();
        }
        let have = u64::from(forget(&mut stream.first_length[direction]) & 7);
        let there = (cursor.end().min(total) - at).min(LINE - have);
        let Some(bytes) = cursor.read(at, there as u32, record.word()) else {
            break;
        };
        let shifted = bytes.wrapping_shl(have as u32 * 8);
        let bytes = record.forget(shifted | stream.first[direction]);
        let have_all = record.forget(have + there);
        match Line::read(bytes, have_all) {
            Line::Whole { size, length } => {
                if size == 0 {
                    next = Next::LAST;
                    break;
                }
                if stream.untold[direction] >= MOST_UNTOLD {
                    break;
                }
                forget_line(stream, direction);
                let end = at + (length - have);
                framing = framing.wrapping_add((end - line + LINE_END) as u32);
                at = end + size + LINE_END;
                line = at;
            }
            // It goes on in the next piece, or in another read or write.
            Line::Part => {
                stream.first[direction] = bytes;
                stream.first_length[direction] = have_all as u8;
                at += there;
                if at >= total {
                    next = Next::LINE;
                    break;
                }
            }
            Line::Other => break,
        }
    }
    // All ways out of the loop are one to the verifier.
    let (at, next) = (record.forget(at), record.forget(next));
    let line = record.forget(line);
    stream.framing[direction] = framing;
    *payload = cursor.starting_at_mark(payload);
    if next == Next::DATA {
        stream.end[direction] = start + at;
        return Found::Data(at.min(total) - before);
    }
    if next == Next::LINE {
        stream.end[direction] = start + total;
    } else {
        forget_line(stream, direction);
        stream.body[direction] = UNKNOWN;
        if next == Next::LOST {
            // The agent follows the other chunks, by what it is told of them.
            stream.budget[direction] = PIPELINE_BUDGET;
        }
    }
    Found::Framing(line.wrapping_sub(before))
}

/// Why a walk from chunk to chunk has ended.
struct Next;

impl Next {
    /// Data comes, as far as was looked.
    const DATA: u64 = 0;
    /// A line that isn't whole.
    const LINE: u64 = 1;
    /// The last chunk.
    const LAST: u64 = 2;
    /// Nobody knows.
    const LOST: u64 = 3;
}

/// Forgets the front of a chunk's line.
#[inline(always)]
pub(super) fn forget_line(stream: &mut Stream, direction: usize) {
    stream.first[direction & 1] = 0;
    stream.first_length[direction & 1] = 0;
}

/// What stands where the line with a chunk's size should.
enum Line {
    /// That line: the size, and the bytes of the line with its end.
    Whole { size: u64, length: u64 },
    /// The front of one.
    Part,
    /// A longer one, or none.
    Other,
}

impl Line {
    /// Reads the first `length` of eight bytes, the first in the lowest one.
    #[inline(always)]
    fn read(bytes: u64, length: u64) -> Self {
        let returns = zeros(bytes ^ each(b'\r'));
        let digits = index(returns);
        if returns == 0 || digits + 1 >= length {
            return if length < LINE {
                Self::Part
            } else {
                Self::Other
            };
        }
        let end = bytes.wrapping_shr((digits as u32 + 1) * 8) as u8;
        match number(bytes, digits) {
            Some(size) if digits > 0 && end == b'\n' => Self::Whole {
                size,
                length: digits + LINE_END,
            },
            _ => Self::Other,
        }
    }
}

/// How much further the letters are from their values than the figures.
const LETTERS: u64 = 0x61 - 0x30 - 10;

/// The number that the first `digits` (1 to 6) hexadecimal digits of eight bytes are.
#[inline(always)]
fn number(bytes: u64, digits: u64) -> Option<u64> {
    // As eight digits: the last one in the highest byte, zeros before the first.
    let bits = digits as u32 * 8;
    let digits = bytes.wrapping_shl(64 - bits) | each(b'0').wrapping_shr(bits);
    let letters = digits & each(0x40);
    let lower = digits | letters >> 1;
    let values = (digits & each(0x0f)) + (letters >> 6) * 9;
    // What isn't a digit is another one than that of its value.
    let above_nine = (values + each(6)) >> 4 & each(1);
    if each(b'0') + values + above_nine * LETTERS != lower {
        return None;
    }
    let pairs = ((values >> 8) + (values << 4)) & 0x00ff_00ff_00ff_00ff;
    let fours = ((pairs >> 16) + (pairs << 8)) & 0x0000_ffff_0000_ffff;
    Some(((fours >> 32) + (fours << 16)) & 0xffff_ffff)
}
