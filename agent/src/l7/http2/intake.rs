//! A segment to chunks at their positions, and those to frames.

use sonde_common::event::http::Direction;

use super::{
    Connection,
    chunk::{Chunk, Origin, Step},
};
use crate::{
    event::Segment,
    l7::{connection::Context, counters::Rejection},
};

impl Connection {
    /// A segment's bytes at their positions.
    pub(super) fn bytes(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) {
        let length = u64::from(segment.length);
        let Some(end) = segment.offset.checked_add(length) else {
            return;
        };
        let side = self.side(segment.direction);
        let next = side.next;
        side.next = end.max(next);
        let origin = Origin {
            time: segment.time,
            tgid: segment.tgid,
            queued: segment.queued,
            tcp: segment.tcp,
        };
        let missed = segment.offset.saturating_sub(next);
        if missed > 0 {
            cx.counters.gaps += 1;
            cx.counters.gap_bytes += missed;
            self.feed(segment.direction, Chunk::Missed(missed), origin, cx);
        }
        let mut overlap = next.saturating_sub(segment.offset).min(length);
        cx.counters.overlaps += u64::from(overlap > 0);
        for (chunk, aligned) in chunks(segment) {
            let (told, chunk) = chunk.split(overlap);
            overlap -= told.len();
            let side = self.side(segment.direction);
            if aligned
                && told.len() == 0
                && side.frames.is_lost()
                && let Chunk::Seen(bytes) = chunk
            {
                let longest = self.longest;
                self.side(segment.direction).frames.resume(bytes, longest);
            }
            self.feed(segment.direction, chunk, origin, cx);
        }
        let side = self.side(segment.direction);
        side.last = side.last.max(segment.time);
    }

    /// Reads all of a chunk.
    fn feed(
        &mut self,
        direction: Direction,
        mut chunk: Chunk<'_>,
        origin: Origin,
        cx: &mut Context<'_>,
    ) {
        while chunk.len() > 0 {
            let frames = &mut self.side(direction).frames;
            let (step, rest) = frames.read(chunk, origin, cx.buffers);
            chunk = rest;
            match step {
                Step::More => {}
                Step::Data {
                    header,
                    payload,
                    ended,
                } => self.data(direction, &header, payload, ended, origin.time, cx),
                Step::Frame {
                    header,
                    payload,
                    origin: first,
                } => self.frame(
                    direction,
                    header,
                    payload.as_deref(),
                    first,
                    origin.time,
                    cx,
                ),
                Step::Lost => self.lose(direction, cx),
                Step::NoPreface => {
                    cx.counters.reject(Rejection::NotHttp);
                    self.lose(direction, cx);
                }
            }
        }
    }
}

/// What a segment has, in order, and whether a frame may be known to begin there: at the start of a
/// read or write, and after what was left out.
fn chunks<'a>(segment: &Segment<'a>) -> [(Chunk<'a>, bool); 4] {
    let whole = Chunk::Missed(segment.length.into());
    let (skipped, rest) = whole.split(segment.skipped.into());
    let (head, rest) = rest.split(segment.head.len() as u64);
    let (head, _) = Chunk::Seen(segment.head).split(head.len());
    let tail = (segment.tail.len() as u64).min(rest.len());
    let (middle, _) = rest.split(rest.len() - tail);
    let (tail, _) = Chunk::Seen(segment.tail).split(tail);
    [
        (skipped, false),
        (head, true),
        (middle, false),
        (tail, false),
    ]
}
