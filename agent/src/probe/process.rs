//! Processes: fork, exec, exit, OOM kills.

use super::{Family, Hook, tracepoint, with_types};
use crate::kernel::{attach::Attach, feature::Kernel};

/// The family.
pub const FAMILY: Family = Family {
    name: "process",
    help: "starts, exits, crashes and OOM kills of processes, and who they belong to",
    hooks: &[
        Hook {
            name: "sched_process_fork",
            required: false,
            lost: "process starts are found late, in /proc",
            any_of: &tracepoint(
                "sched_process_fork",
                "process_fork",
                "process_fork_raw",
                with_types,
            ),
        },
        Hook {
            name: "sched_process_exec",
            required: false,
            lost: "short-lived processes have no service",
            any_of: &tracepoint(
                "sched_process_exec",
                "process_exec",
                "process_exec_raw",
                with_types,
            ),
        },
        Hook {
            name: "sched_process_exit",
            required: false,
            lost: "process exits and crashes are not counted",
            any_of: &[
                Attach::tp_btf("process_exit", "sched_process_exit", with_task_storage),
                Attach::tp_btf("process_exit_table", "sched_process_exit", with_types),
                Attach::raw_tp("process_exit_raw", "sched_process_exit", with_types),
            ],
        },
        Hook {
            name: "mark_victim",
            required: false,
            lost: "OOM kills are not attributed",
            any_of: &[
                Attach::tp_btf("process_oom", "mark_victim", victim_is_task),
                Attach::tp_btf("process_oom_pid", "mark_victim", victim_is_pid),
            ],
        },
    ],
    maps: &[],
};

/// Programs that can name a task's storage.
fn with_task_storage(kernel: &Kernel) -> Result<(), String> {
    with_types(kernel)?;
    if kernel.has_task_storage() {
        Ok(())
    } else {
        Err("programs can't keep states on tasks (kernel 5.12)".to_owned())
    }
}

/// Since 6.9 the tracepoint passes the task.
fn victim_is_task(kernel: &Kernel) -> Result<(), String> {
    kernel.has_tracepoint("mark_victim")?;
    match kernel
        .btf
        .as_ref()
        .ok()
        .and_then(|btf| btf.argument_is_pointer("mark_victim", 0))
    {
        Some(true) => Ok(()),
        _ => Err("the tracepoint passes a pid here".to_owned()),
    }
}

/// Before, the pid.
fn victim_is_pid(kernel: &Kernel) -> Result<(), String> {
    match victim_is_task(kernel) {
        Ok(()) => Err("the tracepoint passes a task here".to_owned()),
        Err(_) => kernel.has_tracepoint("mark_victim"),
    }
}
