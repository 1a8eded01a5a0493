//! Entries of maps that the CPUs share.

use aya_ebpf::{bindings::BPF_NOEXIST, maps::HashMap};

/// The value of `key`, made of `empty` if there is none; `None` when there is no room.
#[inline(always)]
pub(crate) fn find_or_create<K, V>(map: &HashMap<K, V>, key: &K, empty: &V) -> Option<*mut V> {
    if let Some(value) = map.get_ptr_mut(key) {
        return Some(value);
    }
    // When another CPU is first this fails, and the look-up finds that one's.
    let _ = map.insert(key, empty, BPF_NOEXIST.into());
    map.get_ptr_mut(key)
}
