//! System calls: exact counts and errors, durations as histograms, all aggregated in maps.

use crate::pod;

/// Counters in one CPU's cache; a power of two.
pub const CACHE_SLOTS: u32 = 512;
/// Slots for calls under way, indexed by thread id; a power of two.
pub const START_SLOTS: u32 = 32_768;

/// What is counted: one process, one system call, one outcome.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CountKey {
    /// Thread group.
    pub tgid: u32,
    /// System call number of the process's own ABI.
    pub number: u16,
    /// errno, 0 for success.
    pub error: u16,
}

/// A counter in a CPU's cache: what has been counted since it took the slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedCount {
    /// Whose.
    pub key: CountKey,
    /// Calls; 0 when the slot is free.
    pub count: u64,
}

/// Whose durations a histogram holds.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DurationKey {
    /// Thread group.
    pub tgid: u32,
    /// System call number.
    pub number: u32,
}

/// A call under way.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Thread; 0 when the slot is free.
    pub tid: u32,
    /// System call number.
    pub number: u32,
    /// When it was entered: `CLOCK_MONOTONIC` in nanoseconds.
    pub time: u64,
}

const _: () = assert!(size_of::<CountKey>() == 8);
const _: () = assert!(size_of::<CachedCount>() == 16);
const _: () = assert!(size_of::<DurationKey>() == 8);
const _: () = assert!(size_of::<Start>() == 16);

pod!(CountKey, CachedCount, DurationKey, Start);
