//! The first bytes of every record in the ring buffer.

use crate::pod;

/// What a record is about; selects the type that follows the [`Header`].
///
/// The numbers are internal to one build of sonde: both sides come out of the same tree.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`crate::event::process::Exec`]
    Exec = 1,
    /// [`crate::event::process::Fork`]
    Fork = 2,
    /// [`crate::event::process::Exit`]
    Exit = 3,
    /// [`crate::event::process::OomKill`]
    OomKill = 4,
    /// [`crate::event::tcp::Closed`]
    TcpClosed = 5,
    /// [`crate::event::tcp::ConnectFailed`]
    TcpConnectFailed = 6,
    /// [`crate::event::http::Open`]
    HttpOpen = 7,
    /// [`crate::event::http::Segment`]
    HttpSegment = 8,
    /// [`crate::event::tls::Uncovered`]
    Uncovered = 9,
    /// [`crate::event::process::ExitRest`]
    ExitRest = 10,
}

/// Counters that the kernel side keeps of records sent, indexed by [`Kind`].
pub const KINDS: u32 = 16;

impl Kind {
    /// The kind with this number, `None` for one that no build of this tree writes.
    #[must_use]
    pub fn from_u32(value: u32) -> Option<Self> {
        const ALL: [Kind; 10] = [
            Kind::Exec,
            Kind::Fork,
            Kind::Exit,
            Kind::OomKill,
            Kind::TcpClosed,
            Kind::TcpConnectFailed,
            Kind::HttpOpen,
            Kind::HttpSegment,
            Kind::Uncovered,
            Kind::ExitRest,
        ];
        ALL.into_iter().find(|kind| *kind as u32 == value)
    }
}

/// First bytes of every record.
///
/// No arrays of bytes, here and in records of the hot path: for writing one the kernel side would
/// call a function that loops over its bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// When it happened: `CLOCK_MONOTONIC` in nanoseconds.
    pub time: u64,
    /// Thread group (what user space calls the pid) in whose context it happened; 0 when in none.
    pub tgid: u32,
    /// Thread in whose context it happened; 0 when in none.
    pub tid: u32,
    /// A [`Kind`].
    pub kind: u32,
    /// Explicit padding.
    pub pad: u32,
}

const _: () = assert!(size_of::<Header>() == 24);

pod!(Header);
