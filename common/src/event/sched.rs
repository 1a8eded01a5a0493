//! Run-queue latency: from runnable to running.
//!
//! Only a [`crate::hist::Log2`] per CPU; the key of the host-wide map is [`HOST`].

/// Index of the host-wide run-queue histogram.
pub const HOST: u32 = 0;
