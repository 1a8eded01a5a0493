//! A segment to bytes and holes at their positions.

use super::{Arrival, Connection, Context, gap::Hole};
use crate::{event::Segment, l7::stream::Origin};

impl Connection {
    /// Takes a segment's bytes in.
    pub(super) fn bytes(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) {
        let length = u64::from(segment.length);
        if length == 0 {
            return;
        }
        let stream = self.stream(segment.direction);
        let next = stream.next;
        let Some(end) = segment.offset.checked_add(length) else {
            return;
        };
        stream.next = end.max(next);
        if segment.offset > next {
            let missing = segment.offset - next;
            cx.counters.gaps += 1;
            cx.counters.gap_bytes += missing;
            self.gap(segment.direction, missing, Hole::Records, segment.time, cx);
        }
        let overlap = next.saturating_sub(segment.offset).min(length);
        cx.counters.overlaps += u64::from(overlap > 0);
        self.pieces(segment, overlap, cx);
        let stream = self.stream(segment.direction);
        stream.last = stream.last.max(segment.time);
    }

    /// Front, uncaptured middle and end of a segment, without its first `overlap` bytes.
    fn pieces(&mut self, segment: &Segment<'_>, overlap: u64, cx: &mut Context<'_>) {
        let length = u64::from(segment.length);
        let head = clip(segment.head, length);
        let tail = clip(segment.tail, length - head.len() as u64);
        let middle = length - head.len() as u64 - tail.len() as u64;
        let fresh = overlap == 0;
        let mut arrival = Arrival {
            direction: segment.direction,
            origin: Origin {
                time: segment.time,
                tgid: segment.tgid,
                fresh,
                first: fresh && segment.offset == 0,
            },
        };
        self.feed(arrival, after(head, overlap), cx);
        arrival.origin.pass();
        let overlap = overlap.saturating_sub(head.len() as u64);
        if middle > overlap {
            let missing = middle - overlap;
            self.gap(
                arrival.direction,
                missing,
                Hole::Uncaptured,
                segment.time,
                cx,
            );
        }
        self.feed(arrival, after(tail, overlap.saturating_sub(middle)), cx);
    }

    fn feed(&mut self, mut arrival: Arrival, mut bytes: &[u8], cx: &mut Context<'_>) {
        while !bytes.is_empty() && !self.opaque {
            let used = if self.answers == Some(arrival.direction) {
                self.read_responses(arrival, bytes, cx)
            } else {
                self.read_requests(arrival, bytes, cx)
            };
            arrival.origin.pass();
            match bytes.get(used..) {
                Some(rest) if used > 0 => bytes = rest,
                _ => return,
            }
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
