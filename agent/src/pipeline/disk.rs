//! Block I/O out of the kernel's maps.

mod devices;

use std::{collections::HashSet, path::Path, time::SystemTime};

use aya::Ebpf;
use sonde_common::event::block::{DeviceKey, ErrorKey, Latency, Owner, Pending, Usage, UsageKey};

use self::devices::Disks;
use super::observer::Observer;
use crate::{
    aggregate::{
        block::{DEVICE_LATENCY, QUEUE_LATENCY, REQUEUES, Reading, of_device},
        log2,
    },
    clock::Clock,
    enrich::charge::{CgroupId, Charges},
    kernel::map,
    metric::{Collector, Value},
};

const REQUESTS: &str = "BLOCK_REQUESTS";
const LATENCY: &str = "BLOCK_LATENCY";
const USAGE: &str = "BLOCK_USAGE";
const ERRORS: &str = "BLOCK_ERRORS";

/// Readings in which nothing came to an entry, after which that of a cgroup is removed, and that of
/// a process that has ended.
const CGROUP_IDLE: u32 = 60;
const ENDED_IDLE: u32 = 2;

/// Reads block I/O, and removes what is over.
#[derive(Debug)]
pub(super) struct BlockReader {
    disks: Disks,
    charges: Charges,
    latencies: Vec<(DeviceKey, Latency)>,
}

impl BlockReader {
    pub(super) fn new(sysfs: &Path) -> Self {
        Self {
            disks: Disks::new(sysfs),
            charges: Charges::new(sysfs),
            latencies: Vec::new(),
        }
    }

    /// Brings the sums up to now; how many entries each map held.
    pub(super) fn read(
        &mut self,
        ebpf: &mut Ebpf,
        observer: &mut Observer,
    ) -> Result<[(&'static str, usize); 4], map::Error> {
        let time = SystemTime::now();
        self.latencies = map::entries(ebpf, LATENCY)?;
        let usage: Vec<(UsageKey, Usage)> = map::entries(ebpf, USAGE)?;
        let errors: Vec<(ErrorKey, u64)> = map::entries(ebpf, ERRORS)?;
        // After the sums: a request that ends meanwhile is missed until the next reading, and not
        // counted twice.
        let pending = map::entries::<u64, Pending>(ebpf, REQUESTS)?;
        let filled = [
            (LATENCY, self.latencies.len()),
            (USAGE, usage.len()),
            (ERRORS, errors.len()),
            (REQUESTS, pending.len()),
        ];
        let devices = self.latencies.iter().map(|(of, _)| of.device);
        let devices = devices.chain(usage.iter().map(|(key, _)| key.of.device));
        self.disks.refresh(devices.collect());
        let now = Clock::monotonic_now().map_err(|source| map::Error::Read {
            name: REQUESTS,
            source: source.into(),
        })?;
        let mut pending: Vec<Pending> = pending.into_iter().map(|(_, pending)| pending).collect();
        self.disks.leave_out_ended(&mut pending, now);
        let reading = Reading {
            time,
            now,
            usage: &usage,
            errors: &errors,
            pending: &pending,
        };
        self.charges.refresh();
        let (charges, processes) = (&mut self.charges, &mut observer.processes);
        observer.blocks.fold(&reading, |owner: &Owner| {
            if owner.tgid != 0 {
                return processes.owner(owner.tgid);
            }
            let (hierarchy, id) = (owner.hierarchy, owner.cgroup);
            charges.owner(CgroupId { hierarchy, id }, processes)
        });
        remove(ebpf, observer, &errors, &pending)?;
        Ok(filled)
    }

    /// Adds all series.
    pub(super) fn collect(&self, observer: &Observer, collector: &mut Collector) {
        for (of, latency) in &self.latencies {
            let attributes = || of_device(*of, |device| self.disks.name(device));
            for (descriptor, times) in [
                (&DEVICE_LATENCY, &latency.device),
                (&QUEUE_LATENCY, &latency.queue),
            ] {
                if let Some(histogram) = log2::histogram(times, &log2::FINE) {
                    collector.push(descriptor, attributes(), Value::Histogram(histogram));
                }
            }
            if latency.device.count > 0 || latency.requeues > 0 {
                collector.push(&REQUEUES, attributes(), Value::Integer(latency.requeues));
            }
        }
        observer
            .blocks
            .collect(collector, |device| self.disks.name(device));
    }
}

/// Removes entries to which nothing comes any more: were something to come all the same, it would
/// count from 0.
fn remove(
    ebpf: &mut Ebpf,
    observer: &mut Observer,
    errors: &[(ErrorKey, u64)],
    pending: &[Pending],
) -> Result<(), map::Error> {
    let under_way: HashSet<UsageKey> = pending.iter().map(|pending| pending.key).collect();
    let is_over = |key: &UsageKey, idle: u32| match key.owner.tgid {
        0 => idle >= CGROUP_IDLE && key.owner != Owner::KERNEL,
        tgid => idle >= ENDED_IDLE && !observer.processes.is_live(tgid),
    };
    let gone: HashSet<UsageKey> = observer
        .blocks
        .idle()
        .filter(|(key, idle)| is_over(key, *idle) && !under_way.contains(key))
        .map(|(key, _)| *key)
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    map::remove::<UsageKey, Usage>(ebpf, USAGE, gone.iter().copied())?;
    let failed = errors.iter().map(|(key, _)| *key);
    let failed = failed.filter(|key| gone.contains(&key.usage));
    map::remove::<ErrorKey, u64>(ebpf, ERRORS, failed)?;
    observer.blocks.deleted(|key| gone.contains(key));
    Ok(())
}
