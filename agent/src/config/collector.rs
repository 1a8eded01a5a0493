//! The collectors that can be switched on and off: one line each.

/// A source of metrics with a switch of its own: a probe family, a USE resource, or both under one
/// name where they tell of the same thing (`tcp`).
#[derive(Debug)]
pub struct Collector {
    /// Name in `--collector.NAME` and in the labels of the agent's own metrics.
    pub name: &'static str,
    /// What it collects; one line without a final dot.
    pub help: &'static str,
    /// Whether it runs when nothing is said.
    pub default_on: bool,
    /// Its switch: `collector.NAME`.
    pub switch: &'static str,
    /// The flag that switches it off, without dashes: `no-collector.NAME`.
    pub off_switch: &'static str,
}

macro_rules! collectors {
    ($($name:literal, $default_on:literal, $help:literal;)+) => {
        /// Every collector, probe families first.
        pub const COLLECTORS: &[Collector] = &[$(Collector {
            name: $name,
            help: $help,
            default_on: $default_on,
            switch: concat!("collector.", $name),
            off_switch: concat!("no-collector.", $name),
        },)+];
    };
}

collectors! {
    "process", true, "Processes: starts, exits with code or signal, OOM kills";
    "syscall", true, "Syscalls per service: counts, errors, durations";
    "tcp", true, "TCP: connections, failures, retransmits, resets, round trips; the host's stack";
    "http", true, "HTTP/1.x requests, server and client side: RED metrics and spans";
    "tls", true, "Requests inside TLS: OpenSSL, BoringSSL, GnuTLS, Go's crypto/tls";
    "sched", true, "What services use: CPU time, waiting for one, sleep and what for, memory, faults, I/O";
    "block", true, "Block I/O: latency, and bytes, time and errors per service";
    "drop", true, "Packets that the kernel drops, by its reason";
    "cpu", true, "CPU time, pressure and throttling";
    "run_queue", true, "Runnable tasks and the time they wait";
    "memory", true, "Memory, pressure, OOM kills, ECC errors";
    "swap", true, "Swap space and traffic";
    "disk", true, "Disks: busy time, queues, errors";
    "filesystem", true, "Filesystems: space and inodes";
    "network", true, "Network interfaces: traffic, drops, errors, bonds; the IP layer";
    "udp", true, "UDP: bytes per service; the host's queues, memory, what no buffer had room for";
    "file_descriptors", true, "Open files against the kernel's limit";
    "processes", true, "Tasks against pid_max and threads-max";
    "conntrack", true, "Connection tracking table";
    "cgroup", true, "Containers, pods and services: CPU quota, memory, threads, pressure, disk traffic";
    "thermal", true, "Temperatures against their limits, cooling";
    "power", true, "Energy and power of CPUs and other parts against their caps, batteries";
    "gpu", true, "NVIDIA GPUs, where their driver is loaded";
    "clock", true, "The host's clock: synchronisation, source, uptime";
}

/// The collector called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Collector> {
    COLLECTORS.iter().find(|collector| collector.name == name)
}

/// Which collectors run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collectors([bool; COLLECTORS.len()]);

impl Collectors {
    /// Whether the collector called `name` runs; a name without a switch never does.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.enabled().any(|collector| collector.name == name)
    }

    /// Those that run.
    pub fn enabled(&self) -> impl Iterator<Item = &'static Collector> {
        let switched = COLLECTORS.iter().zip(self.0);
        switched.filter_map(|(collector, on)| on.then_some(collector))
    }

    /// Switches the collector called `name`.
    pub(super) fn switch(&mut self, name: &str, on: bool) {
        for (collector, slot) in COLLECTORS.iter().zip(&mut self.0) {
            if collector.name == name {
                *slot = on;
            }
        }
    }
}

impl Default for Collectors {
    fn default() -> Self {
        let mut on = [false; COLLECTORS.len()];
        for (collector, slot) in COLLECTORS.iter().zip(&mut on) {
            *slot = collector.default_on;
        }
        Self(on)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_name_stands_once() {
        let names: HashSet<_> = COLLECTORS.iter().map(|collector| collector.name).collect();
        assert_eq!(names.len(), COLLECTORS.len());
    }

    #[test]
    fn a_switch_moves_one_collector() {
        let mut collectors = Collectors::default();
        collectors.switch("tcp", false);
        assert!(!collectors.is_on("tcp") && collectors.is_on("http"));
        assert_eq!(collectors.enabled().count(), COLLECTORS.len() - 1);
        assert!(!collectors.is_on("no such thing"));
        assert!(find("conntrack").is_some() && find("no such thing").is_none());
    }

    #[test]
    fn every_switch_has_something_to_switch_and_the_other_way_round() {
        let parts: HashSet<_> = crate::probe::FAMILIES
            .iter()
            .map(|family| family.name)
            .chain(crate::resource::names())
            .collect();
        let switches: HashSet<_> = COLLECTORS.iter().map(|collector| collector.name).collect();
        assert_eq!(parts, switches);
    }
}
