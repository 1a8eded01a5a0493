//! Where the time of threads goes.

use super::{Family, Hook};
use crate::kernel::{
    attach::{Attach, Condition, Via},
    feature::Kernel,
};

/// The programs that tell what every thread has used, one of which is loaded.
pub const SWEEPS: [&str; 2] = ["task_sweep", "task_sweep_table"];

/// The hook that sees what threads sleep for.
pub const SWITCH: &str = "sched_switch";

/// The hook that sees threads moved while they sleep; before 6.12 there is nothing to see.
pub const MOVE: &str = "sched_migrate_task";

/// The family.
pub const FAMILY: Family = Family {
    name: "sched",
    help: "where the time of threads goes: on a CPU, waiting for one, asleep and for what",
    hooks: &[
        Hook {
            name: "tasks",
            required: true,
            lost: "nothing is known of what services use but system calls and connections",
            any_of: &[
                Attach::new(SWEEPS[0], Via::TaskIterator, with_storage),
                Attach::new(SWEEPS[1], Via::TaskIterator, without_storage),
            ],
        },
        Hook {
            name: SWITCH,
            required: true,
            lost: "no run-queue latency, and not what threads sleep for",
            any_of: &by_store(SWITCH, "sched_switch", "sched_switch_table"),
        },
        Hook {
            name: MOVE,
            required: false,
            lost: "a few sleeps are taken for waits for a CPU, those of threads that the kernel moves meanwhile",
            any_of: &[Attach::tp_btf("thread_moved", MOVE, with_storage)],
        },
        Hook {
            name: "sched_process_fork",
            required: false,
            lost: "threads are followed from the next reading on",
            any_of: &by_store("sched_process_fork", "thread_new", "thread_new_table"),
        },
        Hook {
            name: "sched_process_exit",
            required: true,
            lost: "what threads used is lost with their end",
            any_of: &by_store("sched_process_exit", "thread_end", "thread_end_table"),
        },
    ],
    maps: &[],
};

/// The two ways of a hook whose thread states live on the tasks or in a table.
const fn by_store(name: &'static str, storage: &'static str, table: &'static str) -> [Attach; 2] {
    const WITH: Condition = with_storage;
    const WITHOUT: Condition = without_storage;
    [
        Attach::tp_btf(storage, name, WITH),
        Attach::tp_btf(table, name, WITHOUT),
    ]
}

/// Kernel 5.12 and later.
pub(super) fn with_storage(kernel: &Kernel) -> Result<(), String> {
    kernel.has_task_times()?;
    if kernel.has_task_storage() {
        Ok(())
    } else {
        Err("programs can't keep states on tasks (kernel 5.12)".to_owned())
    }
}

/// Kernels before 5.12.
pub(super) fn without_storage(kernel: &Kernel) -> Result<(), String> {
    kernel.has_task_times()?;
    if kernel.has_task_storage() {
        Err("only used where states can't be kept on tasks".to_owned())
    } else {
        Ok(())
    }
}
