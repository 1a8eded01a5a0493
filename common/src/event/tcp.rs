//! TCP connection lifecycle.
//!
//! A connection is told once, when it ends; what is open is read from the connections' states
//! at each snapshot, so that a long-lived connection counts while it lives.

use crate::{event::http::Tuple, header::Header, pod};

/// Who opened the connection.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Opened before the agent started, or not seen opening.
    Unknown = 0,
    /// This side connected.
    Outbound = 1,
    /// This side accepted.
    Inbound = 2,
}

/// What TCP knows of a connection: two fields of the kernel's `struct tcp_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// See [`Totals::srtt`].
    pub srtt: u32,
    /// See [`Totals::retransmits`]; [`Info::UNKNOWN`] has the largest number.
    pub retransmits: u32,
}

impl Info {
    /// The socket couldn't be asked.
    pub const UNKNOWN: Self = Self {
        srtt: 0,
        retransmits: u32::MAX,
    };
}

/// When something came last.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When a packet last came or went, `CLOCK_MONOTONIC` in microseconds (`tcp_mstamp`); 0: not
    /// known.
    pub packet: u64,
    /// When data last came, in the low 32 bits of jiffies (`icsk_ack.lrcvtime`).
    pub data: u32,
    /// Explicit padding.
    pub pad: u32,
}

impl Arrival {
    /// From its parts.
    #[must_use]
    #[inline]
    pub const fn new(packet: u64, data: u32) -> Self {
        Self {
            packet,
            data,
            pad: 0,
        }
    }
}

/// What a connection has done so far, or by its end.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Identifies the connection; never reused while the agent runs.
    pub connection: u64,
    /// When it was established, or first seen: `CLOCK_MONOTONIC` in nanoseconds.
    pub opened: u64,
    /// SYN sent to established, in nanoseconds; 0 when not seen.
    pub connect_duration: u64,
    /// Payload bytes sent, each counted once (`tcp_sock.bytes_sent - bytes_retrans`).
    pub bytes_sent: u64,
    /// Payload bytes that arrived (`tcp_sock.bytes_received`, without the FIN).
    pub bytes_received: u64,
    /// Smoothed round-trip time in microseconds (`srtt_us >> 3`); 0 before the first sample.
    pub srtt: u32,
    /// Segments sent again (`tcp_sock.total_retrans`).
    pub retransmits: u32,
    /// Owner: the process that connected, or that first read or wrote; 0 when none has yet.
    pub tgid: u32,
    /// A [`Role`].
    pub role: u8,
    /// The kernel's TCP state number (`TCP_ESTABLISHED` is 1).
    pub state: u8,
    /// Explicit padding.
    pub pad: [u8; 2],
    /// Who talks to whom.
    pub tuple: Tuple,
}

impl Totals {
    /// The part that goes with what was read and written.
    #[must_use]
    pub const fn info(&self) -> Info {
        Info {
            srtt: self.srtt,
            retransmits: self.retransmits,
        }
    }
}

/// `Kind::TcpClosed`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Common header; tgid is that of the owner.
    pub header: Header,
    /// What the connection did in its life.
    pub totals: Totals,
    /// `sk_err` at the end: `ECONNRESET` after a reset, `ETIMEDOUT`, 0 after an orderly end.
    pub error: u32,
    /// 1 when the peer sent a reset, 2 when this side did, 0 when neither.
    pub reset: u8,
    /// Explicit padding.
    pub pad: [u8; 3],
}

/// `Kind::TcpConnectFailed`: a connect that never reached established.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectFailed {
    /// Common header; tgid is that of the process that connected.
    pub header: Header,
    /// Who wanted to talk to whom.
    pub tuple: Tuple,
    /// SYN sent to failure, in nanoseconds.
    pub duration: u64,
    /// errno, 0 when the process gave up (closed the socket) first.
    pub error: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// Most listening sockets that are followed.
pub const LISTENERS: u32 = 1024;

/// A socket that listens, by its address in the kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// When it began to listen, `CLOCK_MONOTONIC` in nanoseconds; 0 for one that did before the
    /// programs.
    pub since: u64,
    /// Thread group that made it listen, or that had it open first.
    pub tgid: u32,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// Local port.
    pub port: u16,
    /// Explicit padding.
    pub pad: [u16; 3],
}

/// The queue of a socket that listens, at one moment.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptQueue {
    /// Whose queue it is.
    pub listener: Listener,
    /// Address of the socket: with `since` it tells listeners apart.
    pub socket: u64,
    /// Connections that wait to be accepted (`sk_ack_backlog`).
    pub length: u32,
    /// The backlog asked for, at most net.core.somaxconn (`sk_max_ack_backlog`). One more has room.
    pub limit: u32,
    /// Connection requests that were dropped in its life (`sk_drops`).
    pub drops: u32,
    /// Explicit padding.
    pub pad: u32,
}

const _: () = assert!(size_of::<Listener>() == 24);
const _: () = assert!(size_of::<AcceptQueue>() == 48);
const _: () = assert!(size_of::<Info>() == 8);
const _: () = assert!(size_of::<Arrival>() == 16);
const _: () = assert!(size_of::<Totals>() == 96);
const _: () = assert!(size_of::<Closed>() == 128);
const _: () = assert!(size_of::<ConnectFailed>() == 80);

pod!(
    Info,
    Arrival,
    Totals,
    Closed,
    ConnectFailed,
    Listener,
    AcceptQueue
);
