//! CPU time, the quota and what it holds back.

use super::{
    super::interval::Interval,
    descriptors as metric,
    file::Files,
    hierarchy::{Controller, Version},
    report::Report,
};

const NANOSECONDS: f64 = 1e9;
const NANOSECONDS_PER_MICROSECOND: u64 = 1_000;

/// Times in nanoseconds, whatever the file's unit is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cpu {
    usage: Option<u64>,
    user: Option<u64>,
    system: Option<u64>,
    /// Enforcement periods that have passed while the cgroup had work.
    periods: Option<u64>,
    throttled_periods: Option<u64>,
    /// Summed over the CPUs.
    throttled: Option<u64>,
    /// CPUs' worth of time that it may use; `None` without a quota.
    quota: Option<f64>,
}

impl Cpu {
    pub(super) fn read(files: &mut Files<'_>) -> Self {
        let mut cpu = match files.version(Controller::Cpu) {
            Some(Version::V2) => return Self::v2(files),
            Some(Version::V1) => Self::v1_quota(files),
            None => Self::default(),
        };
        if files.version(Controller::Cpuacct) == Some(Version::V1) {
            cpu.v1_time(files);
        }
        cpu
    }

    fn v2(files: &mut Files<'_>) -> Self {
        let names = [
            "usage_usec",
            "user_usec",
            "system_usec",
            "nr_periods",
            "nr_throttled",
            "throttled_usec",
        ];
        let [usage, user, system, periods, throttled_periods, throttled] =
            files.fields(Controller::Cpu, "cpu.stat", names);
        let nanoseconds =
            |time: Option<u64>| time.and_then(|it| it.checked_mul(NANOSECONDS_PER_MICROSECOND));
        let quota = files.text(Controller::Cpu, "cpu.max").and_then(|text| {
            let (quota, period) = text.trim().split_once(' ')?;
            (quota != "max").then(|| cores(files.parse(quota), files.parse(period)))?
        });
        Self {
            usage: nanoseconds(usage),
            user: nanoseconds(user),
            system: nanoseconds(system),
            periods,
            throttled_periods,
            throttled: nanoseconds(throttled),
            quota,
        }
    }

    fn v1_quota(files: &mut Files<'_>) -> Self {
        // Nanoseconds here, where version 2 has microseconds.
        let names = ["nr_periods", "nr_throttled", "throttled_time"];
        let [periods, throttled_periods, throttled] =
            files.fields(Controller::Cpu, "cpu.stat", names);
        let quota = files.limit(Controller::Cpu, "cpu.cfs_quota_us");
        let period = quota.and_then(|_| files.number(Controller::Cpu, "cpu.cfs_period_us"));
        Self {
            periods,
            throttled_periods,
            throttled,
            quota: cores(quota, period),
            ..Self::default()
        }
    }

    fn v1_time(&mut self, files: &mut Files<'_>) {
        let nanoseconds_per_tick = 1_000_000_000 / procfs::ticks_per_second();
        let ticks = files.fields(Controller::Cpuacct, "cpuacct.stat", ["user", "system"]);
        let [user, system] =
            ticks.map(|ticks| ticks.and_then(|it| it.checked_mul(nanoseconds_per_tick)));
        self.user = user;
        self.system = system;
        self.usage = files.number(Controller::Cpuacct, "cpuacct.usage");
    }

    /// Whether a quota is or was set. Without one the kernel writes zeros.
    fn is_limited(&self) -> bool {
        self.quota.is_some() || self.periods > Some(0)
    }

    pub(super) fn raw(&self, report: &mut Report<'_>) {
        for (mode, time) in [("user", self.user), ("system", self.system)] {
            let attributes = [("cpu.mode", mode.into())];
            report.measure(&metric::CPU_TIME, attributes, time.map(seconds));
        }
        if !self.is_limited() {
            return;
        }
        report.measure(&metric::CPU_LIMIT, [], self.quota);
        report.count(&metric::CPU_PERIODS, [], self.periods);
        report.count(&metric::CPU_THROTTLED_PERIODS, [], self.throttled_periods);
        report.measure(&metric::CPU_THROTTLED, [], self.throttled.map(seconds));
    }

    pub(super) fn method(interval: &Interval<'_, Self>, report: &mut Report<'_>) {
        let used = interval.rate(|cpu| cpu.usage);
        let share = used.zip(interval.now().quota);
        let share = share.map(|(used, quota)| used / NANOSECONDS / quota);
        report.utilization(&metric::CPU_QUOTA, share);
        if !interval.now().is_limited() {
            return;
        }
        let throttled = interval.growth(|cpu| cpu.throttled_periods);
        let share = throttled.zip(interval.growth(|cpu| cpu.periods));
        let share = share.map(|(throttled, periods)| match periods {
            // Without work no period passes, and none is throttled.
            0 => 0.0,
            periods => (throttled as f64 / periods as f64).min(1.0),
        });
        report.saturation(&metric::THROTTLED_PERIODS, share);
    }
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / NANOSECONDS
}

/// A quota of 50,000 us in each period of 100,000 us is half a CPU.
fn cores(quota: Option<u64>, period: Option<u64>) -> Option<f64> {
    let (quota, period) = quota.zip(period)?;
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}
