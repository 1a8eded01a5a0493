//! What the kernel side tells, decoded: the first typed stage after bytes.

use sonde_common::event::{
    http::{Direction, Tuple},
    process,
    tcp::{self, Info},
    tls,
};

/// One decoded ring-buffer record.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A process runs a new program.
    Exec(&'a process::Exec),
    /// A new process.
    Fork(&'a process::Fork),
    /// A process ended.
    Exit(&'a process::Exit),
    /// What a thread used that was late for its process's end.
    ExitRest(&'a process::ExitRest),
    /// The kernel chose an OOM victim.
    OomKill(&'a process::OomKill),
    /// A TCP connection ended.
    TcpClosed(&'a tcp::Closed),
    /// A TCP connect failed.
    TcpConnectFailed(&'a tcp::ConnectFailed),
    /// An HTTP connection was recognised.
    HttpOpen(Opened),
    /// One read or write of an HTTP connection.
    HttpSegment(Segment<'a>),
    /// A connection whose requests can't be seen.
    Uncovered(&'a tls::Uncovered),
}

/// A connection that carries HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its number.
    pub connection: u64,
    /// Who talks to whom.
    pub tuple: Tuple,
    /// Whether the first bytes seen may be in the middle of a message.
    pub late: bool,
    /// Whether it is encrypted, and its segments have what was read and written inside.
    pub tls: bool,
    /// Whether it is HTTP/2 although its preface wasn't seen: its first bytes have the form of a
    /// frame's header. HTTP/2 with a preface begins as any other connection does.
    pub http2: bool,
}

/// One read or write on an HTTP connection, a part of one, or several within a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The connection's number.
    pub connection: u64,
    /// When the call had moved its bytes, `CLOCK_MONOTONIC` nanoseconds.
    pub time: u64,
    /// Process that made the call.
    pub tgid: u32,
    /// Which way.
    pub direction: Direction,
    /// See [`sonde_common::event::http::flag`].
    pub flags: u32,
    /// Position of the first byte in this direction's stream.
    pub offset: u64,
    /// Bytes moved.
    pub length: u32,
    /// Bytes at the front that were left out: the rest of an HTTP/2 DATA frame, or of an HTTP/1.x body.
    pub skipped: u32,
    /// How many of those are no data but the chunked coding's; where there are any, the next chunk's
    /// size stands behind them.
    pub framing: u32,
    /// The bytes after those; may be fewer than `length`.
    pub head: &'a [u8],
    /// The last bytes; empty when `head` is complete. Never overlaps `head`.
    pub tail: &'a [u8],
    /// How long what was read last lay in the socket before, microseconds, where that is known.
    pub queued: Option<u32>,
    /// What TCP knew of the connection after this, where that is known.
    pub tcp: Option<Info>,
}

impl Segment<'static> {
    /// The end of a connection, without any bytes.
    #[must_use]
    pub const fn end(connection: u64, time: u64, flags: u32, tcp: Option<Info>) -> Self {
        Self {
            connection,
            time,
            tgid: 0,
            direction: Direction::Receive,
            flags,
            offset: 0,
            length: 0,
            skipped: 0,
            framing: 0,
            head: &[],
            tail: &[],
            queued: None,
            tcp,
        }
    }
}
