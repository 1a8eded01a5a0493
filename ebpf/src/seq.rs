//! What iterator programs write for whoever reads them.

use aya_ebpf::helpers::generated::bpf_seq_write;

/// `struct bpf_iter_meta`
#[repr(C)]
pub(crate) struct Meta {
    pub(crate) seq: *mut u8,
    session: u64,
    number: u64,
}

/// Writes a record. When the reader's buffer is full, the kernel runs the program for this object
/// again with an empty one.
#[inline(always)]
pub(crate) fn write<T>(seq: *mut u8, record: &T) {
    // SAFETY: the kernel's own file; the verifier checks the record.
    unsafe {
        bpf_seq_write(
            seq.cast(),
            core::ptr::from_ref(record).cast_mut().cast(),
            size_of::<T>() as u32,
        );
    }
}
