//! What the processes of one service have used together.

use sonde_common::{
    event::sched::{Process, SLEEPS, Sleep, UNKNOWN_DESCRIPTORS},
    hist::Log2,
};

use super::{
    descriptors::{
        BLOCKED, CONTEXT_SWITCHES, CPU, CPU_UTILIZATION, DESCRIPTOR_SHARE, DESCRIPTORS_OPEN,
        DISK_IO, FAULTS, MAJOR_FAULTS, MEMORY, RUN_QUEUE_LATENCY, RUNNABLE, THREAD_TIME, THREADS,
        UDP_IO, UPTIME, VIRTUAL, WAITING,
    },
    totals::{Growth, Modes, Totals},
};
use crate::{
    aggregate::{cardinality::Series, log2},
    metric::Value,
    resource::{SATURATION_BY_SERVICE, Signal},
};

const NANOSECONDS: f64 = 1e9;

/// What is read of processes that live, rather than adding up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Present {
    processes: u64,
    resident: u64,
    size: u64,
    threads: u64,
    /// Absent when a process has too many to count.
    descriptors: Option<u64>,
    /// Of the process that is nearest to its limit.
    descriptor_share: Option<f64>,
    /// Start of the oldest one, on the boot-time clock.
    oldest: u64,
}

impl Present {
    /// Adds a process.
    pub(super) fn add(&mut self, process: &Process, start: u64, page: u64) {
        let counted = process.descriptors != UNKNOWN_DESCRIPTORS;
        let open = counted.then_some(u64::from(process.descriptors));
        if self.processes == 0 {
            self.descriptors = Some(0);
            self.oldest = start;
        }
        self.processes += 1;
        self.oldest = self.oldest.min(start);
        self.resident = self
            .resident
            .saturating_add(process.resident.saturating_mul(page));
        self.size = self.size.saturating_add(process.size.saturating_mul(page));
        self.threads += u64::from(process.threads);
        self.descriptors = self.descriptors.zip(open).map(|(sum, open)| sum + open);
        let share = open
            .filter(|_| process.descriptor_limit > 0 && process.is_kernel == 0)
            .map(|open| open as f64 / process.descriptor_limit as f64);
        self.descriptor_share = match (self.descriptor_share, share) {
            (Some(highest), Some(share)) => Some(highest.max(share)),
            (one, other) => one.or(other),
        };
    }
}

/// What happened in the time between the last two readings, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rates {
    /// Of all CPUs.
    user: f64,
    system: f64,
    runnable: f64,
    waiting: f64,
    blocked: f64,
    major_faults: f64,
}

/// The sums of one service.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Everything that its processes used, those that are gone too.
    used: Totals,
    modes: Modes,
    waits: Log2,
    /// As of the last reading.
    before: Totals,
    modes_before: Modes,
    rates: Option<Rates>,
    pub(super) present: Present,
}

impl Sums {
    /// Adds what came to a process's totals.
    pub(super) fn add(&mut self, growth: &Growth, modes: Modes) {
        self.used.join(&growth.used);
        self.modes.join(modes);
        self.waits.merge(&growth.waits);
    }

    /// Adds the sums of a process that is gone.
    pub(super) fn join(&mut self, gone: &Self) {
        self.used.join(&gone.used);
        self.before.join(&gone.before);
        self.modes.join(gone.modes);
        self.modes_before.join(gone.modes_before);
        self.waits.merge(&gone.waits);
    }

    /// All processes have been read, `seconds` after the last time, on a machine of so many CPUs.
    pub(super) fn settle(&mut self, seconds: Option<f64>, cpus: u64) {
        let grown = self.used.growth(&mut self.before).used;
        let before = std::mem::replace(&mut self.modes_before, self.modes);
        self.rates = seconds.filter(|seconds| *seconds > 0.0).map(|seconds| {
            let mean = |nanoseconds: u64| nanoseconds as f64 / NANOSECONDS / seconds;
            let share = |nanoseconds: u64| mean(nanoseconds) / cpus.max(1) as f64;
            Rates {
                user: share(self.modes.user - before.user),
                system: share(self.modes.system - before.system),
                runnable: mean(grown.cpu.saturating_add(grown.queued)),
                waiting: mean(grown.queued),
                blocked: mean(grown.slept[Sleep::Disk as usize]),
                major_faults: grown.major_faults as f64 / seconds,
            }
        });
    }

    /// Bytes of UDP, received and sent.
    pub(super) fn udp(&self) -> [u64; 2] {
        self.used.udp
    }

    /// Adds the points of the service. `now` is the boot-time clock; `sleeps` whether it is known what
    /// threads sleep for.
    pub(super) fn push(&self, series: &mut Series<'_>, now: u64, sleeps: bool) {
        self.push_time(series, sleeps);
        self.push_counts(series);
        self.push_udp(series);
        self.push_present(series, now);
        self.push_utilization(series);
        self.push_saturation(series, sleeps);
    }

    fn push_time(&self, series: &mut Series<'_>, sleeps: bool) {
        for (mode, nanoseconds) in [("user", self.modes.user), ("system", self.modes.system)] {
            let mode = ("cpu.mode", mode.into());
            series.push_with(&CPU, [mode], seconds(nanoseconds), Vec::new());
        }
        let mut states = vec![("on_cpu", self.used.cpu), ("run_queue", self.used.queued)];
        if sleeps {
            const NAMES: [&str; SLEEPS] = ["other", "disk", "network", "lock"];
            states.extend(NAMES.into_iter().zip(self.used.slept));
        }
        for (state, nanoseconds) in states {
            let state = ("process.thread.state", state.into());
            series.push_with(&THREAD_TIME, [state], seconds(nanoseconds), Vec::new());
        }
        if let Some(histogram) = log2::histogram(&self.waits, &log2::COARSE) {
            series.push(&RUN_QUEUE_LATENCY, Value::Histogram(histogram));
        }
    }

    fn push_counts(&self, series: &mut Series<'_>) {
        let used = &self.used;
        for (descriptor, key, values) in [
            (
                &CONTEXT_SWITCHES,
                "process.context_switch.type",
                [
                    ("voluntary", used.voluntary_switches),
                    ("involuntary", used.involuntary_switches),
                ],
            ),
            (
                &FAULTS,
                "system.paging.fault.type",
                [("minor", used.minor_faults), ("major", used.major_faults)],
            ),
            (
                &DISK_IO,
                "disk.io.direction",
                [("read", used.read_bytes), ("write", used.write_bytes)],
            ),
        ] {
            for (name, value) in values {
                let attribute = (key, name.into());
                series.push_with(descriptor, [attribute], Value::Integer(value), Vec::new());
            }
        }
    }

    /// Nothing of the many that don't use it.
    fn push_udp(&self, series: &mut Series<'_>) {
        let [received, sent] = self.udp();
        if received == 0 && sent == 0 {
            return;
        }
        for (direction, bytes) in [("receive", received), ("transmit", sent)] {
            let attribute = ("network.io.direction", direction.into());
            series.push_with(&UDP_IO, [attribute], Value::Integer(bytes), Vec::new());
        }
    }

    /// Nothing where no process lives.
    fn push_utilization(&self, series: &mut Series<'_>) {
        let Some(rates) = self.rates.filter(|_| self.present.processes > 0) else {
            return;
        };
        for (mode, share) in [("user", rates.user), ("system", rates.system)] {
            let mode = ("cpu.mode", mode.into());
            series.push_with(&CPU_UTILIZATION, [mode], Value::Float(share), Vec::new());
        }
    }

    /// Nothing where no process lives.
    fn push_present(&self, series: &mut Series<'_>, now: u64) {
        let present = &self.present;
        if present.processes == 0 {
            return;
        }
        series.push(&MEMORY, Value::Integer(present.resident));
        series.push(&VIRTUAL, Value::Integer(present.size));
        series.push(&THREADS, Value::Integer(present.threads));
        if let Some(descriptors) = present.descriptors {
            series.push(&DESCRIPTORS_OPEN, Value::Integer(descriptors));
        }
        series.push(&UPTIME, seconds(now.saturating_sub(present.oldest)));
    }

    /// Only what the service has ever had, so that idle ones don't fill the page with zeros, and nothing
    /// of one that is gone.
    fn push_saturation(&self, series: &mut Series<'_>, sleeps: bool) {
        if self.present.processes == 0 && self.rates == Some(Rates::default()) {
            return;
        }
        let mut push = |resource: &'static str, signal: &Signal, value: f64| {
            let attributes = [
                ("resource", resource.into()),
                ("signal", signal.name.into()),
            ];
            series.push_with(
                &SATURATION_BY_SERVICE,
                attributes,
                Value::Float(value),
                Vec::new(),
            );
        };
        if let Some(rates) = self.rates {
            push("run_queue", &RUNNABLE, rates.runnable);
            if self.used.queued > 0 {
                push("run_queue", &WAITING, rates.waiting);
            }
            if sleeps && self.used.slept[Sleep::Disk as usize] > 0 {
                push("disk", &BLOCKED, rates.blocked);
            }
            if self.used.major_faults > 0 {
                push("memory", &MAJOR_FAULTS, rates.major_faults);
            }
        }
        if let Some(share) = self.present.descriptor_share {
            push("file_descriptors", &DESCRIPTOR_SHARE, share);
        }
    }
}

fn seconds(nanoseconds: u64) -> Value {
    Value::Float(nanoseconds as f64 / NANOSECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utilization_is_what_came_of_the_time_of_all_cpus() {
        let mut sums = Sums::default();
        let second = 1_000_000_000;
        let modes = |user, system| Modes { user, system };
        sums.add(&Growth::default(), modes(5 * second, 0));
        sums.settle(None, 4);
        assert_eq!(sums.rates, None, "since when isn't known");
        sums.add(&Growth::default(), modes(4 * second, second));
        sums.settle(Some(2.0), 4);
        let rates = sums.rates.unwrap_or_default();
        assert_eq!((rates.user, rates.system), (0.5, 0.125));
        let mut gone = Sums::default();
        gone.add(&Growth::default(), modes(7 * second, second));
        gone.settle(None, 4);
        sums.join(&gone);
        sums.settle(Some(2.0), 4);
        assert_eq!(sums.rates, Some(Rates::default()), "told before");
    }
}
