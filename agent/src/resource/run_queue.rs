//! Run queue: who is runnable, load averages, and the time spent waiting for a CPU.
//!
//! The distribution of that time comes from the kernel side.

use std::{collections::BTreeMap, time::Instant};

use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    method::{Signal, counter, gauge},
    pressure::{self, Pressure},
    read::{self, Skipped},
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "run_queue";
const NANOSECONDS: f64 = 1e9;

static LENGTH: Descriptor = gauge(
    "system.cpu.run_queue.length",
    "Tasks that are running or ready to run, the reader included (/proc/stat, procs_running)",
    Unit::Count("{thread}"),
);
static BLOCKED: Descriptor = gauge(
    "system.cpu.run_queue.blocked",
    "Tasks that wait for I/O (/proc/stat, procs_blocked)",
    Unit::Count("{thread}"),
);
static SWITCHES: Descriptor = counter(
    "system.cpu.context_switches",
    "Context switches of all CPUs (/proc/stat, ctxt)",
    Unit::Count("{switch}"),
);
static WAIT_TIME: Descriptor = counter(
    "system.cpu.run_queue.wait_time",
    "Time that tasks waited, ready to run, for each logical CPU (/proc/schedstat, cpuN field 8)",
    Unit::Seconds,
);
static LOAD_1M: Descriptor = load("system.cpu.load_average.1m");
static LOAD_5M: Descriptor = load("system.cpu.load_average.5m");
static LOAD_15M: Descriptor = load("system.cpu.load_average.15m");

const fn load(name: &'static str) -> Descriptor {
    gauge(
        name,
        "Mean number of tasks that run, are ready to run or are in uninterruptible sleep (/proc/loadavg)",
        Unit::Count("{thread}"),
    )
}

static EXCESS: Signal = Signal {
    name: "excess_length",
    help: "Tasks ready to run beyond the number of CPUs at the moment of the snapshot (/proc/stat, procs_running)",
};
static WAITING: Signal = Signal {
    name: "waiting_length",
    help: "Mean number of tasks that waited for the CPU since the last snapshot (/proc/schedstat, cpuN field 8)",
};

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[
        &LENGTH, &BLOCKED, &SWITCHES, &WAIT_TIME, &LOAD_1M, &LOAD_5M, &LOAD_15M,
    ],
    saturation: &[&EXCESS, &WAITING, &pressure::SOME],
    errors: &[],
    open: |_| Box::<RunQueue>::default(),
};

#[derive(Debug, Default)]
struct Sample {
    cpus: u64,
    running: Option<u64>,
    blocked: Option<u64>,
    switches: Option<u64>,
    /// Nanoseconds by CPU.
    waited: BTreeMap<u32, u64>,
    pressure: Pressure,
}

#[derive(Debug, Default)]
struct RunQueue {
    last: Option<Timed<Sample>>,
}

impl Resource for RunQueue {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let path = root.procfs.join("stat");
        let Some(text) = read::text(&path)? else {
            return Ok(None);
        };
        let mut sample = parse_stat(&text);
        if sample.running.is_none() {
            return Err(read::malformed(&path, "procs_running"));
        }
        let schedstat = read::text(&root.procfs.join("schedstat"));
        if let Some(text) = report.skipped.or_skip(schedstat) {
            sample.waited = parse_schedstat(&text, &mut report.skipped);
        }
        sample.pressure = Pressure::read(root, "cpu", &mut report);
        load_averages(root, &mut report);
        let now = Timed {
            at: now,
            value: sample,
        };
        usage(self.last.as_ref(), &now, &mut report);
        self.last = Some(now);
        Ok(Some(report))
    }
}

fn parse_stat(text: &str) -> Sample {
    let field = |name: &str| {
        let mut lines = text.lines();
        lines
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .and_then(|value| value.trim().parse().ok())
    };
    let cpus = text
        .lines()
        .filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "))
        .count() as u64;
    Sample {
        cpus,
        running: field("procs_running"),
        blocked: field("procs_blocked"),
        switches: field("ctxt"),
        ..Sample::default()
    }
}

/// `cpuN` lines of schedstat versions 14 to 17: field 7 is time running, field 8 time waiting, in
/// nanoseconds (Documentation/scheduler/sched-stats.rst).
fn parse_schedstat(text: &str, skipped: &mut Skipped) -> BTreeMap<u32, u64> {
    let lines = text.lines().filter(|line| line.starts_with("cpu"));
    let waited = skipped.lines(lines, |line| {
        let (number, fields) = line.strip_prefix("cpu")?.split_once(' ')?;
        let [.., waited] = read::numbers::<8>(fields)?;
        Some((number.parse().ok()?, waited))
    });
    waited.into_iter().collect()
}

/// By hand rather than by `procfs::LoadAverage`, whose f32 would show 0.69 as 0.689999998.
fn load_averages(root: &Root, report: &mut Use) {
    let text = read::text(&root.procfs.join("loadavg"));
    let Some(text) = report.skipped.or_skip(text) else {
        return;
    };
    let mut fields = text.split_ascii_whitespace();
    for descriptor in [&LOAD_1M, &LOAD_5M, &LOAD_15M] {
        match fields.next().and_then(|field| field.parse::<f64>().ok()) {
            Some(load) if load >= 0.0 => report.measure(descriptor, [], load),
            _ => report.skipped.one(),
        }
    }
}

fn usage(last: Option<&Timed<Sample>>, now: &Timed<Sample>, report: &mut Use) {
    let sample = &now.value;
    report.count(&LENGTH, [], sample.running);
    report.count(&BLOCKED, [], sample.blocked);
    report.count(&SWITCHES, [], sample.switches);
    for (number, waited) in &sample.waited {
        let attributes = [("cpu.logical_number", i64::from(*number).into())];
        report.measure(&WAIT_TIME, attributes, *waited as f64 / NANOSECONDS);
    }
    let excess = sample
        .running
        .filter(|_| sample.cpus > 0)
        .map(|running| running.saturating_sub(sample.cpus) as f64);
    report.saturation(None, &EXCESS, excess);

    let Some(interval) = Interval::between(last, now) else {
        return;
    };
    for number in sample.waited.keys() {
        let waiting = interval.rate(|sample| sample.waited.get(number).copied());
        let waiting = waiting.map(|nanoseconds| nanoseconds / NANOSECONDS);
        report.saturation(Some(&format!("cpu{number}")), &WAITING, waiting);
    }
    Pressure::saturation(interval.part(|sample| Some(&sample.pressure)), report);
}
