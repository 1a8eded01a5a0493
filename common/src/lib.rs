//! What the kernel programs and the agent must agree on: records of the ring
//! buffer, map keys and values, the log2 histogram, the table of kernel fields
//! and the list of ways to lose something.
//!
//! Everything here is `repr(C)` plain data without implicit padding, so that the
//! kernel side may copy it and the agent may read it back byte for byte.
#![no_std]

pub mod cast;
pub mod event;
pub mod fault;
pub mod field;
pub mod header;
pub mod hist;

/// Implements [`aya::Pod`] for plain records when the `user` feature is on.
macro_rules! pod {
    ($($type:ty),+ $(,)?) => {
        $(
            #[cfg(feature = "user")]
            // SAFETY: `repr(C)`, only integers and arrays of them, no implicit padding
            // (asserted beside each definition), so every bit pattern is a value.
            unsafe impl aya::Pod for $type {}
        )+
    };
}
pub(crate) use pod;
