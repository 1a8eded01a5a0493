//! What a snapshot is made of, in its order.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use sonde_common::{event::block::LatencyKey, hist::Log2};

use super::{counts::SyscallReader, observer::Observer};
use crate::{
    aggregate::{cardinality::collect_usage, log2},
    kernel::{attach::Programs, map, ring::Ring, sweep},
    metric::{Attributes, Collector, Descriptor, Family, Snapshot, Unit, Value},
    probe::{block, syscall},
    selfmon,
};

/// Time from runnable to running.
pub const RUN_QUEUE_LATENCY: Descriptor = Descriptor::histogram(
    "system.cpu.run_queue.latency",
    "Time that tasks waited for a CPU once they were runnable (tracepoints sched_wakeup, sched_switch)",
    Unit::Seconds,
);

/// Time from issue to completion.
pub const DISK_LATENCY: Descriptor = Descriptor::histogram(
    "system.disk.operation.latency",
    "Time that block requests spent at the device, from issue to completion (tracepoints block_rq_issue, block_rq_complete)",
    Unit::Seconds,
);

/// Metrics that the kernel side's histograms give.
pub const DESCRIPTORS: &[&Descriptor] = &[&RUN_QUEUE_LATENCY, &DISK_LATENCY];

const BLOCK_ISSUED: &str = "BLOCK_ISSUED";
const BLOCK_LATENCY: &str = "BLOCK_LATENCY";

/// The kernel side, loaded, with the reading end of its ring.
pub(super) struct Kernel {
    pub(super) programs: Programs,
    pub(super) ring: Ring,
    pub(super) syscalls: SyscallReader,
    pub(super) detached: bool,
}

impl Kernel {
    /// Whether a program was attached and, for one that the agent runs, still can be run.
    fn has(&self, program: &str) -> bool {
        self.programs.is_attached(program) && !(self.detached && program.ends_with("_sweep"))
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
    /// counts. How many entries the maps held that were read whole.
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
        if self.programs.is_served(syscall::EXIT) {
            let result = self.syscalls.read(self.programs.ebpf_mut(), observer);
            filled.extend(report("system calls", result).into_iter().flatten());
        }
        filled
    }

    fn collect(&self, collector: &mut Collector) -> Result<(), map::Error> {
        let ebpf = self.programs.ebpf();
        selfmon::collect_programs(&self.programs, collector);
        selfmon::collect_ring(ebpf, &self.ring, collector)?;
        self.collect_histograms(collector)
    }

    /// Adds what the kernel side has told apart by size alone, and the fill of its maps.
    fn collect_histograms(&self, collector: &mut Collector) -> Result<(), map::Error> {
        let ebpf = self.programs.ebpf();
        let mut waits = Log2::EMPTY;
        for copies in map::per_cpu::<Log2>(ebpf, "RUN_QUEUE_LATENCY", 1)? {
            copies.iter().for_each(|copy| waits.merge(copy));
        }
        if let Some(histogram) = log2::histogram(&waits, &log2::FINE) {
            let value = Value::Histogram(histogram);
            collector.push(&RUN_QUEUE_LATENCY, Attributes::none(), value);
        }
        if !self.programs.is_served(block::ISSUE) {
            return Ok(());
        }
        let latencies = map::entries::<LatencyKey, Log2>(ebpf, BLOCK_LATENCY)?;
        let told = latencies.len();
        for (key, latency) in latencies {
            if let Some(histogram) = log2::histogram(&latency, &log2::FINE) {
                collector.push(
                    &DISK_LATENCY,
                    super::disk::attributes(key),
                    Value::Histogram(histogram),
                );
            }
        }
        // In flight at the devices: few.
        let issued = map::count(ebpf, BLOCK_ISSUED)?;
        let filled = [(BLOCK_LATENCY, told), (BLOCK_ISSUED, issued)];
        selfmon::collect_fill(ebpf, filled, collector)
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
    selfmon::process::collect(start, &mut collector);
    if let Some(kernel) = kernel {
        let filled = kernel.read(observer);
        let ebpf = kernel.programs.ebpf();
        let fill = selfmon::collect_fill(ebpf, filled, &mut collector);
        report("fill of kernel maps", fill);
        report("kernel maps", kernel.collect(&mut collector));
    }
    observer.requests_in_flight();
    observer.red.collect(&mut collector);
    observer.calls.collect(&mut collector);
    observer.tcp.collect(&mut collector);
    observer.syscalls.collect(&mut collector);
    observer.lifecycle.collect(&mut collector);
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
        .chain(observer.syscalls.usage())
        .chain(observer.lifecycle.usage())
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
    collector.absorb(resources);
    extra(&mut collector);
    tracing::debug!(duration = ?began.elapsed(), "snapshot");
    collector.finish(SystemTime::now())
}
