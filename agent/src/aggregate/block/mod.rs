//! Block I/O: the kernel's sums by owner to counters of services, and how many requests of each
//! service wait.

mod descriptors;
mod length;
mod status;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::SystemTime,
};

use sonde_common::event::block::{
    DeviceKey, ErrorKey, Operation, Owner, Pending, Usage as Sums, UsageKey,
};

pub use self::{
    descriptors::{
        DESCRIPTORS, DEVICE_LATENCY, DISK_ERRORS, ERRORS, IO, OF_DISKS, OPERATION_TIME, OPERATIONS,
        QUEUE_LATENCY, QUEUE_LENGTH, QUEUE_TIME, REQUEUES, SATURATION,
    },
    status::{Numbers, SIGNALS as ERROR_SIGNALS},
};

use self::length::Lengths;
use super::{
    cardinality::{Limits, Series, Slot, Table, Usage},
    service::Services,
};
use crate::{
    enrich::Renewed,
    metric::{Attributes, Collector, Resource, Value},
    resource::{ERRORS_BY_SERVICE, SATURATION_BY_SERVICE, USE_ERRORS, by_service},
};

/// What the kernel side had counted at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// When.
    pub time: SystemTime,
    /// The same on `CLOCK_MONOTONIC`, nanoseconds.
    pub now: u64,
    /// Running totals by owner.
    pub usage: &'a [(UsageKey, Sums)],
    /// Running totals of failures.
    pub errors: &'a [(ErrorKey, u64)],
    /// Requests under way, read after the totals.
    pub pending: &'a [Pending],
}

/// What was seen of one entry of the kernel's map.
#[derive(Debug, Default)]
struct Seen {
    highest: Sums,
    /// Readings since it last grew.
    idle: u32,
}

/// Disk, operation, status.
type Failure = (DeviceKey, u32);

/// The block I/O of all services.
///
/// The kernel's maps hold running totals by owner. What came to them since the last reading goes to
/// the service that the owner belongs to now, and stays there when owner and entry are gone.
#[derive(Debug)]
pub struct Blocks {
    numbers: Numbers,
    host: Arc<Resource>,
    services: Services,
    seen: HashMap<UsageKey, Seen>,
    seen_errors: HashMap<ErrorKey, u64>,
    io: Table<DeviceKey, Sums>,
    errors: Table<Failure, u64>,
    disk_errors: Table<Failure, u64>,
    lengths: Lengths,
}

impl Blocks {
    /// Nothing observed yet.
    #[must_use]
    pub fn new(limits: Limits, numbers: Numbers, host: Arc<Resource>) -> Self {
        Self {
            numbers,
            host,
            services: Services::new(limits.total),
            seen: HashMap::new(),
            seen_errors: HashMap::new(),
            io: Table::new("block.io", limits),
            errors: Table::new("block.errors", limits),
            disk_errors: Table::new("system.disk.errors", limits),
            lengths: Lengths::new(limits),
        }
    }

    /// Takes a reading. Entries may be missing, come twice, or show less than before: each request
    /// counts once. `resource` is asked whose the entries are that have grown.
    pub fn fold(
        &mut self,
        reading: &Reading<'_>,
        mut resource: impl FnMut(&Owner) -> Arc<Resource>,
    ) {
        for (key, total) in reading.usage {
            let seen = self.seen.entry(*key).or_default();
            let growth = raise(&mut seen.highest, total);
            if growth == Sums::EMPTY {
                seen.idle = seen.idle.saturating_add(1);
                continue;
            }
            seen.idle = 0;
            let service = self.services.id(&resource(&key.owner), || reading.time);
            let sums = self
                .io
                .observe_many(service, Some(key.of), growth.operations);
            add(sums, &growth);
            let spent = growth.queue_time.saturating_add(growth.device_time);
            self.lengths.ended(service, key.of.device, spent);
        }
        for pending in reading.pending.iter().filter(|one| is_counted(one)) {
            let owner = resource(&pending.key.owner);
            let service = self.services.id(&owner, || reading.time);
            let spent = reading.now.saturating_sub(pending.submitted);
            self.lengths
                .under_way(service, pending.key.of.device, spent);
        }
        self.lengths.finish(reading.now);
        self.fold_errors(reading, resource);
    }

    fn fold_errors(
        &mut self,
        reading: &Reading<'_>,
        mut resource: impl FnMut(&Owner) -> Arc<Resource>,
    ) {
        let host = self.services.id(&self.host, || reading.time);
        for (key, total) in reading.errors {
            let highest = self.seen_errors.entry(*key).or_default();
            let growth = total.saturating_sub(*highest);
            if growth == 0 {
                continue;
            }
            *highest = *total;
            let owner = resource(&key.usage.owner);
            let service = self.services.id(&owner, || reading.time);
            let failure = Some((key.usage.of, key.status));
            *self.errors.observe_many(service, failure, growth) += growth;
            *self.disk_errors.observe_many(host, failure, growth) += growth;
        }
    }

    /// The entries that were seen, each with the readings since it last grew.
    pub fn idle(&self) -> impl Iterator<Item = (&UsageKey, u32)> {
        self.seen.iter().map(|(key, seen)| (key, seen.idle))
    }

    /// Forgets the totals of entries that are deleted, so that they are counted from 0 when they
    /// come again.
    pub fn deleted(&mut self, gone: impl Fn(&UsageKey) -> bool) {
        self.seen.retain(|key, _| !gone(key));
        self.seen_errors.retain(|key, _| !gone(&key.usage));
    }

    /// Adds all series; `name` is asked for the names of disks.
    pub fn collect(&self, collector: &mut Collector, name: impl Fn(u32) -> Arc<str>) {
        for (slot, sums) in self.io.iter() {
            let mut series =
                Series::new(collector, &self.services, &slot, |of| of_device(of, &name));
            series.push(&IO, Value::Integer(sums.bytes));
            series.push(&OPERATIONS, Value::Integer(sums.operations));
            series.push(&QUEUE_TIME, seconds(sums.queue_time));
            series.push(&OPERATION_TIME, seconds(sums.device_time));
        }
        for (table, descriptor) in [(&self.errors, &ERRORS), (&self.disk_errors, &DISK_ERRORS)] {
            for (slot, count) in table.iter() {
                Series::new(collector, &self.services, &slot, |failure| {
                    self.of_failure(failure, &name)
                })
                .push(descriptor, Value::Integer(*count));
            }
        }
        self.collect_method(collector, name);
    }

    /// Adds what is told by the method.
    fn collect_method(&self, collector: &mut Collector, name: impl Fn(u32) -> Arc<str>) {
        for (slot, mean) in self.lengths.means.iter() {
            Series::new(collector, &self.services, &slot, |device| {
                by_service("disk", Some(&name(device)), &QUEUE_LENGTH)
            })
            .push(&SATURATION_BY_SERVICE, Value::Float(*mean));
        }
        for (table, descriptor) in [
            (&self.errors, &ERRORS_BY_SERVICE),
            (&self.disk_errors, &USE_ERRORS),
        ] {
            let mut sums: BTreeMap<Slot<(u32, &str)>, u64> = BTreeMap::new();
            for (slot, count) in table.iter() {
                let slot = slot.map(|(of, status)| (of.device, self.numbers.signal(status).name));
                *sums.entry(slot).or_default() += count;
            }
            for (slot, count) in sums {
                Series::new(collector, &self.services, &slot, |(device, signal)| {
                    Attributes::from([
                        ("resource", "disk".into()),
                        ("device", name(device).into()),
                        ("signal", signal.into()),
                    ])
                })
                .push(descriptor, Value::Integer(count));
            }
        }
    }

    fn of_failure(&self, (of, status): Failure, name: impl Fn(u32) -> Arc<str>) -> Attributes {
        let error = self.numbers.name(status);
        let of = of_device(of, name);
        let error = [("error.type", error.as_ref().into())];
        of.iter().cloned().chain(error).collect()
    }

    /// A service's resource has changed: its series go on under the new one.
    pub fn renew(&mut self, renewed: &Renewed) {
        self.services.renew(renewed);
    }

    /// Forgets the services that `keep` doesn't hold to: those without a process for a while.
    pub fn retain(&mut self, keep: impl Fn(&Resource) -> bool) {
        let host = Arc::clone(&self.host);
        let gone = self
            .services
            .retain(|resource| *resource == *host || keep(resource));
        self.io.forget(&gone);
        self.errors.forget(&gone);
        self.disk_errors.forget(&gone);
        self.lengths.means.forget(&gone);
    }

    /// What is held, for the agent's own metrics.
    #[must_use]
    pub fn usage(&self) -> [Usage; 4] {
        [
            self.io.usage(),
            self.errors.usage(),
            self.disk_errors.usage(),
            self.lengths.usage(),
        ]
    }
}

/// Attributes of a disk and what it is asked to do: `system.device` and `disk.io.direction`.
pub fn of_device(of: DeviceKey, name: impl Fn(u32) -> Arc<str>) -> Attributes {
    let direction = match of.operation {
        operation if operation == Operation::Read as u32 => "read",
        operation if operation == Operation::Write as u32 => "write",
        operation if operation == Operation::Flush as u32 => "flush",
        operation if operation == Operation::Discard as u32 => "discard",
        _ => "other",
    };
    Attributes::from([
        ("disk.io.direction", direction.into()),
        ("system.device", name(of.device).into()),
    ])
}

/// Requests that nobody submitted count in no service when they end, and so not while they live.
fn is_counted(pending: &Pending) -> bool {
    pending.submitted != 0 && pending.key.of.device != 0
}

/// Raises every part of `highest` to that of `now`; by how much. A part that a torn read shows
/// smaller than before counts nothing.
fn raise(highest: &mut Sums, now: &Sums) -> Sums {
    let mut growth = Sums::EMPTY;
    for (highest, now, growth) in [
        (
            &mut highest.operations,
            now.operations,
            &mut growth.operations,
        ),
        (&mut highest.bytes, now.bytes, &mut growth.bytes),
        (
            &mut highest.queue_time,
            now.queue_time,
            &mut growth.queue_time,
        ),
        (
            &mut highest.device_time,
            now.device_time,
            &mut growth.device_time,
        ),
    ] {
        *growth = now.saturating_sub(*highest);
        *highest = now.max(*highest);
    }
    growth
}

fn add(sums: &mut Sums, growth: &Sums) {
    sums.operations += growth.operations;
    sums.bytes += growth.bytes;
    sums.queue_time += growth.queue_time;
    sums.device_time += growth.device_time;
}

fn seconds(nanoseconds: u64) -> Value {
    Value::Float(nanoseconds as f64 / 1e9)
}
