//! What services use: CPU time, waiting, memory, faults, I/O, and where the time of their threads goes.
//!
//! The kernel keeps the accounts of threads; a reading of all tasks ([`Usages::read`]) adds them up by
//! process, the record of a process's end ([`Usages::exited`]) has what came after the last one. So
//! what lived for a moment only counts as exactly as the rest.

pub mod descriptors;
mod sums;
#[cfg(test)]
mod tests;
mod totals;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Instant, SystemTime},
};

use sonde_common::{
    event::{
        process::{Exit, ExitRest},
        sched::{Process, Task},
    },
    hist::Log2,
};

pub use self::descriptors::{DESCRIPTORS, SIGNALS};
use self::{
    descriptors::HOST_RUN_QUEUE_LATENCY,
    sums::Sums,
    totals::{Modes, Totals},
};
use super::{
    cardinality::{Limits, Series, Table, Usage},
    log2,
    network::NetworkIo,
    service::Services,
};
use crate::{
    enrich::Renewed,
    hash::NumberMap,
    metric::{Attributes, Collector, Resource, Value},
};

/// Readings for which a process is remembered that isn't there any more: its end may yet be told.
const KEEP: u64 = 2;
/// Processes that are remembered.
const PROCESSES: usize = 65_536;

#[derive(Debug, Default)]
struct Known {
    /// What has been counted of it.
    told: Totals,
    modes: Modes,
    /// What it had used at its end.
    end: Option<Totals>,
    /// The reading that saw it last.
    seen: u64,
}

impl Known {
    /// Counts what it has used beyond what was counted.
    fn tell(&mut self, totals: &Totals, sums: &mut Sums, host: &mut Log2) {
        let growth = totals.growth(&mut self.told);
        let modes = Modes::of(&self.told, self.modes);
        let came = Modes {
            user: modes.user - self.modes.user,
            system: modes.system - self.modes.system,
        };
        self.modes = modes;
        host.merge(&growth.waits);
        sums.add(&growth, came);
    }
}

/// What holds for a whole reading.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The boot-time clock.
    pub now: u64,
    /// Logical CPUs that are online.
    pub cpus: u64,
    /// Whether the switches between threads are watched.
    pub sleeps: bool,
}

/// A reading of all tasks, while it is being read.
#[derive(Debug, Default)]
pub struct Reading {
    processes: NumberMap<(u64, u32), (Totals, Option<Process>)>,
    /// Threads of processes that there was no room for.
    left_out: u64,
}

impl Reading {
    /// Takes a thread in; the leader of a process comes with what belongs to the whole of it.
    pub fn add(&mut self, task: &Task, process: Option<&Process>) {
        let key = (task.start_time, task.tgid);
        if self.processes.len() >= PROCESSES && !self.processes.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let (totals, whole) = self.processes.entry(key).or_default();
        totals.add(&task.usage);
        if let Some(process) = process {
            *whole = Some(*process);
        }
    }

    /// Number of processes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// The state of each process, as the kernel marks it; `None` where there was no room for some.
    #[must_use]
    pub fn states(&self) -> Option<impl Iterator<Item = u32>> {
        let processes = self.processes.values();
        let states = processes.filter_map(|(_, process)| Some(process.as_ref()?.state));
        (self.left_out == 0).then_some(states)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }
}

/// What all services have used.
#[derive(Debug)]
pub struct Usages {
    services: Services,
    /// By process id where each process has series of its own; without one those that have ended, and
    /// all where only services have.
    sums: Table<Option<u32>, Sums>,
    by_process: bool,
    known: NumberMap<(u64, u32), Known>,
    /// Waits for a CPU of all threads.
    host_waits: Log2,
    /// The boot-time clock when counting began: what older processes used before isn't counted.
    began: u64,
    readings: u64,
    last: Option<Instant>,
    /// Whether it is known what threads sleep for.
    sleeps: bool,
    page: u64,
    /// The boot-time clock of the last reading.
    now: u64,
    /// Threads, and ends of processes, that there was no room to follow.
    left_out: u64,
}

impl Usages {
    /// Nothing used yet; `began` is the boot-time clock, `page` the size of one in bytes.
    #[must_use]
    pub fn new(limits: Limits, began: u64, page: u64) -> Self {
        Self {
            by_process: false,
            services: Services::new(limits.total),
            sums: Table::new("process.usage", limits),
            known: NumberMap::default(),
            host_waits: Log2::EMPTY,
            began,
            readings: 0,
            last: None,
            sleeps: false,
            page,
            now: began,
            left_out: 0,
        }
    }

    /// Nothing used yet, and series for each process.
    #[must_use]
    pub fn by_process(began: u64, page: u64) -> Self {
        let limits = Limits {
            per_service: 500,
            total: 2_000,
        };
        Self {
            by_process: true,
            ..Self::new(limits, began, page)
        }
    }

    /// Takes a whole reading in.
    pub fn read(
        &mut self,
        reading: &Reading,
        moment: Moment,
        mut owner: impl FnMut(u32) -> Arc<Resource>,
    ) {
        self.readings += 1;
        (self.now, self.sleeps) = (moment.now, moment.sleeps);
        self.left_out += reading.left_out;
        for sums in self.sums.values_mut() {
            sums.present = sums::Present::default();
        }
        for ((start, tgid), (totals, process)) in &reading.processes {
            let owner = owner(*tgid);
            let service = self.services.id(&owner, SystemTime::now);
            let key = self.by_process.then_some(*tgid);
            let sums = self.sums.observe(service, Some(key));
            if let Some(process) = process {
                sums.present.add(process, *start, self.page);
            }
            let is_new = !self.known.contains_key(&(*start, *tgid));
            if is_new && self.known.len() >= PROCESSES {
                self.left_out += 1;
                continue;
            }
            let known = self.known.entry((*start, *tgid)).or_default();
            known.seen = self.readings;
            if is_new && *start < self.began {
                totals.growth(&mut known.told);
                known.modes = Modes::of(&known.told, Modes::default());
            } else if known.end.is_none() {
                known.tell(totals, sums, &mut self.host_waits);
            }
        }
        let readings = self.readings;
        self.known.retain(|_, known| known.seen + KEEP > readings);
        self.bury(reading);
        let at = Instant::now();
        let seconds = self.last.map(|last| (at - last).as_secs_f64());
        self.last = Some(at);
        for sums in self.sums.values_mut() {
            sums.settle(seconds, moment.cpus);
        }
    }

    /// Leaves what processes used that are gone to their services.
    fn bury(&mut self, reading: &Reading) {
        if !self.by_process {
            return;
        }
        let live: HashSet<u32> = reading.processes.keys().map(|(_, tgid)| *tgid).collect();
        let is_gone = |tgid: Option<u32>| tgid.is_some_and(|tgid| !live.contains(&tgid));
        for (service, sums) in self.sums.take(is_gone) {
            self.sums.observe(Some(service), Some(None)).join(&sums);
        }
    }

    /// A process has ended: what it used since the last reading counts.
    pub fn exited(&mut self, exit: &Exit, owner: &Arc<Resource>) {
        let key = (exit.start_time, exit.header.tgid);
        let mut totals = Totals::default();
        totals.add(&exit.usage);
        self.ended(key, totals, owner);
    }

    /// What a thread used that was late for its process's end.
    pub fn rest(&mut self, rest: &ExitRest, owner: &Arc<Resource>) {
        let key = (rest.start_time, rest.header.tgid);
        let end = self.known.get(&key).and_then(|known| known.end.clone());
        if let Some(mut totals) = end {
            totals.add(&rest.usage);
            self.ended(key, totals, owner);
        }
    }

    fn ended(&mut self, key: (u64, u32), totals: Totals, owner: &Arc<Resource>) {
        let is_known = self.known.contains_key(&key);
        // How much an older one had used before isn't known.
        if !is_known && key.0 < self.began {
            return;
        }
        if !is_known && self.known.len() >= PROCESSES {
            self.left_out += 1;
            return;
        }
        let service = self.services.id(owner, SystemTime::now);
        let series = self.by_process.then_some(key.1);
        let sums = self.sums.observe(service, Some(series));
        let known = self.known.entry(key).or_default();
        known.seen = self.readings;
        known.tell(&totals, sums, &mut self.host_waits);
        known.end = Some(totals);
    }

    /// Whether it is known what processes use.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.readings > 0
    }

    /// Adds all series.
    pub fn collect(&self, collector: &mut Collector) {
        for (slot, sums) in self.sums.iter() {
            let mut series = Series::new(collector, &self.services, &slot, of_process);
            sums.push(&mut series, self.now, self.sleeps);
        }
        if self.sleeps
            && let Some(histogram) = log2::histogram(&self.host_waits, &log2::FINE)
        {
            let value = Value::Histogram(histogram);
            collector.push(&HOST_RUN_QUEUE_LATENCY, Attributes::none(), value);
        }
    }

    /// Adds what each service has received and sent by UDP.
    pub fn add_io(&self, io: &mut NetworkIo, collector: &Collector) {
        for (slot, sums) in self.sums.iter() {
            if sums.udp() != [0, 0] {
                io.add(slot.owner(&self.services, collector), sums.udp());
            }
        }
    }

    /// A service's resource has changed: its series go on under the new one.
    pub fn renew(&mut self, renewed: &Renewed) {
        self.services.renew(renewed);
    }

    /// Forgets the services that `keep` doesn't hold to: those without a process for a while.
    pub fn retain(&mut self, keep: impl Fn(&Resource) -> bool) {
        let gone = self.services.retain(keep);
        self.sums.forget(&gone);
    }

    /// How often something was left out for want of room.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What is held, for the agent's own metrics.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.sums.usage()
    }
}

fn of_process(tgid: Option<u32>) -> Attributes {
    let pid = tgid.map(|tgid| ("process.pid", i64::from(tgid).into()));
    pid.into_iter().collect()
}
