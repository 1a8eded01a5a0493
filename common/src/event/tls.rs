//! TLS in user space: calls of a library that are under way, and the sessions that they belong to.
//!
//! What a library's read returned and what its write was given is told as `HttpSegment`s, with
//! positions inside the session, under the number of the TCP connection that carries it.

use crate::{
    event::{connection::Stream, http::Tuple, tcp::Arrival},
    header::Header,
    pod,
};

/// Sessions that are remembered; the one that was used least lately gives way.
pub const SESSIONS: u32 = 16_384;
/// Threads, and goroutines, with a call under way or just ended.
pub const CALLS: u32 = 8_192;

/// Spare memory for calls whose bytes are looked at while another one on their CPU waits for that.
pub const BUFFERS: u32 = 16;

/// What is known of a connection's TLS.
pub mod state {
    /// Nothing yet.
    pub const UNKNOWN: u8 = 0;
    /// Its session is known, and what is inside is followed there.
    pub const BOUND: u8 = 1;
    /// No session was found: told as [`super::Uncovered`].
    pub const UNCOVERED: u8 = 2;
}

/// What a library was called for.
pub mod call {
    /// None is under way.
    pub const NONE: u8 = 0;
    /// To read; the result is the length.
    pub const READ: u8 = 1;
    /// To write; the result is the length.
    pub const WRITE: u8 = 2;
    /// To read; the length is put where an argument points.
    pub const READ_EX: u8 = 3;
    /// To write; the length is put where an argument points.
    pub const WRITE_EX: u8 = 4;
    /// To write out of a file.
    pub const SENDFILE: u8 = 5;
    /// To exchange the messages that begin a session.
    pub const HANDSHAKE: u8 = 6;
}

/// Identifies a session while it lives: the library's own pointer to it, in a process. For a
/// goroutine's call, the goroutine.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// `SSL *`, `gnutls_session_t`, `*tls.Conn`; or `*runtime.g`.
    pub pointer: u64,
    /// Thread group.
    pub tgid: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// The connection that carries a session.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// Who talks to whom.
    pub tuple: Tuple,
    /// Its number.
    pub connection: u64,
    /// Where the kernel has its socket.
    pub socket: u64,
    /// By which the socket there is told from a later one (`skc_cookie`); 0 where the table of
    /// connections tells that (kernels before 6.3).
    pub cookie: u64,
}

/// A session.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// What is followed of the bytes inside. Its connection is 0 until that is known.
    pub stream: Stream,
    /// Its connection, from then on.
    pub carrier: Carrier,
    /// When something came there, before what was read inside last.
    pub arrival: Arrival,
    /// The connection that it seemed to belong to the last time that there was something to see.
    pub candidate: u64,
    /// How many times in a row, and whether a read was among them.
    pub votes: u32,
    /// Bytes were read or written before the connection was known.
    pub missed: u32,
}

/// A call of a library.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The session; see [`Key::pointer`].
    pub session: u64,
    /// Where the bytes are. When [`Call::on_stack`] is set: how far below the stack's end.
    pub buffer: u64,
    /// How many there are, or there is room for.
    pub length: u64,
    /// Where the library puts how many it moved.
    pub result: u64,
    /// See [`call`].
    pub kind: u8,
    /// The bytes are on a goroutine's stack, which may move.
    pub on_stack: u8,
    /// Explicit padding.
    pub pad: [u8; 6],
}

/// A thread that calls a library, or reads and writes connections that are encrypted.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The call under way.
    pub call: Call,
    /// An unbound connection that was read since the last call for an unbound session; 0: none, or
    /// [`SEVERAL`].
    pub received: u64,
    /// Where that is.
    pub carrier: Carrier,
    /// The unbound session that was last called for, if that was since the last write of an unbound
    /// connection; else 0.
    pub called: u64,
    /// Bytes of the connection in `received` may have moved unseen.
    pub late: u8,
    /// The library has moved bytes of a socket within a call.
    pub within: u8,
    /// Explicit padding.
    pub pad: [u8; 6],
}

/// More than one, so that none can be told to be meant.
pub const SEVERAL: u64 = u64::MAX;

/// Why requests on a connection can't be seen.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is encrypted by something that isn't read.
    Tls = 0,
    /// Its bytes move through `io_uring`, in a way that isn't followed.
    IoUring = 1,
}

/// `Kind::Uncovered`: a connection whose requests can't be seen; told once.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncovered {
    /// Common header; tgid is that of the process that uses it.
    pub header: Header,
    /// Its number.
    pub connection: u64,
    /// A [`Reason`].
    pub reason: u32,
    /// Whether it was open before the library that was attached last: then that of a library which
    /// is watched may encrypt it all the same.
    pub late: u32,
    /// Who talks to whom.
    pub tuple: Tuple,
}

const _: () = assert!(size_of::<Key>() == 16);
const _: () = assert!(size_of::<Carrier>() == 64);
const _: () = assert!(size_of::<Session>() == 200);
const _: () = assert!(size_of::<Thread>() == 128);
const _: () = assert!(size_of::<Uncovered>() == 80);

pod!(Key, Carrier, Session, Call, Thread, Uncovered);
