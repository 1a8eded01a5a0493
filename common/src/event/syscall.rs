//! System calls: exact counts and errors, durations as histograms, all aggregated in maps.

use crate::pod;

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

/// Whose durations a histogram holds.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DurationKey {
    /// Thread group.
    pub tgid: u32,
    /// System call number.
    pub number: u32,
}

const _: () = assert!(size_of::<CountKey>() == 8);
const _: () = assert!(size_of::<DurationKey>() == 8);

pod!(CountKey, DurationKey);
