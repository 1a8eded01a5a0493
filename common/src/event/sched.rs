//! Run-queue latency: from runnable to running, as a [`crate::hist::Log2`] per CPU.

use crate::pod;

/// Index of the host-wide run-queue histogram.
pub const HOST: u32 = 0;
/// Slots for waiting tasks, indexed by thread id; a power of two.
pub const SLOTS: u32 = 65_536;

/// A task that waits for a CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wakeup {
    /// When it became runnable: `CLOCK_MONOTONIC` in nanoseconds.
    pub time: u64,
    /// Thread id; 0 when the slot is free.
    pub pid: u32,
    /// Explicit padding.
    pub pad: u32,
}

const _: () = assert!(size_of::<Wakeup>() == 16);

pod!(Wakeup);
