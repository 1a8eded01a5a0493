//! Where the time of threads goes: on a CPU, waiting for one, asleep and for what.
//!
//! A switch is all that is hooked. The scheduler itself adds up how long each thread ran and waited
//! for a CPU; a program adds what the thread was away for. At a switch to a thread it isn't known
//! yet how much of its absence it waited, so that is sorted out when it leaves.

mod sleep;
mod sweep;
pub(crate) mod usage;

use aya_ebpf::{
    macros::{btf_tracepoint, map},
    maps::PerCpuArray,
    programs::BtfTracePointContext,
};
use sonde_common::event::sched::{MOVED, Sleep, Thread, Usage, WAIT_BUCKETS, Waits};

use crate::{
    current,
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
    on_switch::<Storage>(ctx.arg(0), &Task::new(ctx.arg(1)));
    0
}

/// The same before 5.12.
#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn sched_switch_table(ctx: BtfTracePointContext) -> i32 {
    on_switch::<Table>(ctx.arg(0), &Task::new(ctx.arg(1)));
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

/// `sched_migrate_task(task, cpu)`, kernel 6.12: before, no thread that sleeps is in a queue
#[btf_tracepoint(function = "sched_migrate_task")]
pub(crate) fn thread_moved(ctx: BtfTracePointContext) -> i32 {
    let task = Task::new(ctx.arg(0));
    if task.is_delayed()
        && let Some(thread) = Storage::find(&task)
    {
        // SAFETY: a live map value. The thread sleeps, and is moved by one CPU at a time.
        unsafe { (*thread).sleep |= MOVED };
    }
    0
}

/// The state is made here and in the sweep, never at a switch: that holds a lock of the scheduler,
/// and allocating may want to wake somebody up.
#[inline(always)]
fn on_new<S: Store<Access = Direct>>(child: &Task<Direct>) {
    S::create(child);
}

#[inline(always)]
fn on_switch<S: Store<Access = Direct>>(preempted: u64, from: &Task<Direct>) {
    // The idle task of each CPU has the id 0.
    if from.pid() == 0 {
        return;
    }
    if let Some(thread) = S::find(from) {
        // SAFETY: a live map value; a thread is switched from on one CPU at a time.
        leave(unsafe { &mut *thread }, from, preempted & 1 != 0);
    }
}

#[inline(always)]
fn leave(thread: &mut Thread, task: &Task<Direct>, preempted: bool) {
    if thread.ended != 0 {
        return;
    }
    settle(thread, task);
    thread.sleep = if preempted || task.state() == 0 {
        // It goes on waiting for a CPU, which the scheduler counts.
        Sleep::Other
    } else {
        sleep::of(task)
    } as u32;
    thread.since = task.clock();
}

/// Tells apart how long the thread slept and how long it waited before it got the CPU that it has.
#[inline(always)]
fn settle(thread: &mut Thread, task: &Task<Direct>) {
    let arrived = task.last_arrival();
    // One that was there before the programs has been on this CPU since.
    if arrived <= thread.since {
        return;
    }
    let excess = excess(thread, task);
    let queued = task.run_delay();
    let waited = queued.wrapping_sub(thread.queued);
    thread.queued = queued;
    let waited = if excess == thread.excess {
        count(&mut thread.waits, waited);
        waited
    } else {
        // How much of it was a wait isn't known: as a rule next to nothing.
        thread.excess = excess;
        0
    };
    let slept = slept(thread, arrived, waited);
    if slept != 0 {
        let sleep = bounded::<3>(thread.sleep);
        // SAFETY: one of four. Checked indexing would bring in a way to panic.
        unsafe { *thread.slept.as_mut_ptr().add(sleep) += slept };
    }
}

#[inline(always)]
fn count(waits: &mut Waits, waited: u64) {
    waits.sum = waits.sum.wrapping_add(waited);
    let bucket = bounded::<31>(Waits::bucket(waited) as u32);
    if bucket < WAIT_BUCKETS {
        waits.buckets[bucket] = waits.buckets[bucket].wrapping_add(1);
    }
}

/// What of the scheduler's sum of a thread's waits it slept, up to its last arrival on a CPU.
#[inline(always)]
fn excess<A: Access>(thread: &Thread, task: &Task<A>) -> u64 {
    if thread.sleep & MOVED == 0 || task.last_arrival() <= thread.since {
        return thread.excess;
    }
    let since = task.run_delay().wrapping_sub(thread.queued);
    thread.excess.wrapping_add(since)
}

/// What of an absence that has ended wasn't spent waiting. A new thread has never slept.
#[inline(always)]
fn slept(thread: &Thread, arrived: u64, waited: u64) -> u64 {
    if thread.since == 0 {
        return 0;
    }
    (arrived - thread.since).saturating_sub(waited)
}

/// How long a thread sleeps that is asleep or has just come back: what its sums don't have yet.
#[inline(always)]
fn unsettled<A: Access>(thread: &Thread, task: &Task<A>) -> u64 {
    let arrived = task.last_arrival();
    if arrived > thread.since {
        let waited = if thread.sleep & MOVED == 0 {
            task.run_delay().wrapping_sub(thread.queued)
        } else {
            0
        };
        return slept(thread, arrived, waited);
    }
    let until = match task.last_queued() {
        _ if thread.since == 0 || task.is_on_cpu() => 0,
        // From 6.12 on the kernel may move a thread that sleeps to another CPU's queue.
        _ if task.state() != 0 => current::clock(),
        woken => woken,
    };
    until.saturating_sub(thread.since)
}

#[inline(always)]
fn on_end<S: Store<Access = Direct>>(task: &Task<Direct>) {
    let state = S::find(task);
    if let Some(thread) = state {
        // SAFETY: a live map value of the thread that runs.
        let thread = unsafe { &mut *thread };
        settle(thread, task);
        thread.since = task.last_arrival();
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
        S::remove(task);
    }
}
