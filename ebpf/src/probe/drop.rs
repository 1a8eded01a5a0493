//! Packets that the kernel drops.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    macros::{btf_tracepoint, map},
    maps::PerCpuHashMap,
    programs::BtfTracePointContext,
};
use sonde_common::{
    event::drop::{DropKey, NAME},
    fault::Fault,
};

use crate::{
    atomic,
    emit::fault,
    kernel::{Direct, Packet},
};

/// Number of the first reason that is one to drop a packet: lower ones end packets that have been
/// used. Set by the agent, for it differs by kernel.
#[unsafe(no_mangle)]
static FIRST_DROP: u32 = u32::MAX;

/// Packets by reason and interface. Each CPU counts by itself: many packets may be dropped at once.
#[map]
static DROPS: PerCpuHashMap<DropKey, u64> = PerCpuHashMap::with_max_entries(192, 0);

/// `kfree_skb(skb, location, reason, ...)`, kernel 5.17
#[btf_tracepoint(function = "kfree_skb")]
pub(crate) fn drop_packet(ctx: BtfTracePointContext) -> i32 {
    let reason: u32 = ctx.arg(2);
    // SAFETY: a static of our own; volatile because the agent overwrites it before loading.
    if reason >= unsafe { core::ptr::read_volatile(&raw const FIRST_DROP) } {
        count(reason, &Packet::new(ctx.arg(0)));
    }
    0
}

#[inline(always)]
fn count(reason: u32, packet: &Packet<Direct>) {
    let mut key = DropKey {
        reason,
        netns: 0,
        interface: [0; NAME],
    };
    if let Some(interface) = packet.interface() {
        key.netns = interface.netns;
        key.interface = interface.name;
    }
    if DROPS.get_ptr_mut(&key).is_none() {
        // Another CPU may be first.
        let _ = DROPS.insert(&key, &0, BPF_NOEXIST.into());
    }
    match DROPS.get_ptr_mut(&key) {
        // SAFETY: a live map value. Atomic, for a softirq may interrupt this.
        Some(count) => unsafe { atomic::add(count, 1) },
        None => fault(Fault::DropMapFull),
    }
}
