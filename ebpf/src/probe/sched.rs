//! Where the time of threads goes: on a CPU, waiting for one, asleep and for what.
//!
//! A switch is all that is hooked. The scheduler itself adds up how long each thread ran and waited
//! for a CPU; a program adds what the thread was away for. At a switch to a thread it isn't known
//! yet how much of its absence it waited, so that is sorted out when it leaves.

mod sleep;
mod sweep;
pub(crate) mod usage;

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{btf_tracepoint, map},
    maps::PerCpuArray,
    programs::BtfTracePointContext,
};
use sonde_common::event::sched::{Sleep, Thread, Usage, WAIT_BUCKETS, Waits};

use crate::{
    kernel::{Access, Direct, Task},
    probe::process::is_told,
    scratch::bounded,
    thread::{Storage, Store, Table},
};

/// Values of [`Thread::ended`].
mod ended {
    /// What it used is part of what its process's dead threads used.
    pub(super) const FOLDED: u32 = 1;
    /// A leader that waits to be reaped, or for its threads: its sums stay where they are.
    pub(super) const LEADER: u32 = 2;
}

/// What a thread used in its life: larger than what else stands on the stack leaves room for.
#[map]
static LAST: PerCpuArray<Usage> = PerCpuArray::with_max_entries(1, 0);

/// `sched_switch(preempt, prev, next, ...)`
#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    on_switch::<Storage>(ctx.arg(0), &Task::new(ctx.arg(1)), &Task::new(ctx.arg(2)));
    0
}

/// The same before 5.12.
#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn sched_switch_table(ctx: BtfTracePointContext) -> i32 {
    on_switch::<Table>(ctx.arg(0), &Task::new(ctx.arg(1)), &Task::new(ctx.arg(2)));
    0
}

/// `sched_process_fork(parent, child)`, for threads as well
#[btf_tracepoint(function = "sched_process_fork")]
pub(crate) fn thread_new(ctx: BtfTracePointContext) -> i32 {
    on_new::<Storage>(&Task::new(ctx.arg(1)));
    0
}

/// The same before 5.12.
#[btf_tracepoint(function = "sched_process_fork")]
pub(crate) fn thread_new_table(ctx: BtfTracePointContext) -> i32 {
    on_new::<Table>(&Task::new(ctx.arg(1)));
    0
}

/// `sched_process_exit(task, ...)`, for threads as well
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn thread_end(ctx: BtfTracePointContext) -> i32 {
    on_end::<Storage>(&Task::new(ctx.arg(0)));
    0
}

/// The same before 5.12.
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn thread_end_table(ctx: BtfTracePointContext) -> i32 {
    on_end::<Table>(&Task::new(ctx.arg(0)));
    0
}

/// The state is made here and in the sweep, never at a switch: that holds a lock of the scheduler,
/// and allocating may want to wake somebody up.
#[inline(always)]
fn on_new<S: Store<Access = Direct>>(child: &Task<Direct>) {
    if let Some(thread) = S::create(child) {
        // SAFETY: a live map value of a thread that hasn't run yet.
        unsafe {
            (*thread).since = now();
            (*thread).sleep = Sleep::Other as u32;
        }
    }
}

#[inline(always)]
fn on_switch<S: Store<Access = Direct>>(preempted: u64, from: &Task<Direct>, to: &Task<Direct>) {
    let now = now();
    // The idle task of each CPU has the id 0.
    if from.pid() != 0
        && let Some(thread) = S::find(from)
    {
        // SAFETY: a live map value; a thread is switched from on one CPU at a time.
        leave(unsafe { &mut *thread }, from, preempted & 1 != 0, now);
    }
    if to.pid() != 0
        && let Some(thread) = S::find(to)
    {
        // SAFETY: as above.
        arrive(unsafe { &mut *thread }, now);
    }
}

#[inline(always)]
fn leave(thread: &mut Thread, task: &Task<Direct>, preempted: bool, now: u64) {
    if thread.ended != 0 {
        return;
    }
    let queued = task.run_delay();
    settle(thread, queued);
    thread.queued = queued;
    thread.sleep = if preempted || task.state() == 0 {
        // It goes on waiting for a CPU, which the scheduler counts.
        Sleep::Other
    } else {
        sleep::of(task)
    } as u32;
    thread.since = now;
}

#[inline(always)]
fn arrive(thread: &mut Thread, now: u64) {
    if thread.since != 0 {
        thread.away = now.wrapping_sub(thread.since);
        thread.since = 0;
    }
}

/// Tells apart how long the thread slept and how long it waited before it got the CPU that it has.
/// `queued` is the scheduler's sum of its waits.
#[inline(always)]
fn settle(thread: &mut Thread, queued: u64) {
    if thread.away == 0 {
        return;
    }
    let waited = queued.wrapping_sub(thread.queued);
    thread.waits.sum = thread.waits.sum.wrapping_add(waited);
    let bucket = bounded::<31>(Waits::bucket(waited) as u32);
    if bucket < WAIT_BUCKETS {
        thread.waits.buckets[bucket] = thread.waits.buckets[bucket].wrapping_add(1);
    }
    if thread.away > waited {
        let sleep = bounded::<3>(thread.sleep);
        // SAFETY: one of four. Checked indexing would bring in a way to panic.
        unsafe { *thread.slept.as_mut_ptr().add(sleep) += thread.away - waited };
    }
    thread.away = 0;
}

/// What a thread sleeps for that is asleep or has just come back, and how long so far: the part of its
/// absence that its sums don't have yet.
#[inline(always)]
fn settle_view<A: Access>(thread: &Thread, task: &Task<A>) -> (usize, u64) {
    let sleep = bounded::<3>(thread.sleep);
    if thread.away != 0 {
        let waited = task.run_delay().wrapping_sub(thread.queued);
        return (sleep, thread.away.saturating_sub(waited));
    }
    let since = thread.since;
    if since != 0 && task.state() != 0 && !task.is_on_cpu() {
        return (sleep, now().saturating_sub(since));
    }
    (sleep, 0)
}

#[inline(always)]
fn on_end<S: Store<Access = Direct>>(task: &Task<Direct>) {
    let state = S::find(task);
    if let Some(thread) = state {
        // SAFETY: a live map value of the thread that runs.
        let thread = unsafe { &mut *thread };
        let queued = task.run_delay();
        settle(thread, queued);
        thread.queued = queued;
        if task.is_leader() {
            thread.ended = ended::LEADER;
        }
    }
    // A leader stays until all others are gone, and then tells what it used itself.
    if task.is_leader() || is_told(task) {
        return;
    }
    let (Some(usage), Some(leader)) = (LAST.get_ptr_mut(0), task.leader()) else {
        return;
    };
    // SAFETY: this CPU's own copy, and one run of the program at a time has it.
    let usage = unsafe { &mut *usage };
    *usage = Usage::EMPTY;
    usage::add::<S>(usage, task);
    if let Some(dead) = S::dead_or_new(&leader) {
        usage::leave_behind(dead, usage);
    }
    if let Some(thread) = state {
        // SAFETY: as above.
        unsafe { (*thread).ended = ended::FOLDED };
        S::remove(thread);
    }
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper takes nothing and always succeeds.
    unsafe { bpf_ktime_get_ns() }
}
