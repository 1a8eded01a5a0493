//! Scripted connections: what the kernel side would tell of some reads and writes, for tests and
//! measurements.

use std::net::Ipv4Addr;

use sonde_common::event::http::{
    BUDGET, CAPTURE_BODY, CAPTURE_FRONT, CAPTURE_MAX, Direction, TAIL, Tuple, flag,
};

use super::{Connections, exchange::Exchange, http1};
use crate::event::{Opened, Segment};

/// Time between two events of a script, in nanoseconds.
pub const STEP: u64 = 1_000;

/// The reads and writes of one connection.
#[derive(Clone, Debug)]
pub struct Script {
    connection: u64,
    tgid: u32,
    time: u64,
    capture: Capture,
    received: u64,
    sent: u64,
    late: bool,
    skipped: usize,
    segments: Vec<Recorded>,
}

/// How much of each read and write is captured.
#[derive(Clone, Copy, Debug)]
enum Capture {
    /// So many bytes of the front and of the end.
    Sizes { front: usize, tail: usize },
    /// As the kernel side does it; what is left of the present message's budget, by direction.
    Kernel { budget: [usize; 2] },
}

impl Capture {
    /// How many bytes of the front and of the end of a read or write are captured. The kernel's
    /// rules are in `sonde_common::event::http`.
    fn sizes(&mut self, direction: Direction, bytes: &[u8]) -> (usize, usize) {
        let budget = match self {
            Self::Sizes { front, tail } => return (*front, *tail),
            Self::Kernel { budget } => &mut budget[direction as usize],
        };
        let request = http1::begins_request(bytes);
        let starts = request || bytes.starts_with(b"HTTP/1.");
        if starts {
            *budget = BUDGET as usize;
        }
        let long = request || starts && bytes.ends_with(b"\r\n\r\n");
        let most = if long { CAPTURE_MAX } else { CAPTURE_FRONT };
        let front = bytes.len().min(most).min((*budget).max(CAPTURE_BODY));
        *budget = budget.saturating_sub(front);
        (front, TAIL)
    }
}

#[derive(Clone, Debug)]
struct Recorded {
    time: u64,
    tgid: u32,
    direction: Direction,
    flags: u32,
    offset: u64,
    length: u32,
    skipped: u32,
    framing: u32,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Script {
    /// An empty script for a connection of this number, of process 1000, captured whole.
    #[must_use]
    pub fn new(connection: u64) -> Self {
        Self {
            connection,
            tgid: 1000,
            time: 1_000_000,
            capture: Capture::Sizes {
                front: usize::MAX,
                tail: 0,
            },
            received: 0,
            sent: 0,
            late: false,
            skipped: 0,
            segments: Vec::new(),
        }
    }

    /// The agent came when the connection was open already.
    #[must_use]
    pub fn late(mut self) -> Self {
        self.late = true;
        self
    }

    /// From here on, only so many bytes are captured of each read or write.
    #[must_use]
    pub fn capture(mut self, front: usize, tail: usize) -> Self {
        self.capture = Capture::Sizes { front, tail };
        self
    }

    /// From here on, as much is captured of each read or write as the kernel side does.
    #[must_use]
    pub fn captured_as_by_the_kernel(mut self) -> Self {
        self.capture = Capture::Kernel { budget: [0; 2] };
        self
    }

    /// Of the next read or write, so many bytes at the front are left out: the rest of a DATA frame, or
    /// of a body.
    #[must_use]
    pub fn skipping(mut self, bytes: usize) -> Self {
        self.skipped = bytes;
        self
    }

    /// So many of those that are left out at the front of the last read or write are the chunked
    /// coding's.
    #[must_use]
    pub fn with_framing(mut self, bytes: u32) -> Self {
        if let Some(segment) = self.segments.last_mut() {
            segment.framing = bytes;
        }
        self
    }

    /// A body moves on.
    #[must_use]
    pub fn moves_on(mut self, direction: Direction) -> Self {
        self.record(direction, 0, 0, &[], &[]);
        self
    }

    /// From here on, this process reads and writes.
    #[must_use]
    pub fn tgid(mut self, tgid: u32) -> Self {
        self.tgid = tgid;
        self
    }

    /// Time passes.
    #[must_use]
    pub fn wait(mut self, nanoseconds: u64) -> Self {
        self.time += nanoseconds;
        self
    }

    /// The time of the last event.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.time
    }

    /// One read.
    #[must_use]
    pub fn receive(self, bytes: impl AsRef<[u8]>) -> Self {
        self.moved(Direction::Receive, bytes)
    }

    /// One write.
    #[must_use]
    pub fn send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.moved(Direction::Send, bytes)
    }

    /// One read or write. Nothing when there are no bytes.
    #[must_use]
    pub fn moved(mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        if bytes.is_empty() {
            return self;
        }
        let (front, tail) = self.capture.sizes(direction, bytes);
        let skipped = std::mem::take(&mut self.skipped).min(bytes.len());
        let kept = &bytes[skipped..];
        let (head, rest) = kept.split_at(front.min(kept.len()));
        let tail = &rest[rest.len() - tail.min(rest.len())..];
        self.record(direction, 0, bytes.len(), head, tail);
        if let Some(segment) = self.segments.last_mut() {
            segment.skipped = u32::try_from(skipped).unwrap_or(u32::MAX);
        }
        self
    }

    /// A read or write whose bytes could not be captured, such as sendfile.
    #[must_use]
    pub fn opaque(mut self, direction: Direction, length: usize) -> Self {
        self.record(direction, flag::OPAQUE, length, &[], &[]);
        self
    }

    /// A read or write whose record was lost.
    #[must_use]
    pub fn lost(mut self, direction: Direction, length: usize) -> Self {
        self.record(direction, 0, length, &[], &[]);
        self.segments.pop();
        self
    }

    /// End of file was read, or the sending side was shut.
    #[must_use]
    pub fn end(mut self, direction: Direction) -> Self {
        self.record(direction, flag::END, 0, &[], &[]);
        self
    }

    /// The connection was reset.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.record(Direction::Receive, flag::RESET | flag::CLOSED, 0, &[], &[]);
        self
    }

    /// The connection is gone.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.record(Direction::Receive, flag::CLOSED, 0, &[], &[]);
        self
    }

    fn record(
        &mut self,
        direction: Direction,
        flags: u32,
        length: usize,
        head: &[u8],
        tail: &[u8],
    ) {
        self.time += STEP;
        let position = match direction {
            Direction::Receive => &mut self.received,
            Direction::Send => &mut self.sent,
        };
        self.segments.push(Recorded {
            time: self.time,
            tgid: self.tgid,
            direction,
            flags,
            offset: *position,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            skipped: 0,
            framing: 0,
            head: head.to_vec(),
            tail: tail.to_vec(),
        });
        *position += length as u64;
    }

    /// The same connection as the other end saw it.
    #[must_use]
    pub fn mirrored(mut self) -> Self {
        for segment in &mut self.segments {
            segment.direction = match segment.direction {
                Direction::Receive => Direction::Send,
                Direction::Send => Direction::Receive,
            };
        }
        std::mem::swap(&mut self.received, &mut self.sent);
        self
    }

    /// The script without its first `count` events, as a kernel side that comes late tells it.
    #[must_use]
    pub fn without_first(mut self, count: usize) -> Self {
        self.late |= count > 0;
        self.segments.drain(..count.min(self.segments.len()));
        for direction in [Direction::Receive, Direction::Send] {
            let mut same_way = self
                .segments
                .iter_mut()
                .filter(|s| s.direction == direction);
            if let Some(first) = same_way.next() {
                let start = std::mem::take(&mut first.offset);
                same_way.for_each(|segment| segment.offset -= start);
            }
        }
        self
    }

    /// The events after the first `count`, as they go on on a connection that was seen before.
    #[must_use]
    pub fn after_first(mut self, count: usize) -> Self {
        self.segments.drain(..count.min(self.segments.len()));
        self
    }

    /// Who talks to whom in every script.
    #[must_use]
    pub fn tuple() -> Tuple {
        Tuple {
            local: Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets(),
            remote: Ipv4Addr::new(127, 0, 0, 2).to_ipv6_mapped().octets(),
            local_port: 80,
            remote_port: 50_000,
            netns: 1,
        }
    }

    /// What the kernel side tells first.
    #[must_use]
    pub fn opened(&self) -> Opened {
        Self::opened_as(self.connection, self.late)
    }

    /// The same for a connection of this number.
    #[must_use]
    pub fn opened_as(connection: u64, late: bool) -> Opened {
        Opened {
            connection,
            tuple: Self::tuple(),
            late,
            tls: false,
            http2: false,
        }
    }

    /// What the kernel side tells.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.segments.iter().map(|segment| Segment {
            connection: self.connection,
            time: segment.time,
            tgid: segment.tgid,
            direction: segment.direction,
            flags: segment.flags,
            offset: segment.offset,
            length: segment.length,
            skipped: segment.skipped,
            framing: segment.framing,
            head: &segment.head,
            tail: &segment.tail,
            queued: None,
            tcp: None,
        })
    }

    /// Plays the script; what it gave.
    pub fn play(&self, connections: &mut Connections) -> Vec<Exchange> {
        let mut exchanges = Vec::new();
        connections.open(&self.opened());
        for segment in self.segments() {
            connections.segment(&segment, &mut |exchange| exchanges.push(exchange.clone()));
        }
        exchanges
    }
}
