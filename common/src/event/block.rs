//! Block I/O latency, from issue to completion, per device and operation.

use crate::pod;

/// Operation of a request.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `REQ_OP_READ`
    Read = 0,
    /// `REQ_OP_WRITE`
    Write = 1,
    /// `REQ_OP_FLUSH`
    Flush = 2,
    /// `REQ_OP_DISCARD`, secure erase and write zeroes
    Discard = 3,
    /// Anything else.
    Other = 4,
}

/// Whose latencies a histogram holds.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LatencyKey {
    /// Device number as the kernel packs it: major in bits 20-31, minor in bits 0-19.
    pub device: u32,
    /// An [`Operation`].
    pub operation: u32,
}

/// A request that a device works on.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issue {
    /// When it went to the device: `CLOCK_MONOTONIC` in nanoseconds.
    pub time: u64,
    /// Whose latency it will be.
    pub key: LatencyKey,
}

const _: () = assert!(size_of::<LatencyKey>() == 8);
const _: () = assert!(size_of::<Issue>() == 16);

pod!(LatencyKey, Issue);
