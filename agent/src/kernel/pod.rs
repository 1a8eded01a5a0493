//! Plain records and bytes, one as the other.

use std::{mem::size_of, slice};

use aya::Pod;

/// The record at the front of `bytes` and what follows it; `None` when there are too few bytes
/// or they are not aligned for it.
#[must_use]
pub fn view<T: Pod>(bytes: &[u8]) -> Option<(&T, &[u8])> {
    let (front, rest) = bytes.split_at_checked(size_of::<T>())?;
    let pointer = front.as_ptr().cast::<T>();
    // SAFETY: `Pod` says that every bit pattern is a value; length was and alignment is checked.
    pointer.is_aligned().then(|| (unsafe { &*pointer }, rest))
}

/// The bytes of a record.
#[must_use]
pub fn bytes<T: Pod>(record: &T) -> &[u8] {
    let pointer = std::ptr::from_ref(record).cast::<u8>();
    // SAFETY: `Pod` types of this tree have no padding (asserted in sonde-common).
    unsafe { slice::from_raw_parts(pointer, size_of::<T>()) }
}

/// The bytes of a slice of words.
#[must_use]
pub fn bytes_of(words: &[u64]) -> &[u8] {
    // SAFETY: every byte of a `u64` is initialised.
    unsafe { slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

/// The bytes of a slice of words, to be written.
#[must_use]
pub fn bytes_mut(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: every bit pattern is a `u64`.
    unsafe { slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}
