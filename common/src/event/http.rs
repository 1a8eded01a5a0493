//! HTTP on TCP sockets, and inside TLS: what one read or write moved.
//!
//! The kernel side doesn't parse HTTP. It tells the agent, for each read and write on a
//! connection that looks like HTTP, where in the stream it was, how long it was, and the bytes at
//! its front and end; the agent's byte-stream model makes messages of that. Because positions are
//! absolute, anything that was not captured shows as a gap and is never guessed.
//!
//! Of HTTP/2 it follows the frames' lengths, to leave out what stands in DATA frames.
//!
//! A ring record is a [`Segment`] followed by its `captured + tail` bytes.

use crate::{event::tcp::Info, header::Header, pod};

/// Longest piece that is copied from the front of one read or write, when that begins with a
/// request, or is all one head (its last bytes are a blank line).
pub const CAPTURE_MAX: usize = 4096;
/// Longest piece that is copied from the front of any other read or write: a body, or an answer
/// whose body follows its head.
pub const CAPTURE_FRONT: usize = 1024;
/// Bytes copied from the front of a read or write once a message has used up its capture budget.
pub const CAPTURE_BODY: usize = 64;
/// Bytes copied from the end of a read or write that was not captured whole: the last chunk of a
/// chunked body and the blank line of a long head stand there.
pub const TAIL: usize = 16;
/// Bytes that are captured of one message, counted over its reads or writes, before only
/// [`CAPTURE_BODY`] and [`TAIL`] bytes of each are.
pub const BUDGET: u32 = 8 * 1024;
/// The same where messages were pipelined: all that one read or write has of them should be told, and
/// several may have a message in common.
pub const PIPELINE_BUDGET: u32 = 256 * 1024;
/// The same where a message goes on whose front was so short that its head wasn't looked at.
pub const SPLIT_BUDGET: u32 = 64 * 1024;
/// Longest head that is looked at for where the body ends.
pub const CAPTURE_HEAD: usize = 1024;
/// Longest piece that is copied of one read or write of HTTP/2.
pub const HTTP2_CAPTURE: usize = 16 * 1024;
/// Bytes that are copied of a DATA frame that goes on in a later read or write: its header, and
/// the prefix of a message in it (gRPC).
pub const HTTP2_DATA: usize = 9 + 16;

/// Which way the bytes of a segment went, as the observed process sees it.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The process read them.
    Receive = 0,
    /// The process wrote them.
    Send = 1,
}

/// Flags of a [`Segment`].
pub mod flag {
    /// The bytes are not in user memory (sendfile, splice, `MSG_TRUNC`) or could not be read.
    pub const OPAQUE: u32 = 1;
    /// No more bytes follow in this direction: end of file was read, or the sending side was shut.
    pub const END: u32 = 2;
    /// The connection was reset; nothing follows in either direction.
    pub const RESET: u32 = 4;
    /// The connection is gone; the last record about it.
    pub const CLOSED: u32 = 8;
}

/// Addresses of a connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Local address; IPv4 is written as IPv4-mapped IPv6.
    pub local: [u8; 16],
    /// Remote address, the same way.
    pub remote: [u8; 16],
    /// Local port, host byte order.
    pub local_port: u16,
    /// Remote port, host byte order.
    pub remote_port: u16,
    /// Inode number of the network namespace.
    pub netns: u32,
}

/// `Kind::HttpOpen`: told once, before the first [`Segment`] of a connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Common header.
    pub header: Header,
    /// Identifies the connection in every later record; never reused while the agent runs.
    pub connection: u64,
    /// Who talks to whom.
    pub tuple: Tuple,
    /// 1 when it may have been open before the programs were attached: the first bytes seen may
    /// be in the middle of a message. 0 when both streams have been seen from their beginning.
    pub late: u32,
    /// 1 when the bytes of its segments were read before encryption and after decryption, and
    /// positions count those.
    pub tls: u16,
    /// 1 when it is HTTP/2 although its preface wasn't seen.
    pub http2: u16,
}

/// `Kind::HttpSegment`: one read or write, a part of one, or several within a body. Without a length
/// and [`flag`]s it says that a body moves on.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Common header; its time is when the call had moved its bytes, its thread group made the
    /// call.
    pub header: Header,
    /// Same number as in [`Open`].
    pub connection: u64,
    /// Position of the first byte in this direction's stream, counted from when the kernel side
    /// first saw the connection.
    pub offset: u64,
    /// Bytes moved.
    pub length: u32,
    /// Bytes copied from the front.
    pub captured: u16,
    /// Bytes copied from the end; 0 when `captured == length`.
    pub tail: u16,
    /// A [`Direction`].
    pub direction: u16,
    /// See [`flag`].
    pub flags: u16,
    /// Bytes between the first one and the captured ones that were left out: the rest of an HTTP/2
    /// DATA frame, or of an HTTP/1.x body whose end is known. The latter may have been moved by
    /// earlier reads or writes that weren't told.
    pub skipped: u32,
    /// How many of those are no data but the chunked coding's; where there are any, the next chunk's
    /// size stands behind them.
    pub framing: u32,
    /// How long what was read last lay in the socket before, microseconds; [`NOT_QUEUED`] when that
    /// isn't known, and for what was written.
    pub queued: u32,
    /// What TCP knew of the connection after this.
    pub tcp: Info,
}

/// [`Segment::queued`] when there is nothing to say.
pub const NOT_QUEUED: u32 = u32::MAX;

const _: () = assert!(size_of::<Tuple>() == 40);
const _: () = assert!(size_of::<Open>() == 80);
const _: () = assert!(size_of::<Segment>() == 72);

pod!(Tuple, Open, Segment);
