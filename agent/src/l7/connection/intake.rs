//! A segment to bytes and holes at their positions.

use super::{Arrival, Connection, Context, gap::Hole, upgrade::Upgrade};
use crate::{event::Segment, l7::stream::Origin};

/// Bytes of a segment: how many were left out at its front, its first bytes, how many follow that were
/// not captured, and its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) left_out: LeftOut,
    pub(super) head: &'a [u8],
    pub(super) middle: u64,
    pub(super) tail: &'a [u8],
}

/// Bytes of a body that the kernel side has followed and not told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LeftOut {
    pub(super) bytes: u64,
    /// How many of them are the chunked coding's; where there are any, a chunk's size comes next.
    pub(super) framing: u64,
}

impl Connection {
    /// Takes a segment's bytes in.
    pub(super) fn bytes(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) {
        let length = u64::from(segment.length);
        let stream = self.stream(segment.direction);
        if length == 0 {
            if segment.flags == 0 {
                // A body moves on.
                stream.last = stream.last.max(segment.time);
            }
            return;
        }
        let next = stream.next;
        let Some(end) = segment.offset.checked_add(length) else {
            return;
        };
        stream.next = end.max(next);
        if segment.offset > next {
            self.missed(segment, segment.offset - next, cx);
        }
        let overlap = next.saturating_sub(segment.offset).min(length);
        cx.counters.overlaps += u64::from(overlap > 0);
        let arrival = Arrival {
            direction: segment.direction,
            origin: Origin {
                time: segment.time,
                tgid: segment.tgid,
                queued: segment.queued,
                tcp: segment.tcp,
                fresh: overlap == 0,
                first: segment.offset == 0 && overlap == 0 && !self.late,
                waited: false,
            },
        };
        let piece = Piece::new(segment).without_first(overlap);
        if self.early.is_some() && self.answers == Some(segment.direction) {
            self.hold(arrival, piece, cx);
        } else {
            self.pass(arrival, piece, cx);
        }
        let stream = self.stream(segment.direction);
        stream.last = stream.last.max(segment.time);
    }

    /// Records of so many bytes before `segment` were lost.
    fn missed(&mut self, segment: &Segment<'_>, bytes: u64, cx: &mut Context<'_>) {
        cx.counters.gaps += 1;
        cx.counters.gap_bytes += bytes;
        self.stop_waiting(cx);
        self.gap(segment.direction, bytes, Hole::Records, segment.time, cx);
    }

    /// Takes in what stands at its direction's present position.
    pub(super) fn pass(&mut self, mut arrival: Arrival, piece: Piece<'_>, cx: &mut Context<'_>) {
        let Piece {
            left_out,
            head,
            middle,
            tail,
        } = piece;
        let (direction, time) = (arrival.direction, arrival.origin.time);
        if left_out.bytes > 0 {
            arrival.origin.pass();
            self.skip(direction, left_out, time, cx);
        }
        let used = self.feed(&mut arrival, head, cx);
        if self.upgrade != Upgrade::No {
            return self.leave(middle + tail.len() as u64);
        }
        if let Some(rest @ [_, ..]) = head.get(used..) {
            let rest = Piece {
                left_out: LeftOut::default(),
                head: rest,
                ..piece
            };
            return self.hold_rest(arrival, rest, cx);
        }
        if middle > 0 {
            arrival.origin.pass();
            self.gap(direction, middle, Hole::Uncaptured, time, cx);
        }
        let used = self.feed(&mut arrival, tail, cx);
        if let Some(rest @ [_, ..]) = tail.get(used..) {
            let rest = Piece {
                left_out: LeftOut::default(),
                head: rest,
                middle: 0,
                tail: &[],
            };
            self.hold_rest(arrival, rest, cx);
        }
    }

    /// Reads bytes; how many of them: all, or those before an answer that must wait for its
    /// request.
    fn feed(&mut self, arrival: &mut Arrival, bytes: &[u8], cx: &mut Context<'_>) -> usize {
        let mut at = 0;
        while let Some(rest @ [_, ..]) = bytes.get(at..) {
            if self.opaque {
                break;
            }
            let answers = self.answers == Some(arrival.direction);
            let used = if !answers {
                self.read_requests(*arrival, rest, cx)
            } else if self.awaits_request() {
                return at;
            } else {
                self.read_responses(*arrival, rest, cx)
            };
            let turned = answers != (self.answers == Some(arrival.direction));
            if used == 0 && !turned {
                break;
            }
            if used > 0 {
                arrival.origin.pass();
            }
            at += used;
            if self.upgrade != Upgrade::No {
                self.leave((bytes.len() - at) as u64);
            }
        }
        bytes.len()
    }
}

impl<'a> Piece<'a> {
    fn new(segment: &Segment<'a>) -> Self {
        let length = u64::from(segment.length);
        let left_out = LeftOut {
            bytes: length.min(segment.skipped.into()),
            framing: length.min(segment.framing.into()),
        };
        let length = length - left_out.bytes;
        let head = clip(segment.head, length);
        let tail = clip(segment.tail, length - head.len() as u64);
        Self {
            left_out,
            head,
            middle: length - head.len() as u64 - tail.len() as u64,
            tail,
        }
    }

    fn without_first(self, bytes: u64) -> Self {
        if bytes == 0 {
            return self;
        }
        let rest = bytes.saturating_sub(self.left_out.bytes);
        let head = self.head.len() as u64;
        Self {
            // What of the framing is left isn't known.
            left_out: LeftOut {
                bytes: self.left_out.bytes.saturating_sub(bytes),
                framing: 0,
            },
            head: after(self.head, rest),
            middle: self.middle.saturating_sub(rest.saturating_sub(head)),
            tail: after(self.tail, rest.saturating_sub(head + self.middle)),
        }
    }
}

/// At most `length` bytes.
fn clip(bytes: &[u8], length: u64) -> &[u8] {
    usize::try_from(length)
        .ok()
        .and_then(|length| bytes.get(..length))
        .unwrap_or(bytes)
}

/// All but the first `skipped` bytes.
fn after(bytes: &[u8], skipped: u64) -> &[u8] {
    usize::try_from(skipped)
        .ok()
        .and_then(|skipped| bytes.get(skipped..))
        .unwrap_or_default()
}
