//! What is told of cgroups. Where the conventions have a name for containers, containers have it,
//! and all other cgroups its twin below `system.cgroup`.

use super::super::method::{Signal, amount, counter, gauge};
use crate::metric::{Descriptor, Unit};

/// The same measurement of a container and of any other cgroup.
pub(super) struct Twin {
    pub(super) container: &'static Descriptor,
    pub(super) cgroup: &'static Descriptor,
}

macro_rules! twin {
    ($kind:ident, $container:literal, $cgroup:literal, $help:literal, $unit:expr) => {{
        static CONTAINER: Descriptor = $kind($container, $help, $unit);
        static CGROUP: Descriptor = $kind(
            $cgroup,
            concat!($help, "; cgroups that are no container"),
            $unit,
        );
        Twin {
            container: &CONTAINER,
            cgroup: &CGROUP,
        }
    }};
}

pub(super) static VISIBLE: Descriptor = amount(
    "system.cgroup.visible",
    "Cgroups that are seen, whether told or not; with system.cgroup.scope=\"namespace\" the agent sees only the part of the tree that its own cgroup namespace shows (/sys/fs/cgroup)",
    Unit::Count("{cgroup}"),
);
pub(super) static CPU_TIME: Twin = twin!(
    counter,
    "container.cpu.time",
    "system.cgroup.cpu.time",
    "CPU time consumed, by mode (cpu.stat, user_usec and system_usec; v1: cpuacct.stat)",
    Unit::Seconds
);
pub(super) static CPU_LIMIT: Descriptor = gauge(
    "system.cgroup.cpu.limit",
    "CPUs' worth of time that the cgroup may use by its own quota (cpu.max; v1: cpu.cfs_quota_us over cpu.cfs_period_us)",
    Unit::Count("{cpu}"),
);
pub(super) static CPU_PERIODS: Descriptor = counter(
    "system.cgroup.cpu.periods",
    "Periods of the quota that have passed while the cgroup had work (cpu.stat, nr_periods)",
    Unit::Count("{period}"),
);
pub(super) static CPU_THROTTLED_PERIODS: Descriptor = counter(
    "system.cgroup.cpu.throttled.periods",
    "Periods in which the quota was used up (cpu.stat, nr_throttled)",
    Unit::Count("{period}"),
);
pub(super) static CPU_THROTTLED: Descriptor = counter(
    "system.cgroup.cpu.throttled.time",
    "Time for which the quota held the cgroup back, summed over the CPUs (cpu.stat, throttled_usec; v1: throttled_time)",
    Unit::Seconds,
);
pub(super) static MEMORY_USAGE: Twin = twin!(
    amount,
    "container.memory.usage",
    "system.cgroup.memory.usage",
    "Memory charged, page cache among it (memory.current; v1: memory.usage_in_bytes)",
    Unit::Bytes
);
pub(super) static MEMORY_WORKING_SET: Twin = twin!(
    amount,
    "container.memory.working_set",
    "system.cgroup.memory.working_set",
    "Usage without the page cache that was not used lately (memory.stat, inactive_file; v1: total_inactive_file)",
    Unit::Bytes
);
pub(super) static MEMORY_RSS: Twin = twin!(
    amount,
    "container.memory.rss",
    "system.cgroup.memory.rss",
    "Anonymous memory (memory.stat, anon; v1: total_rss)",
    Unit::Bytes
);
pub(super) static MEMORY_LIMIT: Descriptor = amount(
    "system.cgroup.memory.limit",
    "The lowest memory limit of the cgroup and those above it that are seen (memory.max; v1: memory.stat, hierarchical_memory_limit)",
    Unit::Bytes,
);
pub(super) static SWAP_USAGE: Descriptor = amount(
    "system.cgroup.paging.usage",
    "Swap space used (memory.swap.current; v1: memory.stat, total_swap)",
    Unit::Bytes,
);
pub(super) static FAULTS: Twin = twin!(
    counter,
    "container.paging.faults",
    "system.cgroup.paging.faults",
    "Page faults; major ones had to wait for storage (memory.stat, pgmajfault, and pgfault less these; v1: the same with total_)",
    Unit::Count("{fault}")
);
pub(super) static MEMORY_EVENTS: Descriptor = counter(
    "system.cgroup.memory.events",
    "Times the cgroup was throttled at memory.high (high), had to reclaim at the limit (max), could not (oom), and processes killed for it (oom_kill) (memory.events; v1: memory.failcnt for max, memory.oom_control)",
    Unit::Count("{event}"),
);
pub(super) static THREADS: Descriptor = amount(
    "system.cgroup.threads",
    "Processes and threads (pids.current)",
    Unit::Count("{thread}"),
);
pub(super) static THREAD_LIMIT: Descriptor = amount(
    "system.cgroup.thread.limit",
    "Most processes and threads by the cgroup's own limit (pids.max)",
    Unit::Count("{thread}"),
);
pub(super) static STALL: Descriptor = counter(
    "system.cgroup.pressure.stall",
    "Time in which some or all (full) tasks of the cgroup stood still for want of the resource ({cpu,memory,io}.pressure, total; cgroup2 only)",
    Unit::Seconds,
);
pub(super) static DISK_IO: Twin = twin!(
    counter,
    "container.disk.io",
    "system.cgroup.disk.io",
    "Bytes read and written by disk (io.stat; v1: blkio.throttle.io_service_bytes_recursive)",
    Unit::Bytes
);
pub(super) static DISK_OPERATIONS: Descriptor = counter(
    "system.cgroup.disk.operations",
    "Reads and writes by disk (io.stat; v1: blkio.throttle.io_serviced_recursive)",
    Unit::Count("{operation}"),
);

/// All of them, for the registration.
pub(super) static RAW: &[&Descriptor] = &[
    &VISIBLE,
    CPU_TIME.container,
    CPU_TIME.cgroup,
    &CPU_LIMIT,
    &CPU_PERIODS,
    &CPU_THROTTLED_PERIODS,
    &CPU_THROTTLED,
    MEMORY_USAGE.container,
    MEMORY_USAGE.cgroup,
    MEMORY_WORKING_SET.container,
    MEMORY_WORKING_SET.cgroup,
    MEMORY_RSS.container,
    MEMORY_RSS.cgroup,
    &MEMORY_LIMIT,
    &SWAP_USAGE,
    FAULTS.container,
    FAULTS.cgroup,
    &MEMORY_EVENTS,
    &THREADS,
    &THREAD_LIMIT,
    &STALL,
    DISK_IO.container,
    DISK_IO.cgroup,
    &DISK_OPERATIONS,
];

/// The limit in `use.utilization`: time used of the quota's.
pub(super) static CPU_QUOTA: Signal = Signal {
    name: "cpu_quota",
    help: "CPU time used of what the quota allows",
};
/// The limit in `use.utilization`: the working set against the effective limit.
pub(super) static MEMORY_LIMITED: Signal = Signal {
    name: "memory_limit",
    help: "Working set of the effective memory limit",
};
/// The limit in `use.utilization`: threads against `pids.max`.
pub(super) static THREAD_LIMITED: Signal = Signal {
    name: "thread_limit",
    help: "Threads of those that are allowed",
};

pub(super) static THROTTLED_PERIODS: Signal = Signal {
    name: "cpu_throttled_share",
    help: "Share of the quota's periods since the last snapshot in which it was used up (cpu.stat, nr_throttled over nr_periods)",
};
pub(super) static AT_MEMORY_LIMIT: Signal = Signal {
    name: "memory_limit_rate",
    help: "Times that memory had to be reclaimed since the limit was reached (memory.events, max; v1: memory.failcnt)",
};
pub(super) static FORK_REFUSALS: Signal = Signal {
    name: "fork_refused_rate",
    help: "Forks and clones that failed at the limit of threads (pids.events, max)",
};
pub(super) static CPU_SOME: Signal = Signal {
    name: "cpu_pressure_some_share",
    help: "Share of the time in which at least one task of the cgroup waited for a CPU (cpu.pressure, some total)",
};
pub(super) static MEMORY_SOME: Signal = Signal {
    name: "memory_pressure_some_share",
    help: "Share of the time in which at least one task of the cgroup waited for memory (memory.pressure, some total)",
};
pub(super) static MEMORY_FULL: Signal = Signal {
    name: "memory_pressure_full_share",
    help: "Share of the time in which every task of the cgroup that had work waited for memory (memory.pressure, full total)",
};
pub(super) static IO_SOME: Signal = Signal {
    name: "io_pressure_some_share",
    help: "Share of the time in which at least one task of the cgroup waited for I/O (io.pressure, some total)",
};
pub(super) static IO_FULL: Signal = Signal {
    name: "io_pressure_full_share",
    help: "Share of the time in which every task of the cgroup that had work waited for I/O (io.pressure, full total)",
};

pub(super) static SATURATION: &[&Signal] = &[
    &THROTTLED_PERIODS,
    &AT_MEMORY_LIMIT,
    &FORK_REFUSALS,
    &CPU_SOME,
    &MEMORY_SOME,
    &MEMORY_FULL,
    &IO_SOME,
    &IO_FULL,
];

pub(super) static OOM_KILL: Signal = Signal {
    name: "oom_kill",
    help: "Processes of the cgroup killed for want of memory, by its own limit or the host's (memory.events, oom_kill; v1: memory.oom_control)",
};
pub(super) static FORK_REFUSED: Signal = Signal {
    name: "fork_refused",
    help: "Forks and clones that failed at the limit of threads (pids.events, max)",
};

pub(super) static ERRORS: &[&Signal] = &[&OOM_KILL, &FORK_REFUSED];
