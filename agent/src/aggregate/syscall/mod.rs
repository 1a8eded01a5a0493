//! System calls: the kernel's maps of running totals to counters of services.

mod name;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::SystemTime,
};

use sonde_common::{
    event::syscall::{CountKey, DurationKey},
    hist::Log2,
};

pub use self::name::name;
use super::{
    cardinality::{Limits, Series, Table, Usage},
    log2,
    service::Services,
};
use crate::{
    enrich::Renewed,
    errno,
    metric::{Attributes, Collector, Descriptor, Resource, Unit, Value},
    resource::{ERRORS_BY_SERVICE, Signal, by_service},
};

/// System calls made.
pub const CALLS: Descriptor = Descriptor::counter(
    "syscalls",
    "System calls that returned",
    Unit::Count("{call}"),
);
/// System calls that failed.
pub const ERRORS: Descriptor = Descriptor::counter(
    "syscall.errors",
    "System calls that returned an error, by errno",
    Unit::Count("{call}"),
);
/// How long system calls took.
pub const DURATION: Descriptor = Descriptor::histogram(
    "syscall.duration",
    "Time in system calls, of those that were timed",
    Unit::Seconds,
);

/// Calls that failed because there was no more of something.
struct Refusal {
    resource: &'static str,
    signal: &'static Signal,
    /// Whether this call with this errno is one.
    is: fn(u32, i32) -> bool,
}

const REFUSALS: [Refusal; 3] = [
    Refusal {
        resource: "file_descriptors",
        signal: &EMFILE,
        is: |_, error| error == libc::EMFILE,
    },
    Refusal {
        resource: "file_descriptors",
        signal: &ENFILE,
        is: |_, error| error == libc::ENFILE,
    },
    Refusal {
        resource: "processes",
        signal: &FORK_REFUSED,
        is: |number, error| {
            const FORKS: [libc::c_long; 2] = [libc::SYS_clone, libc::SYS_clone3];
            error == libc::EAGAIN && FORKS.contains(&number.into())
        },
    },
];

static EMFILE: Signal = Signal {
    name: "emfile",
    help: "System calls of the service that failed because a process had as many descriptors open as it may (EMFILE)",
};
static ENFILE: Signal = Signal {
    name: "enfile",
    help: "System calls of the service that failed because the host had as many files open as it may (ENFILE)",
};
static FORK_REFUSED: Signal = Signal {
    name: "fork_refused",
    help: "Processes and threads that the service could not start, for a limit of its user, of its cgroup or of the host (EAGAIN of clone and clone3)",
};

/// Resource and signal of each kind of point in `use.errors.by_service`, for the reference.
pub const SIGNALS: &[(&str, &Signal)] = &[
    (REFUSALS[0].resource, REFUSALS[0].signal),
    (REFUSALS[1].resource, REFUSALS[1].signal),
    (REFUSALS[2].resource, REFUSALS[2].signal),
];

/// All of them, for the reference.
pub const DESCRIPTORS: &[&Descriptor] = &[&CALLS, &ERRORS, &DURATION];

/// The highest values seen in the kernel's maps for one process.
#[derive(Debug, Default)]
struct Process {
    counts: HashMap<(u16, u16), u64>,
    durations: HashMap<u32, Log2>,
}

/// The system call metrics of all services.
///
/// The kernel's maps hold running totals of processes. What came to them since the last look goes
/// to the service that the process belongs to now, and stays there when process and map entry are
/// gone.
#[derive(Debug)]
pub struct Syscalls {
    services: Services,
    processes: HashMap<u32, Process>,
    calls: Table<u32, u64>,
    errors: Table<(u32, u16), u64>,
    durations: Table<u32, Log2>,
}

impl Default for Syscalls {
    fn default() -> Self {
        Self::new(Limits {
            per_service: 1_000,
            total: 50_000,
        })
    }
}

impl Syscalls {
    /// Nothing observed yet; `limits` holds for each of the metrics.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            services: Services::new(limits.total),
            processes: HashMap::new(),
            calls: Table::new("syscalls", limits),
            errors: Table::new("syscall.errors", limits),
            durations: Table::new("syscall.duration", limits),
        }
    }

    /// Takes what the kernel counted up to `now`. Entries may be missing, come twice, or show
    /// less than before: each call counts once. `owner` is asked for processes that made calls.
    pub fn fold_counts(
        &mut self,
        now: SystemTime,
        counts: impl IntoIterator<Item = (CountKey, u64)>,
        mut owner: impl FnMut(u32) -> Arc<Resource>,
    ) {
        for (key, total) in counts {
            let process = self.processes.entry(key.tgid).or_default();
            let highest = process.counts.entry((key.number, key.error)).or_default();
            let growth = total.saturating_sub(*highest);
            if growth == 0 {
                continue;
            }
            *highest = total;
            let service = self.services.id(&owner(key.tgid), || now);
            let number = u32::from(key.number);
            *self.calls.observe_many(service, Some(number), growth) += growth;
            if key.error != 0 {
                let error = Some((number, key.error));
                *self.errors.observe_many(service, error, growth) += growth;
            }
        }
    }

    /// Takes what the kernel timed up to `now`, as [`Syscalls::fold_counts`] does.
    pub fn fold_durations(
        &mut self,
        now: SystemTime,
        durations: impl IntoIterator<Item = (DurationKey, Log2)>,
        mut owner: impl FnMut(u32) -> Arc<Resource>,
    ) {
        for (key, total) in durations {
            let process = self.processes.entry(key.tgid).or_default();
            let highest = process.durations.entry(key.number).or_default();
            let growth = log2::growth(&total, highest);
            if growth == Log2::EMPTY {
                continue;
            }
            log2::raise(highest, &total);
            let service = self.services.id(&owner(key.tgid), || now);
            self.durations
                .observe_many(service, Some(key.number), growth.count)
                .merge(&growth);
        }
    }

    /// Forgets the totals of a process whose map entries are deleted, so that the next process
    /// with its number is counted from 0. To be called after the last fold that has them.
    pub fn deleted(&mut self, tgid: u32) {
        self.processes.remove(&tgid);
    }

    /// Adds all series.
    pub fn collect(&self, collector: &mut Collector) {
        for (slot, count) in self.calls.iter() {
            Series::new(collector, &self.services, &slot, of_call)
                .push(&CALLS, Value::Integer(*count));
        }
        for (slot, count) in self.errors.iter() {
            Series::new(collector, &self.services, &slot, |(number, error)| {
                Attributes::from([
                    ("error.type", errno::label(error.into()).as_ref().into()),
                    ("syscall", name(number).as_ref().into()),
                ])
            })
            .push(&ERRORS, Value::Integer(*count));
        }
        self.collect_refusals(collector);
        for (slot, durations) in self.durations.iter() {
            if let Some(histogram) = log2::histogram(durations, &log2::COARSE) {
                Series::new(collector, &self.services, &slot, of_call)
                    .push(&DURATION, Value::Histogram(histogram));
            }
        }
    }

    /// Adds what the errors say of resources, by service.
    fn collect_refusals(&self, collector: &mut Collector) {
        let mut refusals = BTreeMap::<_, u64>::new();
        for (slot, count) in self.errors.iter() {
            let Some((number, error)) = slot.key() else {
                continue;
            };
            let is = |refusal: &Refusal| (refusal.is)(number, error.into());
            if let Some(index) = REFUSALS.iter().position(is) {
                *refusals.entry(slot.map(|_| index)).or_default() += count;
            }
        }
        for (slot, count) in refusals {
            Series::new(collector, &self.services, &slot, |index| {
                let refusal = &REFUSALS[index];
                by_service(refusal.resource, None, refusal.signal)
            })
            .push(&ERRORS_BY_SERVICE, Value::Integer(count));
        }
    }

    /// A service's resource has changed: its series go on under the new one.
    pub fn renew(&mut self, renewed: &Renewed) {
        self.services.renew(renewed);
    }

    /// Forgets the services that `keep` doesn't hold to: those without a process for a while.
    pub fn retain(&mut self, keep: impl Fn(&Resource) -> bool) {
        let gone = self.services.retain(keep);
        self.calls.forget(&gone);
        self.errors.forget(&gone);
        self.durations.forget(&gone);
    }

    /// What is held, for the agent's own metrics.
    #[must_use]
    pub fn usage(&self) -> [Usage; 3] {
        [
            self.calls.usage(),
            self.errors.usage(),
            self.durations.usage(),
        ]
    }
}

fn of_call(number: u32) -> Attributes {
    Attributes::from([("syscall", name(number).as_ref().into())])
}
