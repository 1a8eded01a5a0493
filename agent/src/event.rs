//! What the kernel side tells, decoded: the first typed stage after bytes.

use sonde_common::event::{
    http::{Direction, Tuple},
    process, tcp,
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
    /// The kernel chose an OOM victim.
    OomKill(&'a process::OomKill),
    /// A TCP connection ended.
    TcpClosed(&'a tcp::Closed),
    /// A TCP connect failed.
    TcpConnectFailed(&'a tcp::ConnectFailed),
    /// An HTTP connection was recognised.
    HttpOpen {
        /// Its number.
        connection: u64,
        /// Who talks to whom.
        tuple: Tuple,
        /// Whether the first bytes seen may be in the middle of a message.
        late: bool,
    },
    /// One read or write of an HTTP connection.
    HttpSegment(Segment<'a>),
}

/// One read or write on an HTTP connection.
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
    /// The first bytes; may be fewer than `length`.
    pub head: &'a [u8],
    /// The last bytes; empty when `head` is complete. Never overlaps `head`.
    pub tail: &'a [u8],
}
