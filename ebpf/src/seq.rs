//! What iterator programs write for whoever reads them.

use aya_ebpf::helpers::generated::bpf_seq_write;

/// `struct bpf_iter_meta`
#[repr(C)]
pub(crate) struct Meta {
    seq: *mut u8,
    session: u64,
    number: u64,
}

/// Writes a record. When the reader's buffer is full, the kernel runs the program for this object
/// again with an empty one.
///
/// # Safety
///
/// `meta` is what the kernel has passed to the program.
#[inline(always)]
pub(crate) unsafe fn write<T>(meta: *const Meta, record: &T) {
    // SAFETY: the kernel's own argument; the verifier checks it, and the record.
    unsafe {
        bpf_seq_write(
            (*meta).seq.cast(),
            core::ptr::from_ref(record).cast_mut().cast(),
            size_of::<T>() as u32,
        );
    }
}
