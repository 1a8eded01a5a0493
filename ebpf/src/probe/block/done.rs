//! What completed requests come to.

use aya_ebpf::{macros::map, maps::HashMap};
use sonde_common::{
    event::block::{DeviceKey, ERRNO, ErrorKey, Latency, Pending, Usage, UsageKey},
    fault::Fault,
};

use super::{BLOCK_REQUESTS, forget, now};
use crate::{
    atomic,
    emit::fault,
    entry::find_or_create,
    hist,
    kernel::{Direct, Request},
};

/// Latencies by disk and operation.
#[map]
static BLOCK_LATENCY: HashMap<DeviceKey, Latency> = HashMap::with_max_entries(192, 0);

/// Sums by disk, operation and owner.
#[map]
static BLOCK_USAGE: HashMap<UsageKey, Usage> = HashMap::with_max_entries(2048, 0);

/// Failures by disk, operation, owner and status.
#[map]
static BLOCK_ERRORS: HashMap<ErrorKey, u64> = HashMap::with_max_entries(192, 0);

/// In read-only data: too large for the stack.
static EMPTY: Latency = Latency::EMPTY;

/// A part of the request is done; with its last byte it has ended.
#[inline(always)]
pub(super) fn on_complete(request: &Request<Direct>, error: i32, bytes: u32) {
    let Some(pending) = BLOCK_REQUESTS.get_ptr_mut(&(request.0 as u64)) else {
        return;
    };
    // SAFETY: a live map value; a request is in one place at a time.
    let done = unsafe {
        (*pending).bytes += u64::from(bytes);
        *pending
    };
    if done.key.of.device == 0 {
        // No disk behind it, as for SCSI commands that programs send.
        forget(request.0 as u64);
        return;
    }
    if error != 0 {
        count_error(&done.key, error);
    }
    if request.bytes_left().is_some_and(|left| left > bytes) {
        return;
    }
    forget(request.0 as u64);
    count(&done, now());
}

#[inline(always)]
fn count(done: &Pending, now: u64) {
    let Some(latency) = find_or_create(&BLOCK_LATENCY, &done.key.of, &EMPTY) else {
        fault(Fault::BlockMapFull);
        return;
    };
    let mut device_time = 0;
    if done.issued != 0 {
        device_time = now - done.issued;
        // SAFETY: a live map value.
        unsafe { hist::add(&raw mut (*latency).device, device_time) };
    }
    if done.submitted == 0 {
        return;
    }
    let waited_until = if done.issued == 0 { now } else { done.issued };
    let queue_time = waited_until - done.submitted;
    // SAFETY: a live map value.
    unsafe { hist::add(&raw mut (*latency).queue, queue_time) };
    let Some(usage) = find_or_create(&BLOCK_USAGE, &done.key, &Usage::EMPTY) else {
        fault(Fault::BlockUsageMapFull);
        return;
    };
    // SAFETY: a live map value that other CPUs add to as well.
    unsafe {
        atomic::add(&raw mut (*usage).operations, 1);
        atomic::add(&raw mut (*usage).bytes, done.bytes);
        atomic::add(&raw mut (*usage).queue_time, queue_time);
        atomic::add(&raw mut (*usage).device_time, device_time);
    }
}

#[inline(always)]
fn count_error(usage: &UsageKey, error: i32) {
    let key = ErrorKey {
        usage: *usage,
        status: if error < 0 {
            ERRNO | error.unsigned_abs()
        } else {
            error as u32
        },
        pad: 0,
    };
    match find_or_create(&BLOCK_ERRORS, &key, &0) {
        // SAFETY: a live map value that other CPUs add to as well.
        Some(count) => unsafe { atomic::add(count, 1) },
        None => fault(Fault::BlockUsageMapFull),
    }
}

/// The device had no room for a request.
#[inline(always)]
pub(super) fn count_requeue(of: &DeviceKey) {
    if let Some(latency) = find_or_create(&BLOCK_LATENCY, of, &EMPTY) {
        // SAFETY: a live map value that other CPUs add to as well.
        unsafe { atomic::add(&raw mut (*latency).requeues, 1) };
    }
}
