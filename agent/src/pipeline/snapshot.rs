//! What a snapshot is made of, in its order.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use sonde_common::event::tcp::AcceptQueue;

use super::{
    counts::SyscallReader,
    disk::BlockReader,
    drops::{DROPS, DropReader},
    observer::Observer,
};
use crate::{
    aggregate::{cardinality::collect_usage, network::NetworkIo, usage::Reading},
    clock::Clock,
    kernel::{attach::Programs, map, ring::Ring, sweep},
    metric::{Collector, Descriptor, Family, Snapshot},
    probe::{block, drop, sched, syscall, tcp},
    selfmon,
};

/// Metrics that are told as the kernel side counts them.
pub const DESCRIPTORS: &[&Descriptor] = &[&DROPS];

/// The kernel side, loaded, with the reading end of its ring.
pub(super) struct Kernel {
    pub(super) programs: Programs,
    pub(super) ring: Ring,
    pub(super) syscalls: SyscallReader,
    pub(super) blocks: BlockReader,
    pub(super) drops: DropReader,
    pub(super) detached: bool,
}

impl Kernel {
    /// Whether a program was attached and, for one that the agent runs, still can be run.
    fn has(&self, program: &str) -> bool {
        self.programs.is_attached(program) && !(self.detached && program.contains("_sweep"))
    }

    /// Detaches the programs: nothing new comes after that, what they counted stays.
    pub(super) fn detach(&mut self, observer: &mut Observer) {
        self.read(observer);
        self.programs.detach();
        self.detached = true;
    }

    /// Reads what the ring holds; how many records that were.
    pub(super) fn drain(&mut self, limit: usize, observer: &mut Observer) -> usize {
        self.ring.drain(limit, |event| observer.event(event))
    }

    /// Brings everything that is read rather than told up to now: open connections, system call
    /// counts, block I/O. How many entries the maps held that were read whole.
    fn read(&mut self, observer: &mut Observer) -> Vec<(&'static str, usize)> {
        let mut filled = Vec::new();
        if self.has("tcp_sweep") {
            match sweep::storage(self.programs.ebpf()) {
                Ok(totals) => observer.open_connections(&totals),
                Err(error) => tracing::warn!(%error, "open connections are not counted"),
            }
        } else if self.has("tcp_state_table") {
            match sweep::table(self.programs.ebpf()) {
                Ok(table) => {
                    filled.push((sweep::TABLE, table.entries));
                    observer.open_connections(&table.open);
                }
                Err(error) => tracing::warn!(%error, "open connections are not counted"),
            }
        }
        self.read_tasks(observer);
        if self.has("tcp_listener_sweep")
            && let Some(queues) = report("accept queues", self.accept_queues())
        {
            filled.push((sweep::LISTENERS, queues.0.len()));
            observer.accept_queues(&queues.0, queues.1);
        }
        if self.programs.is_served(syscall::EXIT) {
            let result = self.syscalls.read(self.programs.ebpf_mut(), observer);
            filled.extend(report("system calls", result).into_iter().flatten());
        }
        if self.programs.is_served(block::ISSUE) {
            let result = self.blocks.read(self.programs.ebpf_mut(), observer);
            filled.extend(report("block I/O", result).into_iter().flatten());
        }
        filled
    }

    fn read_tasks(&self, observer: &mut Observer) {
        let Some(program) = sched::SWEEPS.into_iter().find(|program| self.has(program)) else {
            return;
        };
        let mut reading = Reading::default();
        let result = sweep::tasks(self.programs.ebpf(), program, |task, process| {
            reading.add(task, process);
        });
        if report("tasks", result).is_some() {
            observer.tasks(&reading, self.programs.is_served(sched::SWITCH));
        }
    }

    /// The accept queues, and when that was, `CLOCK_MONOTONIC` in nanoseconds.
    fn accept_queues(&self) -> anyhow::Result<(Vec<AcceptQueue>, u64)> {
        let queues = sweep::accept_queues(self.programs.ebpf())?;
        Ok((queues, Clock::monotonic_now()?))
    }

    fn collect(&self, collector: &mut Collector) -> Result<(), map::Error> {
        let ebpf = self.programs.ebpf();
        selfmon::collect_programs(&self.programs, collector);
        selfmon::collect_ring(ebpf, &self.ring, collector)
    }
}

fn report<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Option<T> {
    result
        .inspect_err(|error| tracing::warn!(%error, "{what}: can't be read"))
        .ok()
}

/// Makes the snapshot: first brings the observer up to now, then writes it all down.
pub(super) fn take(
    kernel: Option<&mut Kernel>,
    observer: &mut Observer,
    resources: Vec<Family>,
    start: SystemTime,
    extra: &mut dyn FnMut(&mut Collector),
) -> Snapshot {
    let began = Instant::now();
    let mut collector = Collector::new(Arc::clone(&observer.host), start);
    selfmon::collect_build(&mut collector);
    let mut counts_tcp = false;
    if let Some(kernel) = kernel {
        counts_tcp = kernel.programs.serves(&tcp::FAMILY);
        let filled = kernel.read(observer);
        let ebpf = kernel.programs.ebpf();
        let fill = selfmon::collect_fill(ebpf, filled, &mut collector);
        report("fill of kernel maps", fill);
        report("kernel maps", kernel.collect(&mut collector));
        kernel.blocks.collect(observer, &mut collector);
        if kernel.programs.is_attached(drop::PROGRAM) {
            let drops = kernel.drops.collect(kernel.programs.ebpf(), &mut collector);
            report("dropped packets", drops);
        }
    }
    observer.requests_in_flight();
    observer.red.collect(&mut collector);
    observer.calls.collect(&mut collector);
    observer.tcp.collect(&mut collector);
    observer.accept_queues.collect(&mut collector);
    observer.syscalls.collect(&mut collector);
    observer.lifecycle.collect(&mut collector);
    observer.usage.collect(&mut collector);
    // UDP alone would be taken for all.
    if counts_tcp {
        let mut io = NetworkIo::default();
        observer.tcp.add_io(&mut io, &collector);
        observer.usage.add_io(&mut io, &collector);
        io.collect(&mut collector);
    }
    selfmon::collect_usage(&observer.usage, &mut collector);
    if !observer.usage.is_known() {
        selfmon::process::collect(start, &mut collector);
    }
    observer.name_uncovered();
    observer.uncovered.collect(&mut collector);
    if let Some(tls) = &observer.tls {
        tls.collect(&mut collector);
    }
    let usages = observer
        .red
        .usage()
        .into_iter()
        .chain(observer.calls.usage())
        .chain(observer.tcp.usage())
        .chain(observer.accept_queues.usage())
        .chain(observer.syscalls.usage())
        .chain(observer.blocks.usage())
        .chain(observer.lifecycle.usage())
        .chain([observer.usage.usage()])
        .chain(observer.uncovered.usage());
    collect_usage(usages, &mut collector);
    let in_flight = observer.connections.in_flight();
    selfmon::collect_http(observer.connections.counters(), in_flight, &mut collector);
    selfmon::entries(
        "http_connections",
        observer.connections.len(),
        &mut collector,
    );
    selfmon::collect_processes(&observer.processes.counters(), &mut collector);
    if let Some(kubernetes) = &observer.kubernetes {
        kubernetes.collect(&mut collector);
    }
    selfmon::collect_renames(&observer.renames, observer.renames_untold, &mut collector);
    collector.rename(&observer.renames);
    collector.absorb(resources);
    extra(&mut collector);
    tracing::debug!(duration = ?began.elapsed(), "snapshot");
    collector.finish(SystemTime::now())
}
