//! Processes: fork, exec, exit, OOM kills.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{bpf_probe_read_kernel_str_bytes, generated::bpf_probe_read_user},
    macros::{btf_tracepoint, map, raw_tracepoint},
    maps::{LruHashMap, PerCpuArray},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use sonde_common::{
    event::process::{ARGS, Exec, Exit, FILENAME, Fork, OomKill},
    fault::Fault,
    header::Kind,
};

use crate::{
    current::is_self,
    emit::{header, send},
    kernel::{Access, Direct, Probed, Task, binprm_filename},
};

/// [`Exec`] is larger than a program's stack.
#[map]
static EXEC: PerCpuArray<Exec> = PerCpuArray::with_max_entries(1, 0);

/// A process: a pid is given again, but not with the same start.
#[repr(C)]
#[derive(Clone, Copy)]
struct Process {
    start_time: u64,
    tgid: u32,
    pad: u32,
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
    on_exit(&Task::<Direct>::new(ctx.arg(0)));
    0
}

/// The same through helpers.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub(crate) fn process_exit_raw(ctx: RawTracePointContext) -> i32 {
    on_exit(&Task::<Probed>::new(ctx.arg(0)));
    0
}

#[inline(always)]
fn on_exit<A: Access>(task: &Task<A>) {
    let tgid = task.tgid();
    if task.live_threads() != 0 || is_self(tgid) {
        return;
    }
    let process = Process {
        start_time: task.start_time(),
        tgid,
        pad: 0,
    };
    if !ends_now(&process) {
        return;
    }
    let mut record = Exit {
        header: header(Kind::Exit),
        start_time: process.start_time,
        status: task.exit_code(),
        pad: 0,
        comm: [0; 16],
    };
    record.header.tgid = tgid;
    task.comm(&mut record.comm);
    send(Kind::Exit, &record, Fault::RingProcess);
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
