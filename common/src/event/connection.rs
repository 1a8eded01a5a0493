//! What the kernel side keeps of one TCP connection while it lives.

use crate::{
    event::{http::Tuple, tcp::Info},
    pod,
};

/// Connections whose states have room in the table (kernels before 6.3): 8 MiB, allocated when the
/// programs are loaded.
pub const TABLE_ENTRIES: u32 = 32_768;

/// What a connection carries, as far as is known.
pub mod verdict {
    /// Its first bytes have not been seen.
    pub const UNDECIDED: u8 = 0;
    /// HTTP/1.x.
    pub const HTTP: u8 = 1;
    /// Something else, or the agent's own traffic: never looked at again.
    pub const OPAQUE: u8 = 2;
    /// HTTP/2.
    pub const HTTP2: u8 = 3;
    /// TLS records; what is inside is followed as a [`super::tls::Session`], once that is known.
    pub const TLS: u8 = 4;
}

/// What the next bytes of HTTP/1.x belong to, as far as it is known.
pub mod body {
    /// Anything.
    pub const UNKNOWN: u8 = 0;
    /// A body of known length, up to [`super::Stream::end`].
    pub const LENGTH: u8 = 1;
    /// A chunk of a chunked body, up to [`super::Stream::end`].
    pub const CHUNKED: u8 = 2;
    /// Messages that were pipelined, without regard to where each begins.
    pub const PIPELINED: u8 = 3;
    /// Anything, and [`super::Stream::untold`] bytes of a body before [`super::Stream::end`] are to be
    /// told yet.
    pub const LOST: u8 = 4;
}

/// Marks of the present HTTP/1.x message, and of those before it in the same direction.
pub mod message {
    /// It follows something in the other direction, so no other one is around it.
    pub const TURNED: u8 = 1;
    /// It is short so far, and its head wasn't read, or goes on.
    pub const SHORT: u8 = 2;
    /// A short one went on in another read or write, so the heads of all are read.
    pub const SPLIT: u8 = 4;
    /// The short one is a request, so what goes on with the protocol's name is still part of it.
    pub const REQUEST: u8 = 8;
    /// The short one is an answer, so what goes on with a method is still part of it.
    pub const ANSWER: u8 = 16;
    /// What there is to say of a short one.
    pub const OF_SHORT: u8 = SHORT | REQUEST | ANSWER;
}

/// What is followed of the bytes of a connection, or of those inside its TLS records.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// What TCP knew as of the last read or write that was followed.
    pub tcp: Info,
    /// Identifies the connection in every record; never reused while the programs are loaded. 0:
    /// not set up.
    pub connection: u64,
    /// Stream positions: bytes read, bytes written since the connection was first seen.
    pub offset: [u64; 2],
    /// Where, per direction, the body of the present HTTP/1.x message ends, or its next chunk begins,
    /// or the bytes ended that are untold; see [`body`].
    pub end: [u64; 2],
    /// First bytes of the present message per direction while they are too few to tell; in HTTP/2
    /// those of a frame header that is not whole, in a chunked body those of a chunk's size.
    pub first: [u64; 2],
    /// Bytes that may still be captured of the present message, per direction; in HTTP/2 bytes that
    /// are left of the present frame, or [`LOST`].
    pub budget: [u32; 2],
    /// Bytes before the present position that weren't told, since they are a body's; where that was
    /// lost, before `end`.
    pub untold: [u32; 2],
    /// How many of those are no data but the chunked coding's.
    pub framing: [u32; 2],
    /// Bytes in `first`.
    pub first_length: [u8; 2],
    /// The present HTTP/2 frame is a DATA frame.
    pub data: [u8; 2],
    /// See [`verdict`].
    pub verdict: u8,
    /// The agent has been told of it as an HTTP connection.
    pub announced: u8,
    /// It may be in mid-message: it was open before the programs were attached.
    pub late: u8,
    /// These are the bytes inside TLS.
    pub tls: u8,
    /// Changes of direction while undecided.
    pub turns: u8,
    /// Direction of the last read or write.
    pub last_direction: u8,
    /// See [`body`], per direction.
    pub body: [u8; 2],
    /// See [`message`], per direction.
    pub message: [u8; 2],
    /// When a body was last told to move on, in units of 2^30 nanoseconds.
    pub told: u16,
}

/// [`Stream::budget`] where it isn't known where the next HTTP/2 frame begins.
pub const LOST: u32 = u32::MAX;

/// Life of one TCP connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its number, and how far its bytes are followed.
    pub stream: Stream,
    /// When it was established, or first seen; 0 while it is connecting.
    pub opened: u64,
    /// When the SYN was sent; 0 when that was not seen.
    pub connect_start: u64,
    /// SYN sent to established, nanoseconds; 0 when not seen.
    pub connect_duration: u64,
    /// When it was closed, if bytes were left to be read then or a write was under way; its end is
    /// told when the process has let the socket go. 0 otherwise.
    pub closed: u64,
    /// Receive sequence number up to which reads have been accounted for.
    pub copied_seq: u32,
    /// Owner: the process that connected, or that first read or wrote.
    pub tgid: u32,
    /// A [`super::tcp::Role`].
    pub role: u8,
    /// The agent's own connection, or the other end of one.
    pub own: u8,
    /// A [`super::tls::state`].
    pub tls: u8,
    /// 1: a reset arrived, 2: one was sent.
    pub reset: u8,
    /// `copied_seq` holds a value.
    pub copied_seq_known: u8,
    /// Explicit padding.
    pub pad: [u8; 3],
    /// What it had done by its last read or write; filled in where the agent can't ask the
    /// socket itself (kernels before 6.3).
    pub progress: Progress,
    /// Who talks to whom; filled in as `progress` is.
    pub tuple: Tuple,
}

/// An endpoint of the agent's own: its listeners, and its side of connections that it opened.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Local port.
    pub port: u16,
    /// Port of the other end of a connection; 0 for a listener. The kernel gives a port to several
    /// connections at once, when they go to different places.
    pub peer: u16,
}

/// Counters of the socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// See [`super::tcp::Totals::bytes_sent`].
    pub bytes_sent: u64,
    /// See [`super::tcp::Totals::bytes_received`].
    pub bytes_received: u64,
    /// See [`super::tcp::Totals::srtt`].
    pub srtt: u32,
    /// See [`super::tcp::Totals::retransmits`].
    pub retransmits: u32,
}

const _: () = assert!(size_of::<Endpoint>() == 8);
const _: () = assert!(size_of::<Progress>() == 24);
const _: () = assert!(size_of::<Connection>() == 216);

pod!(Stream, Connection, Endpoint, Progress);
