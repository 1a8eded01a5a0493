//! Run-queue latency: from runnable to running.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{btf_tracepoint, map, raw_tracepoint},
    maps::{Array, PerCpuArray},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use sonde_common::{
    event::sched::{HOST, SLOTS, Wakeup},
    fault::Fault,
    hist::Log2,
};

use crate::{
    emit::fault,
    kernel::{Access, Direct, Probed, Task},
};

/// Tasks that wait for a CPU, indexed by thread id.
#[map]
static RUN_QUEUE: Array<Wakeup> = Array::with_max_entries(SLOTS, 0);

/// Their delays.
#[map]
static RUN_QUEUE_LATENCY: PerCpuArray<Log2> = PerCpuArray::with_max_entries(1, 0);

/// `sched_wakeup(task)`
#[btf_tracepoint(function = "sched_wakeup")]
pub(crate) fn sched_wakeup(ctx: BtfTracePointContext) -> i32 {
    runnable(&Task::<Direct>::new(ctx.arg(0)));
    0
}

/// `sched_wakeup_new(task)`
#[btf_tracepoint(function = "sched_wakeup_new")]
pub(crate) fn sched_wakeup_new(ctx: BtfTracePointContext) -> i32 {
    runnable(&Task::<Direct>::new(ctx.arg(0)));
    0
}

/// `sched_switch(preempt, prev, next, ...)`
#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    on_switch(&Task::<Direct>::new(ctx.arg(1)), &Task::new(ctx.arg(2)));
    0
}

/// The same through helpers.
#[raw_tracepoint(tracepoint = "sched_wakeup")]
pub(crate) fn sched_wakeup_raw(ctx: RawTracePointContext) -> i32 {
    runnable(&Task::<Probed>::new(ctx.arg(0)));
    0
}

/// The same through helpers.
#[raw_tracepoint(tracepoint = "sched_wakeup_new")]
pub(crate) fn sched_wakeup_new_raw(ctx: RawTracePointContext) -> i32 {
    runnable(&Task::<Probed>::new(ctx.arg(0)));
    0
}

/// The same through helpers.
#[raw_tracepoint(tracepoint = "sched_switch")]
pub(crate) fn sched_switch_raw(ctx: RawTracePointContext) -> i32 {
    on_switch(&Task::<Probed>::new(ctx.arg(1)), &Task::new(ctx.arg(2)));
    0
}

#[inline(always)]
fn runnable<A: Access>(task: &Task<A>) {
    // SAFETY: the helper takes nothing and always succeeds.
    waits(task.pid(), unsafe { bpf_ktime_get_ns() });
}

#[inline(always)]
fn waits(pid: u32, now: u64) {
    if pid == 0 {
        // The idle task.
        return;
    }
    let Some(slot) = RUN_QUEUE.get_ptr_mut(pid & (SLOTS - 1)) else {
        return;
    };
    // SAFETY: a live map value; a task is queued on one CPU at a time, and two tasks that share a
    // slot are told apart by `pid`.
    unsafe {
        if (*slot).pid != 0 && (*slot).pid != pid {
            fault(Fault::RunQueueCollision);
        }
        (*slot).time = now;
        (*slot).pid = pid;
    }
}

#[inline(always)]
fn on_switch<A: Access>(previous: &Task<A>, next: &Task<A>) {
    // SAFETY: the helper takes nothing and always succeeds.
    let now = unsafe { bpf_ktime_get_ns() };
    if previous.state() == 0 {
        // Preempted: it waits again.
        waits(previous.pid(), now);
    }
    let pid = next.pid();
    if pid == 0 {
        return;
    }
    let Some(slot) = RUN_QUEUE.get_ptr_mut(pid & (SLOTS - 1)) else {
        return;
    };
    // SAFETY: a live map value, ours while it holds our pid.
    let since = unsafe {
        if (*slot).pid != pid {
            return;
        }
        (*slot).pid = 0;
        (*slot).time
    };
    if let Some(histogram) = RUN_QUEUE_LATENCY.get_ptr_mut(HOST) {
        // SAFETY: this CPU's own copy; a switch doesn't nest.
        unsafe { (*histogram).record(now.saturating_sub(since)) };
    }
}
