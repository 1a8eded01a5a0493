//! System calls.

use super::{Family, Hook, always, tracepoint};

/// The hook that is left out when no durations are asked for.
pub const ENTER: &str = "sys_enter";

/// The family.
pub const FAMILY: Family = Family {
    name: "syscall",
    help: "system calls by process: counts, errors by errno, durations",
    hooks: &[
        Hook {
            name: "sys_exit",
            required: true,
            lost: "system calls and their errors are not counted",
            any_of: &tracepoint("sys_exit", "syscall_exit", "syscall_exit_raw", always),
        },
        Hook {
            name: ENTER,
            required: false,
            lost: "system calls are not timed",
            any_of: &tracepoint("sys_enter", "syscall_enter", "syscall_enter_raw", always),
        },
    ],
    maps: &[
        "SYSCALL_CACHE",
        "SYSCALL_COUNTS",
        "SYSCALL_DURATIONS",
        "SYSCALL_STARTS",
    ],
};
