//! The metrics of what services use.

use crate::{
    metric::{Descriptor, Unit},
    resource::Signal,
};

/// Time on a CPU.
pub const CPU: Descriptor = Descriptor::counter(
    "process.cpu.time",
    "CPU time of a service's processes, by mode (task_struct se.sum_exec_runtime, shared out by utime and stime)",
    Unit::Seconds,
);
/// The same as a share.
pub(super) const CPU_UTILIZATION: Descriptor = Descriptor::gauge(
    "process.cpu.utilization",
    "Share of the time of all logical CPUs that a service's processes used since the last snapshot, by mode (process.cpu.time)",
    Unit::Ratio,
);
/// Resident memory.
pub const MEMORY: Descriptor = Descriptor::up_down_counter(
    "process.memory.usage",
    "Resident memory of a service's processes; what they share counts for each (mm_struct rss_stat)",
    Unit::Bytes,
);
/// Address space.
pub const VIRTUAL: Descriptor = Descriptor::up_down_counter(
    "process.memory.virtual",
    "Address space of a service's processes (mm_struct total_vm)",
    Unit::Bytes,
);
/// Threads.
pub const THREADS: Descriptor = Descriptor::up_down_counter(
    "process.thread.count",
    "Threads of a service's processes (signal_struct nr_threads)",
    Unit::Count("{thread}"),
);
/// Open descriptors.
pub const DESCRIPTORS_OPEN: Descriptor = Descriptor::up_down_counter(
    "process.unix.file_descriptor.count",
    "Open file descriptors of a service's processes (fdtable open_fds)",
    Unit::Count("{file_descriptor}"),
);
/// Age.
pub const UPTIME: Descriptor = Descriptor::gauge(
    "process.uptime",
    "Time since the oldest of a service's processes started",
    Unit::Seconds,
);
/// Context switches.
pub(super) const CONTEXT_SWITCHES: Descriptor = Descriptor::counter(
    "process.context_switches",
    "Times that threads of a service left their CPU, to sleep or because they were made to (task_struct nvcsw, nivcsw)",
    Unit::Count("{context_switch}"),
);
/// Page faults.
pub(super) const FAULTS: Descriptor = Descriptor::counter(
    "process.paging.faults",
    "Page faults of a service's processes, with I/O and without (task_struct maj_flt, min_flt)",
    Unit::Count("{fault}"),
);
/// Bytes from and to storage.
pub(super) const DISK_IO: Descriptor = Descriptor::counter(
    "process.disk.io",
    "Bytes that a service made storage read, and that it wrote or made dirty in the page cache (task_struct ioac)",
    Unit::Bytes,
);
/// Bytes of UDP.
pub(super) const UDP_IO: Descriptor = Descriptor::counter(
    "udp.io",
    "Payload bytes of the datagrams that a service has sent (transmit) and received, absent where there are none (sock_send_length, sock_recv_length; kernel 6.3)",
    Unit::Bytes,
);
/// Where the time of threads went.
pub(super) const THREAD_TIME: Descriptor = Descriptor::counter(
    "process.thread.time",
    "Time of a service's threads: on a CPU, waiting for one (run_queue), asleep for storage (disk), for \
     sockets and polled descriptors (network), for a futex (lock), or for anything else (other); adds up to \
     the time for which the threads were there",
    Unit::Seconds,
);
/// Waits for a CPU.
pub(super) const RUN_QUEUE_LATENCY: Descriptor = Descriptor::histogram(
    "process.run_queue.latency",
    "Time that a service's threads waited for a CPU once they were runnable (task_struct sched_info.run_delay between two switches)",
    Unit::Seconds,
);
/// Waits for a CPU of all threads.
pub(super) const HOST_RUN_QUEUE_LATENCY: Descriptor = Descriptor::histogram(
    "system.cpu.run_queue.latency",
    "Time that threads waited for a CPU once they were runnable (task_struct sched_info.run_delay between two switches)",
    Unit::Seconds,
);

/// All of them, for the reference.
pub const DESCRIPTORS: &[&Descriptor] = &[
    &CPU,
    &CPU_UTILIZATION,
    &MEMORY,
    &VIRTUAL,
    &THREADS,
    &DESCRIPTORS_OPEN,
    &UPTIME,
    &CONTEXT_SWITCHES,
    &FAULTS,
    &DISK_IO,
    &UDP_IO,
    &THREAD_TIME,
    &RUN_QUEUE_LATENCY,
    &HOST_RUN_QUEUE_LATENCY,
];

/// What makes others wait.
pub(super) static RUNNABLE: Signal = Signal {
    name: "runnable_length",
    help: "Mean number of the service's threads that had a CPU or waited for one since the last snapshot: its part in the demand",
};
/// What waits.
pub(super) static WAITING: Signal = Signal {
    name: "waiting_length",
    help: "Mean number of the service's threads that waited for a CPU since the last snapshot",
};
/// What waits for storage.
pub(super) static BLOCKED: Signal = Signal {
    name: "blocked_length",
    help: "Mean number of the service's threads that slept for storage since the last snapshot",
};
/// Faults that wait for storage.
pub(super) static MAJOR_FAULTS: Signal = Signal {
    name: "major_fault_rate",
    help: "Page faults of the service for which something had to be read, each second",
};
/// How near a process is to its limit.
pub(super) static DESCRIPTOR_SHARE: Signal = Signal {
    name: "limit_share",
    help: "Open descriptors of that process of the service that is nearest to its own limit (RLIMIT_NOFILE), of the limit",
};

/// Resource and signal of each kind of point in `use.saturation.by_service`, for the reference.
pub const SIGNALS: &[(&str, &Signal)] = &[
    ("run_queue", &RUNNABLE),
    ("run_queue", &WAITING),
    ("disk", &BLOCKED),
    ("memory", &MAJOR_FAULTS),
    ("file_descriptors", &DESCRIPTOR_SHARE),
];
