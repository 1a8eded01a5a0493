//! The ring buffer to the agent, and the counters of what never got there.

use core::ptr;

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns, generated::bpf_ringbuf_output},
    macros::map,
    maps::{Array, PerCpuArray, RingBuf},
};
use sonde_common::{
    fault::Fault,
    header::{Header, KINDS, Kind},
};

use crate::atomic;

/// Don't wake the reader: while there is much to read it drains on a timer, and a wake-up costs fifty
/// times a submit.
const BPF_RB_NO_WAKEUP: u64 = 1;
/// Wake the reader: it has found nothing for a while.
const BPF_RB_FORCE_WAKEUP: u64 = 2;

/// One ring for all families, so that records keep their order. The agent sets its size.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(16 * 1024 * 1024, 0);

/// Not 0 while the reader wants to be woken by the next record. The agent sets it.
#[map]
static WAITING: Array<u32> = Array::with_max_entries(1, 0);

/// Losses by [`Fault`].
#[map]
static FAULTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Fault::COUNT, 0);

/// Records that reached the ring, by [`Kind`].
#[map]
static EMITTED: PerCpuArray<u64> = PerCpuArray::with_max_entries(KINDS, 0);

/// Counts one loss.
#[inline(always)]
pub(crate) fn fault(fault: Fault) {
    faults(fault, 1);
}

/// Counts several losses.
#[inline(always)]
pub(crate) fn faults(fault: Fault, count: u64) {
    bump(&FAULTS, fault as u32, count);
}

#[inline(always)]
fn bump(counters: &PerCpuArray<u64>, index: u32, count: u64) {
    if let Some(counter) = counters.get_ptr_mut(index) {
        // SAFETY: a live map value. Atomic, because a program in a softirq may interrupt this one.
        unsafe { atomic::add(counter, count) };
    }
}

/// A header for something that happens now in the context of the current task.
#[inline(always)]
pub(crate) fn header(kind: Kind) -> Header {
    let ids = bpf_get_current_pid_tgid();
    Header {
        // SAFETY: the helper takes nothing and always succeeds.
        time: unsafe { bpf_ktime_get_ns() },
        tgid: (ids >> 32) as u32,
        tid: ids as u32,
        kind: kind as u32,
        pad: 0,
    }
}

/// Whether to wake the reader. A record that is sent while it is about to wait may wake nobody; the
/// next one does, and the reader waits for no longer than to its next tick.
#[inline(always)]
fn wake_up() -> u64 {
    let Some(waiting) = WAITING.get_ptr_mut(0) else {
        return BPF_RB_NO_WAKEUP;
    };
    // SAFETY: a live map value; volatile because the agent writes it, too. Where two programs see
    // it at once, the reader is woken twice.
    unsafe {
        if ptr::read_volatile(waiting) == 0 {
            return BPF_RB_NO_WAKEUP;
        }
        ptr::write_volatile(waiting, 0);
    }
    BPF_RB_FORCE_WAKEUP
}

/// Sends `size` bytes from `record`; whether there was room.
#[inline(always)]
pub(crate) fn send_bytes(kind: Kind, record: *const u8, size: u64, lost: Fault) -> bool {
    // SAFETY: `record` points at `size` readable bytes; the verifier checks it again.
    let result = unsafe {
        bpf_ringbuf_output(
            (&raw const EVENTS).cast_mut().cast(),
            record.cast_mut().cast(),
            size,
            wake_up(),
        )
    };
    if result == 0 {
        bump(&EMITTED, kind as u32, 1);
    } else {
        fault(lost);
    }
    result == 0
}

/// Sends one record of fixed size; whether there was room.
#[inline(always)]
pub(crate) fn send<T>(kind: Kind, record: &T, lost: Fault) -> bool {
    send_bytes(
        kind,
        core::ptr::from_ref(record).cast(),
        size_of::<T>() as u64,
        lost,
    )
}
