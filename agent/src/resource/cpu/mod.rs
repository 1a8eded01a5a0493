//! CPU: time by mode and CPU, interrupts, frequency, pressure, throttling and machine checks.

mod hardware;
mod interrupt;

use std::{collections::BTreeMap, time::Instant};

use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    method::{Signal, amount, counter, gauge},
    pressure::{self, Pressure},
    read::{self, Skipped},
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "cpu";

static TIME: Descriptor = counter(
    "system.cpu.time",
    "Time each logical CPU spent in each mode (/proc/stat, cpuN)",
    Unit::Seconds,
);
static GUEST_TIME: Descriptor = counter(
    "system.cpu.guest.time",
    "Part of the user and nice modes that was spent in virtual machines (/proc/stat, cpuN guest and guest_nice)",
    Unit::Seconds,
);
static UTILIZATION: Descriptor = gauge(
    "system.cpu.utilization",
    "Share of the time of all logical CPUs in each mode since the last snapshot (/proc/stat)",
    Unit::Ratio,
);
static LOGICAL_COUNT: Descriptor = amount(
    "system.cpu.logical.count",
    "Logical CPUs that are online (/proc/stat)",
    Unit::Count("{cpu}"),
);

static STEAL: Signal = Signal {
    name: "steal_share",
    help: "Share of the CPU's time that the hypervisor gave to others while work was ready (/proc/stat, steal)",
};
pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[
        &TIME,
        &GUEST_TIME,
        &UTILIZATION,
        &LOGICAL_COUNT,
        &interrupt::INTERRUPTS,
        &interrupt::SOFTIRQS,
        &hardware::FREQUENCY,
        &hardware::FREQUENCY_MAX,
        &pressure::STALL,
    ],
    saturation: &[&STEAL, &pressure::SOME],
    errors: &[
        &hardware::THROTTLE,
        &hardware::PACKAGE_THROTTLE,
        &hardware::MACHINE_CHECK,
    ],
    open: |_| Box::<Cpu>::default(),
};

/// The columns of a `cpuN` line that add up to its time. softirq has no well-known value in the
/// conventions; it is kept apart from hard interrupts.
const MODES: [&str; 8] = [
    "user",
    "nice",
    "system",
    "idle",
    "iowait",
    "interrupt",
    "softirq",
    "steal",
];
const IDLE: usize = 3;
const IOWAIT: usize = 4;
const STOLEN: usize = 7;
const GUEST: usize = 8;
const GUEST_NICE: usize = 9;

/// Ticks of an interval by mode; as f64, since absurd ones must not overflow their sum.
type Growth = [f64; MODES.len()];

/// One CPU's time by column, in ticks of the kernel's `USER_HZ`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ticks([u64; 10]);

impl Ticks {
    /// Without the idle accounting's backward steps: with nohz, idle, iowait and steal may shrink
    /// by a few ticks, which would look like a counter reset. A larger step is a CPU that was
    /// taken away and came back.
    fn settled(self, last: Option<&Self>) -> Self {
        const STEP_SECONDS: u64 = 3;
        let step = STEP_SECONDS * procfs::ticks_per_second();
        let Some(last) = last else { return self };
        let mut settled = self;
        for (now, last) in settled.0.iter_mut().zip(last.0) {
            if *now < last && last - *now < step {
                *now = last;
            }
        }
        settled
    }

    /// Ticks per mode since `last`; `None` if the CPU was away in between.
    fn since(&self, last: &Self) -> Option<Growth> {
        let mut growth = Growth::default();
        for ((growth, now), last) in growth.iter_mut().zip(self.0).zip(last.0) {
            *growth = now.checked_sub(last)? as f64;
        }
        Some(growth)
    }
}

#[derive(Debug, Default)]
struct Sample {
    cpus: BTreeMap<u32, Ticks>,
    pressure: Pressure,
}

#[derive(Debug, Default)]
struct Cpu {
    last: Option<Timed<Sample>>,
}

impl Resource for Cpu {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let path = root.procfs.join("stat");
        let Some(text) = read::text(&path)? else {
            return Ok(None);
        };
        let mut cpus = parse(&text, &mut report.skipped);
        if cpus.is_empty() {
            return Err(read::malformed(&path, "time of any CPU"));
        }
        for (number, ticks) in &mut cpus {
            let last = self.last.as_ref();
            *ticks = ticks.settled(last.and_then(|last| last.value.cpus.get(number)));
        }
        let pressure = Pressure::read(root, "cpu", &mut report);
        let now = Timed {
            at: now,
            value: Sample { cpus, pressure },
        };
        raw(&now.value, &mut report);
        usage(self.last.as_ref(), &now, &mut report);
        interrupt::report(&text, &mut report);
        hardware::report(root, now.value.cpus.keys(), &mut report);
        self.last = Some(now);
        Ok(Some(report))
    }
}

fn parse(text: &str, skipped: &mut Skipped) -> BTreeMap<u32, Ticks> {
    // "cpu " is the sum, CPUs that are offline among it.
    let lines = text
        .lines()
        .filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "));
    let cpus = skipped.lines(lines, |line| {
        let (number, ticks) = line.strip_prefix("cpu")?.split_once(' ')?;
        Some((number.parse().ok()?, Ticks(read::numbers(ticks)?)))
    });
    cpus.into_iter().collect()
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

fn raw(sample: &Sample, report: &mut Use) {
    report.count(&LOGICAL_COUNT, [], sample.cpus.len() as u64);
    for (number, ticks) in &sample.cpus {
        let attributes = |mode: &str| {
            [
                ("cpu.logical_number", i64::from(*number).into()),
                ("cpu.mode", mode.into()),
            ]
        };
        for (mode, ticks) in MODES.iter().zip(ticks.0) {
            report.measure(&TIME, attributes(mode), seconds(ticks));
        }
        for (mode, column) in [("user", GUEST), ("nice", GUEST_NICE)] {
            report.measure(&GUEST_TIME, attributes(mode), seconds(ticks.0[column]));
        }
    }
    sample.pressure.raw(NAME, report);
}

fn usage(last: Option<&Timed<Sample>>, now: &Timed<Sample>, report: &mut Use) {
    let Some(interval) = Interval::between(last, now) else {
        return;
    };
    Pressure::saturation(interval.part(|sample| Some(&sample.pressure)), report);
    let last = last.map(|last| &last.value.cpus);
    let mut sum = Growth::default();
    for (number, ticks) in &now.value.cpus {
        let Some(growth) = last
            .and_then(|last| last.get(number))
            .and_then(|last| ticks.since(last))
        else {
            continue;
        };
        for (sum, growth) in sum.iter_mut().zip(growth) {
            *sum += growth;
        }
        shares(Some(&format!("cpu{number}")), growth, report);
    }
    shares(None, sum, report);
    for (mode, share) in MODES.iter().zip(sum.map(|mode| share(mode, sum))) {
        report.measure(&UTILIZATION, [("cpu.mode", (*mode).into())], share);
    }
}

/// Shares are of the ticks that were counted, not of the wall clock: the two differ by rounding,
/// and a virtual machine that stood still has no ticks at all.
fn share(part: f64, all: Growth) -> Option<f64> {
    let all: f64 = all.iter().sum();
    (all > 0.0).then(|| part / all)
}

fn shares(device: Option<&str>, growth: Growth, report: &mut Use) {
    let idle = share(growth[IDLE] + growth[IOWAIT], growth);
    report.utilization(device, idle.map(|idle| 1.0 - idle));
    report.saturation(device, &STEAL, share(growth[STOLEN], growth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_step_back_is_held_and_a_large_one_taken() {
        let tick = procfs::ticks_per_second();
        let mut last = Ticks::default();
        last.0[IDLE] = 100 * tick;
        let mut now = last;
        now.0[IDLE] -= 1;
        assert_eq!(now.settled(Some(&last)), last);
        now.0[IDLE] = 5 * tick;
        assert_eq!(now.settled(Some(&last)), now);
        assert_eq!(now.since(&last), None);
    }

    #[test]
    fn cpu_numbers_survive_an_offline_cpu() {
        let text =
            "cpu  1 1 1 1 1 1 1 1 1 1\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu2 1 2 3 4 5 6 7 8 9 10\n";
        let mut skipped = Skipped::default();
        let cpus = parse(text, &mut skipped);
        assert_eq!(cpus.keys().copied().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(skipped.count(), 0);
    }

    #[test]
    fn fault_28_a_cut_line_costs_only_its_cpu() {
        let mut skipped = Skipped::default();
        let cpus = parse("cpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 1 2 3", &mut skipped);
        assert_eq!(cpus.len(), 1);
        assert_eq!(skipped.count(), 1);
    }
}
