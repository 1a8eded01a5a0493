//! What the programs have told, and what the agent makes of it.

use sonde::{
    event::{Event, Opened, Segment},
    l7::{Connections, Limits, exchange::Exchange},
};
use sonde_common::event::{
    http::{Direction, flag},
    process::{Exec, Exit, ExitRest, Fork, OomKill},
    tcp::{Closed, ConnectFailed, Info},
    tls::Uncovered,
};

use super::Observed;

/// A record, kept.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Exec(Box<Exec>),
    Fork(Fork),
    Exit(Exit),
    ExitRest(ExitRest),
    OomKill(OomKill),
    Closed(Box<Closed>),
    ConnectFailed(ConnectFailed),
    Open(Opened),
    Uncovered(Uncovered),
    Segment(Kept),
}

/// A [`Segment`] with its own bytes.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) connection: u64,
    pub(crate) time: u64,
    pub(crate) tgid: u32,
    pub(crate) direction: Direction,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) skipped: u32,
    pub(crate) framing: u32,
    pub(crate) head: Vec<u8>,
    pub(crate) tail: Vec<u8>,
    pub(crate) queued: Option<u32>,
    pub(crate) tcp: Option<Info>,
}

impl Seen {
    pub(super) fn of(event: Event<'_>) -> Self {
        match event {
            Event::Exec(record) => Self::Exec(Box::new(*record)),
            Event::Fork(record) => Self::Fork(*record),
            Event::Exit(record) => Self::Exit(*record),
            Event::ExitRest(record) => Self::ExitRest(*record),
            Event::OomKill(record) => Self::OomKill(*record),
            Event::TcpClosed(record) => Self::Closed(Box::new(*record)),
            Event::TcpConnectFailed(record) => Self::ConnectFailed(*record),
            Event::HttpOpen(opened) => Self::Open(opened),
            Event::Uncovered(record) => Self::Uncovered(*record),
            Event::HttpSegment(segment) => Self::Segment(Kept {
                connection: segment.connection,
                time: segment.time,
                tgid: segment.tgid,
                direction: segment.direction,
                flags: segment.flags,
                offset: segment.offset,
                length: segment.length,
                skipped: segment.skipped,
                framing: segment.framing,
                head: segment.head.to_vec(),
                tail: segment.tail.to_vec(),
                queued: segment.queued,
                tcp: segment.tcp,
            }),
        }
    }
}

impl Kept {
    fn as_segment(&self) -> Segment<'_> {
        Segment {
            connection: self.connection,
            time: self.time,
            tgid: self.tgid,
            direction: self.direction,
            flags: self.flags,
            offset: self.offset,
            length: self.length,
            skipped: self.skipped,
            framing: self.framing,
            head: &self.head,
            tail: &self.tail,
            queued: self.queued,
            tcp: self.tcp,
        }
    }
}

impl Observed {
    /// The exchanges of a process, out of the agent's own byte-stream model.
    pub(crate) fn exchanges(&self, tgid: u32) -> Vec<Exchange> {
        let mut exchanges = Vec::new();
        self.follow(|exchange| {
            if exchange.tgid == tgid {
                exchanges.push(exchange.clone());
            }
        });
        exchanges
    }

    /// What was told of an exchange's reads and writes, a line each: for tests that depend on how
    /// bytes are cut, which may be seen once only.
    pub(crate) fn told_of(&self, exchange: &Exchange) -> Vec<String> {
        let segments = self.seen.iter().filter_map(|seen| match seen {
            Seen::Segment(segment) => Some(segment),
            _ => None,
        });
        let of_exchange = segments.filter(|segment| {
            segment.connection == exchange.connection
                && (exchange.start..=exchange.end).contains(&segment.time)
        });
        let line = |segment: &Kept| {
            let (head, tail) = (segment.head.len(), segment.tail.len());
            let Kept {
                direction,
                flags,
                offset,
                length,
                skipped,
                framing,
                ..
            } = segment;
            format!(
                "{direction:?} {offset}+{length}: {head} and {tail} kept, flags {flags:#x}, \
                 skipped {skipped}, framing {framing:#x}"
            )
        };
        of_exchange.map(line).collect()
    }

    /// Feeds everything to the model; what it is then.
    pub(crate) fn follow(&self, mut out: impl FnMut(&Exchange)) -> Connections {
        let mut connections = Connections::new(Limits::default());
        for seen in &self.seen {
            match seen {
                Seen::Open(opened) => connections.open(opened),
                Seen::Segment(segment) => connections.segment(&segment.as_segment(), &mut out),
                Seen::Closed(closed) => connections.segment(&end_of(closed), &mut out),
                _ => {}
            }
        }
        connections
    }

    /// Closed connections of a process.
    pub(crate) fn closed(&self, tgid: u32) -> Vec<Closed> {
        let closed = self.seen.iter().filter_map(|seen| match seen {
            Seen::Closed(closed) if closed.totals.tgid == tgid => Some(**closed),
            _ => None,
        });
        closed.collect()
    }

    /// Closed connections with this port at either end.
    pub(crate) fn closed_at(&self, port: u16) -> Vec<Closed> {
        let closed = self.seen.iter().filter_map(|seen| match seen {
            Seen::Closed(closed)
                if [
                    closed.totals.tuple.local_port,
                    closed.totals.tuple.remote_port,
                ]
                .contains(&port) =>
            {
                Some(**closed)
            }
            _ => None,
        });
        closed.collect()
    }
}

/// The last segment of a connection, as the agent makes it of this record.
fn end_of(closed: &Closed) -> Segment<'static> {
    let reset = if closed.reset == 0 { 0 } else { flag::RESET };
    Segment {
        connection: closed.totals.connection,
        time: closed.header.time,
        tgid: closed.totals.tgid,
        direction: Direction::Receive,
        flags: flag::CLOSED | reset,
        offset: 0,
        length: 0,
        skipped: 0,
        framing: 0,
        head: &[],
        tail: &[],
        queued: None,
        tcp: Some(closed.totals.info()),
    }
}
