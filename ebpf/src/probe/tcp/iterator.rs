//! What the kernel hands to iterator programs, which the agent runs by reading.

use crate::seq::Meta;

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
