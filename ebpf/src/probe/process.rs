//! Processes: fork, exec, exit, OOM kills.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{bpf_ktime_get_ns, bpf_probe_read_kernel_str_bytes, generated::bpf_probe_read_user},
    macros::{btf_tracepoint, map, raw_tracepoint},
    maps::{LruHashMap, PerCpuArray},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use sonde_common::{
    event::{
        process::{ARGS, Exec, Exit, ExitRest, FILENAME, Fork, OomKill},
        sched::Usage,
    },
    fault::Fault,
    header::Kind,
};

use crate::{
    current::is_self,
    emit::{header, send},
    kernel::{Access, Direct, Probed, Task, binprm_filename},
    probe::sched::usage,
    thread::{Nowhere, Storage, Store, Table},
};

/// [`Exec`] is larger than a program's stack.
#[map]
static EXEC: PerCpuArray<Exec> = PerCpuArray::with_max_entries(1, 0);

/// [`Exit`] and [`ExitRest`] are larger than what else stands on the stack leaves room for.
#[map]
static EXIT: PerCpuArray<Exit> = PerCpuArray::with_max_entries(1, 0);

#[map]
static EXIT_REST: PerCpuArray<ExitRest> = PerCpuArray::with_max_entries(1, 0);

/// A process: a pid is given again, but not with the same start.
#[repr(C)]
#[derive(Clone, Copy)]
struct Process {
    start_time: u64,
    tgid: u32,
    pad: u32,
}

impl Process {
    #[inline(always)]
    fn of<A: Access>(task: &Task<A>) -> Self {
        Self {
            start_time: task.start_time(),
            tgid: task.tgid(),
            pad: 0,
        }
    }
}

/// Processes whose end has just been told.
#[map]
static ENDED: LruHashMap<Process, u8> = LruHashMap::with_max_entries(1024, 0);

/// `sched_process_fork(parent, child)`
#[btf_tracepoint(function = "sched_process_fork")]
pub(crate) fn process_fork(ctx: BtfTracePointContext) -> i32 {
    on_fork(&Task::<Direct>::new(ctx.arg(0)), &Task::new(ctx.arg(1)));
    0
}

/// The same through helpers.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub(crate) fn process_fork_raw(ctx: RawTracePointContext) -> i32 {
    on_fork(&Task::<Probed>::new(ctx.arg(0)), &Task::new(ctx.arg(1)));
    0
}

#[inline(always)]
fn on_fork<A: Access>(parent: &Task<A>, child: &Task<A>) {
    let tgid = child.tgid();
    if tgid != child.pid() {
        // A thread.
        return;
    }
    let mut record = Fork {
        header: header(Kind::Fork),
        start_time: child.start_time(),
        cgroup: child.cgroup(),
        child: tgid,
        pad: 0,
        comm: [0; 16],
    };
    record.header.tgid = parent.tgid();
    child.comm(&mut record.comm);
    send(Kind::Fork, &record, Fault::RingProcess);
}

/// `sched_process_exec(task, old_pid, binprm)`
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn process_exec(ctx: BtfTracePointContext) -> i32 {
    on_exec(&Task::<Direct>::new(ctx.arg(0)), ctx.arg(2));
    0
}

/// The same through helpers.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub(crate) fn process_exec_raw(ctx: RawTracePointContext) -> i32 {
    on_exec(&Task::<Probed>::new(ctx.arg(0)), ctx.arg(2));
    0
}

#[inline(always)]
fn on_exec<A: Access>(task: &Task<A>, binprm: *const u8) {
    let Some(record) = EXEC.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: this CPU's own copy, and one run of the program at a time has it.
    let record = unsafe { &mut *record };
    record.header = header(Kind::Exec);
    record.start_time = task.start_time();
    record.cgroup = task.cgroup();
    record.parent = task.parent();
    record.uid = task.uid();
    record.comm = [0; 16];
    task.comm(&mut record.comm);
    record.filename_length = 0;
    record.args_length = 0;
    record.pad = 0;
    if let Some(filename) = binprm_filename(binprm) {
        // SAFETY: the helper checks the address.
        let read = unsafe { bpf_probe_read_kernel_str_bytes(filename, &mut record.filename) };
        record.filename_length = read.map_or(0, |text| text.len().min(FILENAME)) as u16;
    }
    if let Some((start, length)) = task.arguments() {
        let size = if length < ARGS as u64 {
            length as u32
        } else {
            ARGS as u32
        };
        // SAFETY: at most ARGS bytes into ARGS; the helper checks the source.
        let result =
            unsafe { bpf_probe_read_user((&raw mut record.args).cast(), size, start as *const _) };
        if result == 0 {
            record.args_length = size as u16;
        }
    }
    send(Kind::Exec, record, Fault::RingProcess);
}

/// `sched_process_exit(task, ...)`
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn process_exit(ctx: BtfTracePointContext) -> i32 {
    on_exit::<Storage>(&Task::new(ctx.arg(0)));
    0
}

/// The same before 5.12.
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn process_exit_table(ctx: BtfTracePointContext) -> i32 {
    on_exit::<Table>(&Task::new(ctx.arg(0)));
    0
}

/// The same through helpers.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub(crate) fn process_exit_raw(ctx: RawTracePointContext) -> i32 {
    on_exit::<Nowhere>(&Task::new(ctx.arg(0)));
    0
}

#[inline(always)]
fn on_exit<S: Store>(task: &Task<S::Access>) {
    let tgid = task.tgid();
    if task.live_threads() != 0 || is_self(tgid) {
        return;
    }
    let process = Process::of(task);
    let Some(record) = EXIT.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: this CPU's own copy, and one run of the program at a time has it.
    let record = unsafe { &mut *record };
    record.usage = Usage::EMPTY;
    usage::add::<S>(&mut record.usage, task);
    if !ends_now(&process) {
        if !task.is_leader() {
            rest(tgid, process.start_time, &record.usage);
            S::remove(task);
        }
        return;
    }
    if let Some(leader) = task.leader() {
        if !task.is_leader() {
            usage::add::<S>(&mut record.usage, &leader);
        }
        usage::add_dead::<S>(&mut record.usage, &leader);
        record.lifetime = age(&leader);
        S::bury(&leader);
        S::remove(&leader);
    }
    S::remove(task);
    record.header = header(Kind::Exit);
    record.header.tgid = tgid;
    record.start_time = process.start_time;
    record.status = task.exit_code();
    record.pad = 0;
    record.comm = [0; 16];
    task.comm(&mut record.comm);
    send(Kind::Exit, record, Fault::RingProcess);
}

/// Nanoseconds since a task started.
#[inline(always)]
fn age<A: Access>(task: &Task<A>) -> u64 {
    // SAFETY: the helper takes nothing and always succeeds.
    unsafe { bpf_ktime_get_ns() }.saturating_sub(task.monotonic_start())
}

/// Tells what a thread has used that was late for its process's end.
#[inline(always)]
fn rest(tgid: u32, start_time: u64, usage: &Usage) {
    let Some(record) = EXIT_REST.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: this CPU's own copy, and one run of the program at a time has it.
    let record = unsafe { &mut *record };
    record.header = header(Kind::ExitRest);
    record.header.tgid = tgid;
    record.start_time = start_time;
    record.usage = *usage;
    send(Kind::ExitRest, record, Fault::RingProcess);
}

/// Whether the end of a task's process has been told: what the task used is then told by itself.
#[inline(always)]
pub(crate) fn is_told<A: Access>(task: &Task<A>) -> bool {
    // SAFETY: only whether there is an entry is looked at.
    unsafe { ENDED.get(&Process::of(task)) }.is_some()
}

/// Whether this is the first thread to find that none lives any more. Before kernel 6.16 a thread
/// counts itself out some way ahead of the tracepoint, so that several may find it.
#[inline(always)]
fn ends_now(process: &Process) -> bool {
    const EEXIST: i32 = 17;
    ENDED.insert(process, &1, BPF_NOEXIST.into()) != Err(-EEXIST)
}

/// `mark_victim(task, uid)`, kernel 6.9
#[btf_tracepoint(function = "mark_victim")]
pub(crate) fn process_oom(ctx: BtfTracePointContext) -> i32 {
    on_oom(Task::<Direct>::new(ctx.arg(0)).tgid());
    0
}

/// `mark_victim(pid)` before
#[btf_tracepoint(function = "mark_victim")]
pub(crate) fn process_oom_pid(ctx: BtfTracePointContext) -> i32 {
    on_oom(ctx.arg(0));
    0
}

#[inline(always)]
fn on_oom(victim: u32) {
    let record = OomKill {
        header: header(Kind::OomKill),
        victim,
        pad: 0,
    };
    send(Kind::OomKill, &record, Fault::RingProcess);
}
