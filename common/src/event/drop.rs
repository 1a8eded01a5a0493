//! Packets that the kernel drops, by its reason.

use crate::pod;

/// `IFNAMSIZ` of the kernel.
pub const NAME: usize = 16;

/// What a count is of.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DropKey {
    /// `enum skb_drop_reason`, whose numbers are each kernel's own.
    pub reason: u32,
    /// Inode number of the interface's network namespace; 0 where no interface is known.
    pub netns: u32,
    /// The interface's name, NUL-padded.
    pub interface: [u8; NAME],
}

const _: () = assert!(size_of::<DropKey>() == 24);

pod!(DropKey);
