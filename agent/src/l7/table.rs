//! All connections: caps, ageing and counters.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    time::Duration,
};

use sonde_common::event::{http::flag, tcp::Info};

use super::{
    connection::{AHEAD_MAX, Context, Fate},
    counters::{Counters, GivenUp},
    exchange::{Exchange, Method, Role},
    headers::Selection,
    http1::Reader,
    http2::Memory,
    protocol::Conversation,
    queue::Pool,
    stream::Buffers,
};
use crate::{
    event::{Opened, Segment},
    hash::NumberMap,
};

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections.
    pub max_connections: usize,
    /// Requests in flight on one connection.
    pub max_pipeline: usize,
    /// Streams that are open on one HTTP/2 connection.
    pub max_streams: usize,
    /// Requests in flight on all connections.
    pub max_in_flight: usize,
    /// Bytes of one message head that comes in parts.
    pub max_head: usize,
    /// Bytes of all message heads that come in parts.
    pub max_buffered: usize,
    /// Tables of HTTP/2's header compression, of all connections, by RFC 7541's measure of size.
    pub max_header_tables: usize,
    /// Silence after which a request without the beginning of an answer is given up.
    pub request_timeout: Duration,
    /// Silence after which an answer that has begun is given up.
    pub response_timeout: Duration,
    /// Silence after which a connection may be forgotten when the table is full.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 100_000,
            max_pipeline: 128,
            max_streams: 1024,
            max_in_flight: 100_000,
            max_head: 64 * 1024,
            max_buffered: 16 * 1024 * 1024,
            max_header_tables: 32 * 1024 * 1024,
            request_timeout: Duration::from_mins(1),
            response_timeout: Duration::from_mins(5),
            idle_timeout: Duration::from_mins(10),
        }
    }
}

/// The connections that are being followed.
pub struct Connections {
    table: NumberMap<u64, Conversation>,
    /// Connections that are gone but may still be told of, and since when.
    lingering: VecDeque<(u64, u64)>,
    /// Ends of encrypted connections, which stay in the table until then.
    ends: VecDeque<End>,
    shared: Shared,
}

/// The end of an encrypted connection. What a TLS library has read or written is told when its call
/// returns, which may be after another thread, or the peer, has ended the connection.
#[derive(Clone, Copy, Debug)]
struct End {
    connection: u64,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    time: u64,
    flags: u32,
    tcp: Option<Info>,
}

/// Nanoseconds for which an [`End`] waits. Only a thread that is kept from running makes a call
/// return later.
const END_WAITS: u64 = 500_000_000;

/// What all connections share.
struct Shared {
    limits: Limits,
    counters: Counters,
    pool: Pool<Exchange>,
    reader: Reader,
    buffers: Buffers,
    memory: Memory,
}

impl Shared {
    /// What a connection works with; exchanges go to `out`.
    fn context<'a>(&'a mut self, out: &'a mut dyn FnMut(&Exchange)) -> Context<'a> {
        Context {
            limits: &self.limits,
            counters: &mut self.counters,
            pool: &mut self.pool,
            reader: &mut self.reader,
            buffers: &mut self.buffers,
            memory: &mut self.memory,
            tcp: None,
            out,
        }
    }
}

impl Connections {
    /// An empty table that keeps no header fields.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with_headers(limits, Selection::default())
    }

    /// An empty table; its exchanges have the header fields that `selection` asks for.
    #[must_use]
    pub fn with_headers(limits: Limits, selection: Selection) -> Self {
        Self {
            table: NumberMap::default(),
            lingering: VecDeque::new(),
            ends: VecDeque::new(),
            shared: Shared {
                limits,
                counters: Counters::default(),
                pool: Pool::new(),
                reader: Reader::new(selection),
                buffers: Buffers {
                    each: limits.max_head,
                    all: limits.max_buffered,
                    used: 0,
                },
                memory: Memory::new(limits.max_header_tables),
            },
        }
    }

    /// A connection was recognised. One that is known already stays as it is.
    pub fn open(&mut self, opened: &Opened) {
        let full = self.table.len() >= self.shared.limits.max_connections;
        if let Entry::Vacant(place) = self.table.entry(opened.connection) {
            if full {
                self.shared.counters.give_up(GivenUp::TableFull);
            } else {
                place.insert(Conversation::new(opened));
            }
        }
    }

    /// Takes a segment in, and gives the exchanges that it completes to `out`.
    pub fn segment(&mut self, segment: &Segment<'_>, out: &mut impl FnMut(&Exchange)) {
        let ends = segment.flags & (flag::CLOSED | flag::RESET) != 0;
        let encrypted = |table: &NumberMap<u64, Conversation>| {
            let connection = table.get(&segment.connection);
            connection.is_some_and(Conversation::is_encrypted)
        };
        if segment.length == 0 && ends && encrypted(&self.table) {
            self.ends.push_back(End {
                connection: segment.connection,
                time: segment.time,
                flags: segment.flags,
                tcp: segment.tcp,
            });
        } else {
            self.take(segment, out);
        }
    }

    /// Takes in what needn't wait.
    fn take(&mut self, segment: &Segment<'_>, out: &mut impl FnMut(&Exchange)) {
        let Some(connection) = self.table.get_mut(&segment.connection) else {
            self.shared.counters.unknown_connection += u64::from(segment.length > 0);
            return;
        };
        let mut context = self.shared.context(out);
        context.tcp = segment.tcp;
        match connection.segment(segment, &mut context) {
            Fate::Open => {}
            Fate::Lingering => self.lingering.push_back((segment.connection, segment.time)),
            Fate::Gone => {
                self.table.remove(&segment.connection);
            }
        }
    }

    /// Gives up what has been silent for too long at `now`, `CLOCK_MONOTONIC` nanoseconds. Meant
    /// to be called about once a second; the cost follows what is in flight.
    pub fn expire(&mut self, now: u64, out: &mut impl FnMut(&Exchange)) {
        // A request is no younger than its connection's last byte, so few need a closer look.
        let shortest = self
            .shared
            .limits
            .request_timeout
            .min(self.shared.limits.response_timeout);
        let mut old: Vec<u64> = self
            .shared
            .pool
            .iter()
            .filter(|exchange| is_over(exchange.start, shortest, now))
            .map(|exchange| exchange.connection)
            .collect();
        old.sort_unstable();
        old.dedup();
        for number in old {
            self.age(number, now, out);
        }
        self.end(now, out);
        self.end_lingering(now, out);
        if self.table.len() >= self.shared.limits.max_connections {
            self.forget_idle(now, out);
        }
    }

    /// Ends connections of which nothing more is told.
    fn end(&mut self, now: u64, out: &mut impl FnMut(&Exchange)) {
        let is_old = |end: &mut End| now.saturating_sub(end.time) > END_WAITS;
        while let Some(end) = self.ends.pop_front_if(is_old) {
            let connection = self.table.get(&end.connection);
            let last = connection.map_or(0, Conversation::last);
            self.take(
                &Segment::end(end.connection, end.time.max(last), end.flags, end.tcp),
                out,
            );
        }
    }

    /// Forgets connections that are gone and of which nothing more was told.
    fn end_lingering(&mut self, now: u64, out: &mut impl FnMut(&Exchange)) {
        let mut context = self.shared.context(out);
        let is_old = |(_, since): &mut (u64, u64)| now.saturating_sub(*since) > AHEAD_MAX;
        while let Some((number, _)) = self.lingering.pop_front_if(is_old) {
            if let Some(mut connection) = self.table.remove(&number) {
                connection.stop_waiting(&mut context);
            }
        }
    }

    fn age(&mut self, number: u64, now: u64, out: &mut impl FnMut(&Exchange)) {
        let Some(connection) = self.table.get_mut(&number) else {
            return;
        };
        let mut context = self.shared.context(out);
        connection.age(now, &mut context);
    }

    /// Makes room: the record of a connection's end may have been lost.
    fn forget_idle(&mut self, now: u64, out: &mut impl FnMut(&Exchange)) {
        let idle_timeout = self.shared.limits.idle_timeout;
        let mut context = self.shared.context(out);
        self.table.retain(|_, connection| {
            let kept = !is_over(connection.last(), idle_timeout, now);
            if !kept {
                connection.release(&mut context);
                context.counters.give_up(GivenUp::Idle);
            }
            kept
        });
    }

    /// Requests in flight, for `http.server.active_requests` and its client twin: role, process,
    /// method, scheme and how many. The cost follows what is in flight.
    pub fn active(&self) -> impl Iterator<Item = (Role, u32, Method, &'static str, u64)> + use<> {
        let mut counts: HashMap<_, u64> = HashMap::new();
        for exchange in self.shared.pool.iter() {
            let key = (
                exchange.role,
                exchange.tgid,
                exchange.method,
                exchange.scheme,
            );
            *counts.entry(key).or_default() += 1;
        }
        counts
            .into_iter()
            .map(|((role, tgid, method, scheme), count)| (role, tgid, method, scheme, count))
    }

    /// Requests in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.pool.len()
    }

    /// Bytes of message heads that are not whole yet.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.shared.buffers.used
    }

    /// Size of the tables of HTTP/2's header compression, by RFC 7541's measure.
    #[must_use]
    pub fn header_tables(&self) -> usize {
        self.shared.memory.tables.used
    }

    /// Connections in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no connection is in the table.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// What became of everything so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }
}

/// Whether nothing has happened for longer than `patience`.
pub(super) fn is_over(since: u64, patience: Duration, now: u64) -> bool {
    u128::from(now.saturating_sub(since)) > patience.as_nanos()
}
