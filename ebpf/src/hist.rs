//! Histograms in maps that the CPUs share.

use aya_ebpf::maps::HashMap;
use sonde_common::hist::{Log2, bucket};

use crate::{atomic, entry};

/// In read-only data: too large for the stack.
static EMPTY: Log2 = Log2::EMPTY;

/// Adds a value to the histogram of `key`, made if there is none; whether there was room.
#[inline(always)]
pub(crate) fn record<K>(map: &HashMap<K, Log2>, key: &K, value: u64) -> bool {
    let Some(histogram) = entry::find_or_create(map, key, &EMPTY) else {
        return false;
    };
    // SAFETY: a live map value.
    unsafe { add(histogram, value) };
    true
}

/// Adds a value to a histogram in a live map value, to which other CPUs add as well.
#[inline(always)]
pub(crate) unsafe fn add(histogram: *mut Log2, value: u64) {
    // SAFETY: as promised by the caller.
    unsafe {
        atomic::add(&raw mut (*histogram).count, 1);
        atomic::add(&raw mut (*histogram).sum, value);
        let buckets = (&raw mut (*histogram).buckets).cast::<u64>();
        atomic::add(buckets.add(bucket(value)), 1);
    }
}
