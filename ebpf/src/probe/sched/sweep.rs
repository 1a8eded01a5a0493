//! All tasks, one after another, for whoever reads the iterator: what each has used so far.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use sonde_common::event::sched::{self, MOVED, Process, Task as Record, Usage};

use super::{sleep, usage};
use crate::{
    current,
    kernel::{Direct, Task},
    seq,
    thread::{Storage, Store, Table},
};

/// Both records are larger than a program's stack.
#[repr(C)]
#[derive(Clone, Copy)]
struct Told {
    task: Record,
    process: Process,
}

#[map]
static TOLD: PerCpuArray<Told> = PerCpuArray::with_max_entries(1, 0);

/// Arguments of a `task` iterator program (kernel 5.8).
#[repr(C)]
struct Iterator {
    meta: *const seq::Meta,
    task: *const u8,
}

/// Tells of every thread.
#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
extern "C" fn task_sweep(ctx: *const Iterator) -> i32 {
    tell::<Storage>(ctx);
    0
}

/// The same before 5.12.
#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
extern "C" fn task_sweep_table(ctx: *const Iterator) -> i32 {
    tell::<Table>(ctx);
    0
}

#[inline(always)]
fn tell<S: Store<Access = Direct>>(ctx: *const Iterator) {
    // SAFETY: the kernel's context of this program type; it has no task at the end.
    let (meta, pointer) = unsafe { ((*ctx).meta, (*ctx).task) };
    if pointer.is_null() {
        return;
    }
    let task = Task::<Direct>::new(pointer);
    let Some(told) = TOLD.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: this CPU's own copy, and one run of the program at a time has it.
    let told = unsafe { &mut *told };
    adopt::<S>(&task);
    let is_leader = task.is_leader();
    told.task.start_time = task.start_time();
    told.task.tgid = task.tgid();
    told.task.is_leader = is_leader.into();
    told.task.usage = Usage::EMPTY;
    usage::add::<S>(&mut told.task.usage, &task);
    if !is_leader {
        // SAFETY: the kernel's own argument.
        unsafe { seq::write(meta, &told.task) };
        return;
    }
    usage::add_dead::<S>(&mut told.task.usage, &task);
    describe(&mut told.process, &task);
    // SAFETY: as above.
    unsafe { seq::write(meta, told) };
}

/// Gives a thread that was there before the programs its state. One that ends has had its state taken.
#[inline(always)]
fn adopt<S: Store<Access = Direct>>(task: &Task<Direct>) {
    if S::find(task).is_some() || task.is_ending() {
        return;
    }
    let Some(thread) = S::create(task) else {
        return;
    };
    let is_asleep = task.state() != 0 && !task.is_on_cpu();
    // SAFETY: a live map value. If the thread is being woken up at the moment, then its next switch
    // sorts it out.
    unsafe {
        (*thread).queued = task.run_delay();
        (*thread).since = if is_asleep {
            let was_moved = task.last_queued() != 0;
            (*thread).sleep = sleep::of(task) as u32 | if was_moved { MOVED } else { 0 };
            current::clock()
        } else {
            task.last_arrival().max(task.last_queued())
        };
    }
}

#[inline(always)]
fn describe(process: &mut Process, task: &Task<Direct>) {
    process.resident = 0;
    process.size = 0;
    process.descriptors = 0;
    process.descriptor_limit = 0;
    process.threads = 0;
    process.state = task.state() | task.exit_state();
    process.is_kernel = task.is_kernel_thread().into();
    if let Some(signal) = task.signal() {
        process.threads = signal.threads();
        process.descriptor_limit = signal.descriptor_limit();
    }
    if let Some(memory) = task.memory() {
        process.resident = memory.resident();
        process.size = memory.size();
        process.descriptors = task
            .open_descriptors()
            .unwrap_or(sched::UNKNOWN_DESCRIPTORS);
    }
}
