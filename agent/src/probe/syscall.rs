//! System calls.

use super::{Family, Hook, always};
use crate::kernel::{
    attach::{Attach, Condition, Via},
    feature::Kernel,
};

/// The hook that counts.
pub const EXIT: &str = "sys_exit";
/// The hook that is left out when no durations are asked for.
pub const ENTER: &str = "sys_enter";

/// The family.
pub const FAMILY: Family = Family {
    name: "syscall",
    help: "system calls by process: counts, errors by errno, durations",
    hooks: &[
        Hook {
            name: EXIT,
            required: true,
            lost: "system calls and their errors are not counted",
            any_of: &ways(
                EXIT,
                ["syscall_exit_perf", "syscall_exit", "syscall_exit_raw"],
                |kernel| without_preemption(kernel, EXIT),
            ),
        },
        Hook {
            name: ENTER,
            required: false,
            lost: "system calls are not timed",
            any_of: &ways(
                ENTER,
                ["syscall_enter_perf", "syscall_enter", "syscall_enter_raw"],
                |kernel| without_preemption(kernel, ENTER),
            ),
        },
    ],
    maps: &[
        "SYSCALL_CACHE",
        "SYSCALL_COUNTS",
        "SYSCALL_DURATIONS",
        "SYSCALL_STARTS",
    ],
};

/// As a perf tracepoint where the tracepoint itself can be preempted, else the usual pair.
const fn ways(
    name: &'static str,
    [perf, typed, raw]: [&'static str; 3],
    when_perf: Condition,
) -> [Attach; 3] {
    [
        Attach::new(perf, Via::PerfTracepoint("raw_syscalls", name), when_perf),
        Attach::tp_btf(typed, name, always),
        Attach::raw_tp(raw, name, always),
    ]
}

/// Whether the program that times calls can be detached for a while: attaching a perf tracepoint
/// again would take capabilities that are dropped by then.
#[must_use]
pub fn can_pause(kernel: &Kernel) -> bool {
    without_preemption(kernel, ENTER).is_err()
}

/// The perf tracepoint is dearer, and of use only where the other ways leave runs out.
fn without_preemption(kernel: &Kernel, name: &str) -> Result<(), String> {
    if !kernel.has_preemptible_tracepoints() {
        return Err("only used where tracepoints can be preempted (kernel 7.0)".to_owned());
    }
    kernel.has_trace_event("raw_syscalls", name)
}
