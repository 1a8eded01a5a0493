//! What threads and processes have used so far.

use sonde_common::event::sched::{SLEEPS, Thread, Usage, WAIT_BUCKETS};

use super::{ended, excess, unsettled};
use crate::{
    atomic,
    kernel::{Access, Task},
    scratch::bounded,
    thread::Store,
};

/// Adds what a thread has used; nothing of one whose process has it from [`leave_behind`].
#[inline(always)]
pub(crate) fn add<S: Store>(usage: &mut Usage, task: &Task<S::Access>) {
    if let Some(thread) = S::find(task) {
        // SAFETY: a live map value. Another CPU may be changing it: see `add_state`.
        let thread = unsafe { &*thread };
        if thread.ended == ended::FOLDED {
            return;
        }
        add_state(usage, thread, task);
    }
    usage.cpu += task.runtime();
    usage.user += task.user_time();
    usage.system += task.system_time();
    usage.queued = usage.queued.wrapping_add(task.run_delay());
    usage.minor_faults += task.minor_faults();
    usage.major_faults += task.major_faults();
    usage.voluntary_switches += task.voluntary_switches();
    usage.involuntary_switches += task.involuntary_switches();
    usage.read_bytes += task.read_bytes();
    usage.write_bytes += task.write_bytes();
}

/// Adds what the state of a thread says. It may be that of a thread that is being switched at the
/// moment: a sum is then the one before or after, and the agent takes no step back.
#[inline(always)]
fn add_state<A: Access>(usage: &mut Usage, thread: &Thread, task: &Task<A>) {
    let sleep = bounded::<3>(thread.sleep);
    let sleeping = if thread.ended == ended::LEADER {
        0
    } else {
        unsettled(thread, task)
    };
    let mut index = 0;
    while index < SLEEPS {
        usage.slept[index] += thread.slept[index];
        if index == sleep {
            usage.slept[index] += sleeping;
        }
        index += 1;
    }
    usage.queued = usage.queued.wrapping_sub(excess(thread, task));
    usage.udp[0] += thread.udp[0];
    usage.udp[1] += thread.udp[1];
    usage.waits.sum += thread.waits.sum;
    let mut index = 0;
    while index < WAIT_BUCKETS {
        usage.waits.buckets[index] =
            usage.waits.buckets[index].wrapping_add(thread.waits.buckets[index]);
        index += 1;
    }
}

/// Adds what threads used that have ended, by the leader of their group.
#[inline(always)]
pub(crate) fn add_dead<S: Store>(usage: &mut Usage, leader: &Task<S::Access>) {
    let Some(dead) = S::dead(leader) else {
        return;
    };
    // SAFETY: a live map value, read word by word.
    let dead = unsafe { &*dead };
    // SAFETY: as promised by `SUMS`.
    let (from, to) = unsafe { (words(dead), words_mut(usage)) };
    let mut index = 0;
    while index < SUMS {
        // SAFETY: within both.
        unsafe { *to.add(index) += *from.add(index) };
        index += 1;
    }
    let mut index = 0;
    while index < WAIT_BUCKETS {
        usage.waits.buckets[index] =
            usage.waits.buckets[index].wrapping_add(dead.waits.buckets[index]);
        index += 1;
    }
}

/// Leaves what a thread has used to its process.
#[inline(always)]
pub(super) fn leave_behind(dead: *mut Usage, usage: &Usage) {
    // SAFETY: a live map value that other threads' ends add to as well; see `SUMS`.
    unsafe {
        let (from, to) = (words(usage), dead.cast::<u64>());
        let mut index = 0;
        while index < SUMS {
            atomic::add(to.add(index), *from.add(index));
            index += 1;
        }
        let buckets = (&raw mut (*dead).waits.buckets).cast::<u32>();
        let mut index = 0;
        while index < WAIT_BUCKETS {
            atomic::add_word(buckets.add(index), usage.waits.buckets[index]);
            index += 1;
        }
    }
}

/// Words at the front of a [`Usage`] that add up: all but the buckets.
const SUMS: usize = core::mem::offset_of!(Usage, waits.buckets) / size_of::<u64>();

#[inline(always)]
const unsafe fn words(usage: &Usage) -> *const u64 {
    core::ptr::from_ref(usage).cast()
}

#[inline(always)]
const unsafe fn words_mut(usage: &mut Usage) -> *mut u64 {
    core::ptr::from_mut(usage).cast()
}
