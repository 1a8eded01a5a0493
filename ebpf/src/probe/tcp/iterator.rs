//! What the kernel hands to iterator programs, which the agent runs by reading.

use aya_ebpf::helpers::generated::bpf_seq_write;

/// `struct bpf_iter_meta`
#[repr(C)]
pub(crate) struct Meta {
    seq: *mut u8,
    session: u64,
    number: u64,
}

/// `struct bpf_iter__bpf_sk_storage_map` (kernel 5.9)
#[repr(C)]
pub(crate) struct Storage {
    pub(crate) meta: *const Meta,
    map: *const u8,
    pub(crate) sk: *const u8,
    pub(crate) value: *mut u8,
}

/// `struct bpf_iter__bpf_map_elem` (kernel 5.9)
#[repr(C)]
pub(crate) struct Element {
    pub(crate) meta: *const Meta,
    map: *const u8,
    pub(crate) key: *const u8,
    pub(crate) value: *const u8,
}

/// `struct bpf_iter__task_file` (kernel 5.8)
#[repr(C)]
pub(crate) struct TaskFile {
    meta: *const Meta,
    pub(crate) task: *const u8,
    fd: u32,
    pad: u32,
    pub(crate) file: *const u8,
}

/// Hands a record to the reader.
#[inline(always)]
pub(crate) unsafe fn write<T>(meta: *const Meta, record: &T) {
    // SAFETY: the kernel's own argument; the verifier checks it.
    unsafe {
        bpf_seq_write(
            (*meta).seq.cast(),
            core::ptr::from_ref(record).cast_mut().cast(),
            size_of::<T>() as u32,
        );
    }
}
