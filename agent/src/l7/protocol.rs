//! Which protocol a connection speaks: chosen by its first bytes.

use sonde_common::event::http::Direction;

use super::{
    connection::{Connection, Context, Fate},
    http2::{self, Opening, PREFACE, Start},
};
use crate::event::{Opened, Segment};

/// One connection, by its protocol.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most are HTTP/1.x, and find it in the table itself"
)]
pub(super) enum Conversation {
    /// HTTP/1.x, or nothing that is known yet.
    Http1 {
        connection: Connection,
        late: bool,
    },
    Http2(Box<http2::Connection>),
}

/// So much of the connection preface is that of no other protocol: `PRI` is reserved (RFC 9113
/// section 3.4).
const SURE: usize = 3;

impl Conversation {
    /// A connection of which nothing has been told yet.
    pub(super) const fn new(opened: &Opened) -> Self {
        Self::Http1 {
            connection: Connection::new(opened),
            late: opened.late,
        }
    }

    /// Whether it is what TLS carries.
    pub(super) fn is_encrypted(&self) -> bool {
        let scheme = match self {
            Self::Http1 { connection, .. } => connection.scheme(),
            Self::Http2(connection) => connection.scheme(),
        };
        scheme == "https"
    }

    /// When the last byte moved in either direction.
    pub(super) fn last(&self) -> u64 {
        match self {
            Self::Http1 { connection, .. } => connection.last(),
            Self::Http2(connection) => connection.last(),
        }
    }

    /// Takes one segment in.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) -> Fate {
        match self {
            Self::Http2(connection) => connection.segment(segment, cx),
            Self::Http1 { connection, late } => {
                if let Some(opening) = recognise(connection, *late, segment, cx) {
                    let connection = http2::Connection::new(&opening);
                    return self.turn(connection, segment, cx);
                }
                let fate = connection.segment(segment, cx);
                let Some((opening, slot)) = connection.take_upgrade(cx) else {
                    return fate;
                };
                let rest = rest_of(segment, opening.sides[segment.direction as usize].0);
                let connection = http2::Connection::upgraded(&opening, slot, cx);
                self.turn(connection, &rest, cx)
            }
        }
    }

    /// Goes on as HTTP/2 with this segment.
    fn turn(
        &mut self,
        connection: http2::Connection,
        segment: &Segment<'_>,
        cx: &mut Context<'_>,
    ) -> Fate {
        let mut connection = Box::new(connection);
        let fate = connection.segment(segment, cx);
        *self = Self::Http2(connection);
        fate
    }

    /// Gives up what has been silent for too long at `now`.
    pub(super) fn age(&mut self, now: u64, cx: &mut Context<'_>) {
        match self {
            Self::Http1 { connection, .. } => connection.age(now, cx),
            Self::Http2(connection) => connection.age(now, cx),
        }
    }

    /// Nothing more is told of a connection that is gone.
    pub(super) fn stop_waiting(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Http1 { connection, .. } => connection.stop_waiting(cx),
            Self::Http2(connection) => connection.release(cx),
        }
    }

    /// Lets go of everything that takes memory.
    pub(super) fn release(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Http1 { connection, .. } => connection.release(cx),
            Self::Http2(connection) => connection.release(cx),
        }
    }
}

/// How a connection goes on as HTTP/2 with this segment, when it does.
fn recognise(
    connection: &mut Connection,
    late: bool,
    segment: &Segment<'_>,
    cx: &mut Context<'_>,
) -> Option<Opening> {
    if !connection.is_undecided() || segment.length == 0 {
        return None;
    }
    let direction = segment.direction;
    let (next, before) = connection.place(direction);
    let first = segment.offset == next && next == before.len() as u64;
    let (asks, start) = if first && let Some(had) = preface(before, segment.head) {
        (true, Start::Preface(had))
    } else if segment.offset >= next && segment.head.starts_with(PREFACE) {
        // Bytes before it were missed, or belong to something else.
        (true, Start::Anywhere)
    } else if first && !late && next == 0 && http2::starts_as_server(segment.head) {
        (false, Start::First)
    } else if late && segment.offset >= next && http2::looks_late(segment.head) {
        let opening = connection.become_http2(cx);
        return Some(opening);
    } else {
        return None;
    };
    // What the other direction has so far may be the front of the preface: a server needn't wait for
    // all of it.
    let (place, before) = connection.place(opposite(direction));
    let had = (place == before.len() as u64 && PREFACE.starts_with(before)).then_some(before.len());
    let mut opening = connection.become_http2(cx);
    opening.requests = Some(if asks { direction } else { opposite(direction) });
    for (side, place) in [Direction::Receive, Direction::Send]
        .into_iter()
        .zip(&mut opening.sides)
    {
        if side == direction {
            place.1 = start;
        } else if late {
            // Where its frames begin isn't known.
        } else if asks && place.0 == 0 {
            place.1 = Start::First;
        } else if !asks && let Some(had) = had {
            place.1 = Start::Preface(had);
        }
    }
    Some(opening)
}

/// What stands in a segment from `position` on. When that isn't among its front bytes, no bytes: the
/// next ones show how many are missing.
fn rest_of<'a>(segment: &Segment<'a>, position: u64) -> Segment<'a> {
    let passed = u32::try_from(position.saturating_sub(segment.offset)).unwrap_or(u32::MAX);
    let front = usize::try_from(passed).ok();
    let front = front.and_then(|passed| segment.head.get(passed..));
    Segment {
        offset: position,
        length: front.map_or(0, |_| segment.length.saturating_sub(passed)),
        head: front.unwrap_or_default(),
        ..*segment
    }
}

/// How many bytes of the connection preface there were `before`, when these bytes go on with it and
/// enough of it is there.
fn preface(before: &[u8], bytes: &[u8]) -> Option<usize> {
    let left = PREFACE.strip_prefix(before)?;
    let compared = left.len().min(bytes.len());
    let goes_on = left.get(..compared) == bytes.get(..compared);
    (goes_on && before.len() + compared >= SURE).then_some(before.len())
}

const fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Receive => Direction::Send,
        Direction::Send => Direction::Receive,
    }
}
