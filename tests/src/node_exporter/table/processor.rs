//! CPU, run queue, pressure.

use crate::node_exporter::row::{Collector, Labels, Pair, Row};

const CPU: Labels = &[("cpu", "cpu_logical_number")];

macro_rules! mode {
    ($theirs:literal, $ours:literal) => {
        Pair::of("cpu", "system_cpu_time_seconds_total")
            .theirs(&[("mode", $theirs)])
            .ours(&[("cpu_mode", $ours)])
            .join(CPU)
    };
}

macro_rules! guest {
    ($mode:literal) => {
        Pair::of("cpu", "system_cpu_guest_time_seconds_total")
            .theirs(&[("mode", $mode)])
            .ours(&[("cpu_mode", $mode)])
            .join(CPU)
    };
}

macro_rules! stall {
    ($resource:literal, $reader:literal, $kind:literal) => {
        &[Pair::of($reader, "system_pressure_stall_seconds_total")
            .ours(&[("resource", $resource), ("kind", $kind)])]
    };
}

macro_rules! of_stat {
    ($resource:literal, $metric:literal) => {
        &[Pair::of($resource, $metric)]
    };
}

pub(super) const COLLECTORS: &[Collector] = &[
    Collector {
        name: "cpu",
        rows: &[
            Row::counter(
                "node_cpu_seconds_total",
                &[
                    mode!("user", "user"),
                    mode!("nice", "nice"),
                    mode!("system", "system"),
                    mode!("idle", "idle"),
                    mode!("iowait", "iowait"),
                    mode!("irq", "interrupt"),
                    mode!("softirq", "softirq"),
                    mode!("steal", "steal"),
                ],
                "`mode=\"irq\"` is `cpu_mode=\"interrupt\"`",
            ),
            Row::counter(
                "node_cpu_guest_seconds_total",
                &[guest!("user"), guest!("nice")],
                "",
            ),
            Row::other(
                "node_cpu_core_throttles_total",
                &["use_errors_total"],
                "`signal=\"thermal_throttle\"`; for each logical CPU, where theirs has a core once",
            ),
            Row::other(
                "node_cpu_package_throttles_total",
                &["use_errors_total"],
                "`signal=\"package_thermal_throttle\"`; for each logical CPU, where theirs has a package once",
            ),
        ],
    },
    Collector {
        name: "cpufreq",
        rows: &[
            Row::moving(
                "node_cpu_scaling_frequency_hertz",
                &[Pair::of("cpu", "system_cpu_frequency_hertz").join(CPU)],
                "",
            ),
            Row::stable(
                "node_cpu_scaling_frequency_max_hertz",
                &[Pair::of("cpu", "system_cpu_frequency_max_hertz").join(CPU)],
                "",
            ),
            Row::no(
                "node_cpu_scaling_frequency_min_hertz",
                "a setting that nobody runs into",
            ),
            Row::no(
                "node_cpu_frequency_*",
                "`cpuinfo_*_freq`, what the hardware is built for: a constant",
            ),
        ],
    },
    Collector {
        name: "loadavg",
        rows: &[
            Row::moving(
                "node_load1",
                of_stat!("run_queue", "system_cpu_load_average_1m"),
                "",
            ),
            Row::moving(
                "node_load5",
                of_stat!("run_queue", "system_cpu_load_average_5m"),
                "",
            ),
            Row::moving(
                "node_load15",
                of_stat!("run_queue", "system_cpu_load_average_15m"),
                "",
            ),
        ],
    },
    Collector {
        name: "pressure",
        rows: &[
            Row::counter(
                "node_pressure_cpu_waiting_seconds_total",
                stall!("cpu", "cpu", "some"),
                "",
            ),
            Row::counter(
                "node_pressure_io_waiting_seconds_total",
                stall!("io", "disk", "some"),
                "",
            ),
            Row::counter(
                "node_pressure_io_stalled_seconds_total",
                stall!("io", "disk", "full"),
                "",
            ),
            Row::counter(
                "node_pressure_memory_waiting_seconds_total",
                stall!("memory", "memory", "some"),
                "",
            ),
            Row::counter(
                "node_pressure_memory_stalled_seconds_total",
                stall!("memory", "memory", "full"),
                "",
            ),
        ],
    },
    Collector {
        name: "schedstat",
        rows: &[
            Row::counter(
                "node_schedstat_waiting_seconds_total",
                &[Pair::of("run_queue", "system_cpu_run_queue_wait_time_seconds_total").join(CPU)],
                "and `system_cpu_run_queue_latency_seconds`, the distribution, which needs no schedstat",
            ),
            Row::other(
                "node_schedstat_running_seconds_total",
                &["system_cpu_time_seconds_total"],
                "the time that a CPU wasn't idle, by mode",
            ),
            Row::other(
                "node_schedstat_timeslices_total",
                &["system_cpu_context_switches_total"],
                "of all CPUs together, and from idle as well",
            ),
        ],
    },
    Collector {
        name: "stat",
        rows: &[
            Row::counter(
                "node_context_switches_total",
                of_stat!("run_queue", "system_cpu_context_switches_total"),
                "",
            ),
            Row::counter(
                "node_forks_total",
                of_stat!("processes", "system_process_created_total"),
                "threads count in both",
            ),
            Row::counter(
                "node_intr_total",
                of_stat!("cpu", "system_cpu_interrupts_total"),
                "and `system_cpu_softirqs_total` by kind",
            ),
            Row::moving(
                "node_procs_running",
                of_stat!("run_queue", "system_cpu_run_queue_length"),
                "",
            ),
            Row::moving(
                "node_procs_blocked",
                of_stat!("run_queue", "system_cpu_run_queue_blocked"),
                "",
            ),
            Row::other(
                "node_boot_time_seconds",
                &["system_uptime_seconds"],
                "the time since then; in OTLP it is the start of every counter of the kernel's",
            ),
        ],
    },
];
