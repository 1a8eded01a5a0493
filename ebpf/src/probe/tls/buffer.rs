//! Memory to build records in.
//!
//! A program at a uprobe keeps its CPU but can be preempted there by another one. So each CPU has a
//! buffer of its own, which costs next to nothing to claim, and what finds that taken takes a spare
//! one from a queue that all share.

use aya_ebpf::{
    helpers::bpf_get_smp_processor_id,
    macros::map,
    maps::{Array, PerCpuArray, Queue},
};
use sonde_common::event::tls::BUFFERS;

use crate::{
    atomic,
    probe::http::{Buffer, Slot},
};

/// The spare ones, and behind them one for each CPU: the agent makes it as large.
#[map]
static TLS_BUFFERS: Array<Buffer> = Array::with_max_entries(BUFFERS, 0);

/// Spare ones that are free; the agent puts all of them here.
#[map]
static TLS_FREE: Queue<u32> = Queue::with_max_entries(BUFFERS, 0);

/// Programs that have claimed the buffer of this CPU, or are about to find that they can't.
#[map]
static TLS_CLAIMS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// A buffer that is taken.
pub(super) struct Claim {
    pub(super) slot: Slot,
    number: u32,
}

impl Claim {
    #[inline(always)]
    pub(super) fn take() -> Option<Self> {
        let number = match of_cpu() {
            Some(number) => number,
            None => TLS_FREE.pop().ok()??,
        };
        let buffer = TLS_BUFFERS.get_ptr_mut(number)?;
        // SAFETY: nobody else has it until it is given back.
        let slot = unsafe { Slot::of(buffer) };
        // Wherever it is from, it is one to the verifier from here on.
        let number = slot.word().forget(number);
        Some(Self { slot, number })
    }

    #[inline(always)]
    pub(super) fn end(self) {
        if self.number < BUFFERS {
            let _ = TLS_FREE.push(&self.number, 0);
        } else if let Some(claims) = TLS_CLAIMS.get_ptr_mut(0) {
            // SAFETY: a live map value, this CPU's.
            unsafe { atomic::add(claims, u64::MAX) };
        }
    }
}

/// The number of this CPU's buffer, if it is free. Without an exchange, which kernels before 5.12
/// haven't got: who reads 1 after its own addition is alone until it takes that back, for all others
/// read more.
#[inline(always)]
fn of_cpu() -> Option<u32> {
    let claims = TLS_CLAIMS.get_ptr_mut(0)?;
    // SAFETY: a live map value, this CPU's. Volatile, because others change it.
    unsafe {
        atomic::add(claims, 1);
        if claims.read_volatile() == 1 {
            return Some(BUFFERS + bpf_get_smp_processor_id());
        }
        atomic::add(claims, u64::MAX);
    }
    None
}
