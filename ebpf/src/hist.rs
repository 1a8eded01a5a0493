//! Histograms in maps that the CPUs share.

use aya_ebpf::{bindings::BPF_NOEXIST, maps::HashMap};
use sonde_common::hist::{Log2, bucket};

use crate::atomic;

/// In read-only data: too large for the stack.
static EMPTY: Log2 = Log2::EMPTY;

/// Adds a value to the histogram of `key`, made if there is none; whether there was room.
#[inline(always)]
pub(crate) fn record<K>(map: &HashMap<K, Log2>, key: &K, value: u64) -> bool {
    if let Some(histogram) = map.get_ptr_mut(key) {
        add(histogram, value);
        return true;
    }
    // When another CPU is first this fails, and the look-up finds that one's.
    let _ = map.insert(key, &EMPTY, BPF_NOEXIST.into());
    match map.get_ptr_mut(key) {
        Some(histogram) => {
            add(histogram, value);
            true
        }
        None => false,
    }
}

#[inline(always)]
fn add(histogram: *mut Log2, value: u64) {
    // SAFETY: a live map value that other CPUs add to as well.
    unsafe {
        atomic::add(&raw mut (*histogram).count, 1);
        atomic::add(&raw mut (*histogram).sum, value);
        let buckets = (&raw mut (*histogram).buckets).cast::<u64>();
        atomic::add(buckets.add(bucket(value)), 1);
    }
}
