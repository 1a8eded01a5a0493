//! System calls: every call counted by process, number and outcome; durations sampled.
//!
//! A hash look-up for every call would cost more than the rest of the program. So each CPU has a
//! small direct-mapped cache of counters, and only what is displaced from it goes to the map that
//! the CPUs share. The agent adds both: the counts stay exact.

use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_NOEXIST,
    helpers::{bpf_get_prandom_u32, bpf_ktime_get_ns},
    macros::{btf_tracepoint, map, raw_tracepoint, tracepoint},
    maps::{Array, HashMap, PerCpuArray},
    programs::{BtfTracePointContext, RawTracePointContext, TracePointContext},
};
use sonde_common::{
    event::syscall::{CACHE_SLOTS, CachedCount, CountKey, DurationKey, START_SLOTS, Start},
    fault::Fault,
    hist::Log2,
};

use crate::{
    atomic,
    current::{self, Ids},
    emit::{fault, faults},
    hist::record,
    kernel::{Access, Direct, Probed},
    regs::Regs,
};

/// Every how many calls (on average) one is timed; 1 times all. Set by the agent.
#[unsafe(no_mangle)]
static SYSCALL_PERIOD: u32 = 64;

/// This CPU's counters.
#[map]
static SYSCALL_CACHE: PerCpuArray<CachedCount> = PerCpuArray::with_max_entries(CACHE_SLOTS, 0);

/// Counters displaced from the caches.
#[map]
static SYSCALL_COUNTS: HashMap<CountKey, u64> = HashMap::with_max_entries(32_768, 0);

/// Counts by call number for which the map had no room: no owner, but not lost.
#[map]
static SYSCALL_OVERFLOW: PerCpuArray<u64> = PerCpuArray::with_max_entries(1024, 0);

/// Durations.
#[map]
static SYSCALL_DURATIONS: HashMap<DurationKey, Log2> = HashMap::with_max_entries(4096, 0);

/// Calls under way that are timed, indexed by thread id.
#[map]
static SYSCALL_STARTS: Array<Start> = Array::with_max_entries(START_SLOTS, 0);

/// Calls until the next one is timed.
#[map]
static SYSCALL_COUNTDOWN: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// `sys_exit(regs, ret)`
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn syscall_exit(ctx: BtfTracePointContext) -> i32 {
    on_exit(&Regs::<Direct>::new(ctx.arg(0)), ctx.arg(1));
    0
}

/// The same without BTF.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub(crate) fn syscall_exit_raw(ctx: RawTracePointContext) -> i32 {
    on_exit(&Regs::<Probed>::new(ctx.arg(0)), ctx.arg(1));
    0
}

/// `sys_enter(regs, id)`
#[btf_tracepoint(function = "sys_enter")]
pub(crate) fn syscall_enter(ctx: BtfTracePointContext) -> i32 {
    on_enter(ctx.arg(1));
    0
}

/// The same without BTF.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub(crate) fn syscall_enter_raw(ctx: RawTracePointContext) -> i32 {
    on_enter(ctx.arg(1));
    0
}

#[inline(always)]
fn on_enter(number: i64) {
    let Some(countdown) = SYSCALL_COUNTDOWN.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: this CPU's own copy. A task that preempts another here only shifts the next choice.
    unsafe {
        if *countdown > 1 {
            *countdown -= 1;
            return;
        }
        *countdown = next_countdown();
    }
    let ids = current::ids();
    if ids.are_own() {
        return;
    }
    let tid = ids.tid;
    let Some(start) = SYSCALL_STARTS.get_ptr_mut(tid & (START_SLOTS - 1)) else {
        return;
    };
    // SAFETY: a live map value; two threads that share a slot are told apart by `tid`.
    unsafe {
        if (*start).tid != 0 && (*start).tid != tid {
            fault(Fault::SyscallStartCollision);
        }
        (*start).number = number as u32;
        (*start).time = bpf_ktime_get_ns();
        (*start).tid = tid;
    }
}

/// Random around the period, so that a program whose calls repeat in that rhythm is seen whole.
#[inline(always)]
fn next_countdown() -> u32 {
    // SAFETY: a static of our own; volatile because the agent overwrites it before loading.
    let period = unsafe { core::ptr::read_volatile(&raw const SYSCALL_PERIOD) };
    if period <= 1 {
        return 1;
    }
    // SAFETY: the helper takes nothing and always succeeds.
    let random = unsafe { bpf_get_prandom_u32() };
    1 + random % (2 * period - 1)
}

#[inline(always)]
fn on_exit<A: Access>(regs: &Regs<A>, result: i64) {
    const MAX_ERRNO: i64 = 4095;
    let Some(number) = regs.number() else {
        return;
    };
    let ids = current::ids();
    if ids.are_own() {
        return;
    }
    let failed = (-MAX_ERRNO..0).contains(&result);
    let key = CountKey {
        tgid: ids.tgid,
        number: number as u16,
        error: if failed { (-result) as u16 } else { 0 },
    };
    count(key);
    finish(ids, number);
}

/// Adds one to a counter of this CPU's cache, after making room for it.
#[inline(always)]
fn count(key: CountKey) {
    let spread = key.tgid ^ (u32::from(key.number) << 2) ^ (u32::from(key.error) << 1);
    let Some(slot) = SYSCALL_CACHE.get_ptr_mut(spread & (CACHE_SLOTS - 1)) else {
        return;
    };
    // SAFETY: this CPU's own copy, and one run of the program at a time has it.
    unsafe {
        if (*slot).key == key {
            (*slot).count += 1;
            return;
        }
        let displaced = *slot;
        (*slot).key = key;
        (*slot).count = 1;
        if displaced.count != 0 {
            keep(&displaced);
        }
    }
}

/// Adds a displaced counter to the shared map.
#[inline(always)]
fn keep(displaced: &CachedCount) {
    let (key, value) = (displaced.key, displaced.count);
    if let Some(counter) = SYSCALL_COUNTS.get_ptr_mut(&key) {
        // SAFETY: a live map value that other CPUs add to as well.
        unsafe { atomic::add(counter, value) };
        return;
    }
    if SYSCALL_COUNTS
        .insert(&key, &value, BPF_NOEXIST.into())
        .is_ok()
    {
        return;
    }
    // Another CPU was first, or the map is full.
    if let Some(counter) = SYSCALL_COUNTS.get_ptr_mut(&key) {
        // SAFETY: as above.
        unsafe { atomic::add(counter, value) };
        return;
    }
    faults(Fault::SyscallMapFull, value);
    if let Some(counter) = SYSCALL_OVERFLOW.get_ptr_mut(u32::from(key.number) & 1023) {
        // SAFETY: a live map value.
        unsafe { atomic::add(counter, value) };
    }
}

/// Takes the duration of a call that was chosen at its start.
#[inline(always)]
fn finish(ids: Ids, number: u32) {
    let Some(start) = SYSCALL_STARTS.get_ptr_mut(ids.tid & (START_SLOTS - 1)) else {
        return;
    };
    // SAFETY: a live map value; it is ours while it holds our thread id.
    let began = unsafe {
        if (*start).tid != ids.tid {
            return;
        }
        (*start).tid = 0;
        if (*start).number != number {
            return;
        }
        (*start).time
    };
    // SAFETY: the helper takes nothing and always succeeds.
    let duration = unsafe { bpf_ktime_get_ns() } - began;
    let key = DurationKey {
        tgid: ids.tgid,
        number,
    };
    if !record(&SYSCALL_DURATIONS, &key, duration) {
        fault(Fault::SyscallDurationMapFull);
    }
}

/// What the programs of a perf tracepoint return: others that watch the same event are told of it.
const KEEP: u32 = 1;

/// `raw_syscalls:sys_exit`, where the tracepoint itself can be preempted (kernel 7.0) and tracefs
/// is there.
#[tracepoint]
pub(crate) fn syscall_exit_perf(ctx: TracePointContext) -> u32 {
    on_exit(&Regs::of(&current::task()), field(&ctx, 2));
    KEEP
}

/// `raw_syscalls:sys_enter`
#[tracepoint]
pub(crate) fn syscall_enter_perf(ctx: TracePointContext) -> u32 {
    on_enter(field(&ctx, 1));
    KEEP
}

/// A word of the event (`format` in tracefs): after the common fields the call's number, then what
/// it returned.
#[inline(always)]
fn field(ctx: &TracePointContext, word: usize) -> i64 {
    // SAFETY: inside the event; the verifier checks it again.
    unsafe { ctx.as_ptr().cast::<i64>().add(word).read_volatile() }
}
