//! Block I/O: how long requests wait and take, what they move, whose they are and how they fail.
//!
//! All of it is summed up in maps. A request is followed from the moment at which it is made of its
//! first bio (kernel 6.5; before, from when it is queued or issued) to the completion of its last
//! byte.

use crate::{hist::Log2, pod};

/// Operation of a request.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `REQ_OP_READ`
    Read = 0,
    /// `REQ_OP_WRITE`
    Write = 1,
    /// `REQ_OP_FLUSH`, and a write without data that asks for one.
    Flush = 2,
    /// `REQ_OP_DISCARD`, secure erase and write zeroes
    Discard = 3,
    /// Anything else.
    Other = 4,
}

/// Set in a status that is an errno: what the tracepoint passed before kernel 5.16. A
/// `blk_status_t` is less.
pub const ERRNO: u32 = 1 << 16;

/// A disk and what it is asked to do.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceKey {
    /// Device number as the kernel packs it: major in bits 20-31, minor in bits 0-19.
    pub device: u32,
    /// An [`Operation`].
    pub operation: u32,
}

/// Where the time of a disk's requests went, in nanoseconds.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// From submission to issue, of requests that somebody submitted. Those that never go to the
    /// device themselves, such as flushes that are answered together, wait for all of their life.
    pub queue: Log2,
    /// From the (last) issue to completion, of all requests that were issued.
    pub device: Log2,
    /// How often the device gave a request back that it had no room for.
    pub requeues: u64,
}

impl Latency {
    /// No request yet.
    pub const EMPTY: Self = Self {
        queue: Log2::EMPTY,
        device: Log2::EMPTY,
        requeues: 0,
    };
}

/// Who submitted a request.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// Thread group of the task; 0 when a kernel thread did it, on somebody's behalf.
    pub tgid: u32,
    /// The hierarchy that `cgroup` is of: 0 for v2, else the id of a v1 hierarchy.
    pub hierarchy: u32,
    /// For a kernel thread, id of the cgroup that the first bio is charged to (`bi_blkg`); 0 when
    /// the kernel doesn't say.
    pub cgroup: u64,
}

impl Owner {
    /// The kernel itself, or nobody that is known.
    pub const KERNEL: Self = Self {
        tgid: 0,
        hierarchy: 0,
        cgroup: 0,
    };
}

/// Whose requests of which kind.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsageKey {
    /// Disk and operation.
    pub of: DeviceKey,
    /// Who submitted them.
    pub owner: Owner,
}

/// What somebody's completed requests came to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests.
    pub operations: u64,
    /// Bytes, those that failed included, as in /proc/diskstats.
    pub bytes: u64,
    /// Nanoseconds from submission to issue.
    pub queue_time: u64,
    /// Nanoseconds from issue to completion.
    pub device_time: u64,
}

impl Usage {
    /// No request yet.
    pub const EMPTY: Self = Self {
        operations: 0,
        bytes: 0,
        queue_time: 0,
        device_time: 0,
    };
}

/// Whose requests failed, and how.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorKey {
    /// Whose.
    pub usage: UsageKey,
    /// A `blk_status_t`, or [`ERRNO`] and a positive errno.
    pub status: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// A request that waits or that the device works on.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// When it was submitted: `CLOCK_MONOTONIC` in nanoseconds; 0 for one that nobody submitted
    /// (the kernel's own flush) or that was there before the programs.
    pub submitted: u64,
    /// When it went to the device; 0 while it waits.
    pub issued: u64,
    /// Bytes that are done.
    pub bytes: u64,
    /// What and whose it is.
    pub key: UsageKey,
}

const _: () = assert!(size_of::<DeviceKey>() == 8);
const _: () = assert!(size_of::<Latency>() == 2 * size_of::<Log2>() + 8);
const _: () = assert!(size_of::<Owner>() == 16);
const _: () = assert!(size_of::<UsageKey>() == 24);
const _: () = assert!(size_of::<Usage>() == 32);
const _: () = assert!(size_of::<ErrorKey>() == 32);
const _: () = assert!(size_of::<Pending>() == 48);

pod!(
    DeviceKey, Latency, Owner, UsageKey, Usage, ErrorKey, Pending
);
