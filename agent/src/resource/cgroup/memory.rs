//! Memory against the limit, and what happens at it.

use super::{
    super::interval::Interval,
    descriptors as metric,
    file::Files,
    hierarchy::{Controller, Version},
    limit::Limits,
    report::Report,
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    usage: Option<u64>,
    /// Page cache that reclaim takes first.
    inactive_file: Option<u64>,
    anonymous: Option<u64>,
    swap: Option<u64>,
    /// The lowest of its own and its ancestors' that are seen.
    limit: Option<u64>,
    faults: Option<u64>,
    major_faults: Option<u64>,
    /// By [`EVENTS`].
    events: [Option<u64>; EVENTS.len()],
}

/// Names in `memory.events`.
const EVENTS: [&str; 4] = ["high", "max", "oom", "oom_kill"];
const MAX: usize = 1;
const OOM_KILL: usize = 3;

impl Memory {
    pub(super) fn read(files: &mut Files<'_>, limits: &mut Limits) -> Self {
        match files.version(Controller::Memory) {
            Some(Version::V2) => Self::v2(files, limits),
            Some(Version::V1) => Self::v1(files),
            None => Self::default(),
        }
    }

    fn v2(files: &mut Files<'_>, limits: &mut Limits) -> Self {
        let names = ["inactive_file", "anon", "pgfault", "pgmajfault"];
        let [inactive_file, anonymous, faults, major_faults] =
            files.fields(Controller::Memory, "memory.stat", names);
        Self {
            usage: files.number(Controller::Memory, "memory.current"),
            inactive_file,
            anonymous,
            swap: files.number(Controller::Memory, "memory.swap.current"),
            limit: limits.lowest(files),
            faults,
            major_faults,
            events: files.fields(Controller::Memory, "memory.events", EVENTS),
        }
    }

    fn v1(files: &mut Files<'_>) -> Self {
        // With total_ they have what is in the children too, as all of version 2's have.
        let names = [
            "total_inactive_file",
            "total_rss",
            "total_pgfault",
            "total_pgmajfault",
            "total_swap",
            "hierarchical_memory_limit",
        ];
        let [inactive_file, anonymous, faults, major_faults, swap, limit] =
            files.fields(Controller::Memory, "memory.stat", names);
        let [oom_kill] = files.fields(Controller::Memory, "memory.oom_control", ["oom_kill"]);
        Self {
            usage: files.number(Controller::Memory, "memory.usage_in_bytes"),
            inactive_file,
            anonymous,
            swap,
            limit: limit.filter(|limit| is_limit(*limit)),
            faults,
            major_faults,
            events: [
                None,
                files.number(Controller::Memory, "memory.failcnt"),
                None,
                oom_kill,
            ],
        }
    }

    /// What could not be had back at once, as the kubelet counts it.
    fn working_set(&self) -> Option<u64> {
        Some(self.usage?.saturating_sub(self.inactive_file?))
    }

    pub(super) fn raw(&self, report: &mut Report<'_>) {
        report.count(&metric::MEMORY_USAGE, [], self.usage);
        let working_set = self.working_set();
        report.count(&metric::MEMORY_WORKING_SET, [], working_set);
        report.count(&metric::MEMORY_RSS, [], self.anonymous);
        report.count(&metric::SWAP_USAGE, [], self.swap);
        report.count(&metric::MEMORY_LIMIT, [], self.limit);
        let minor = self.faults.zip(self.major_faults);
        let minor = minor.and_then(|(all, major)| all.checked_sub(major));
        for (kind, faults) in [("major", self.major_faults), ("minor", minor)] {
            let attributes = [("system.paging.fault.type", kind.into())];
            report.count(&metric::FAULTS, attributes, faults);
        }
        for (event, count) in EVENTS.into_iter().zip(self.events) {
            let attributes = [("system.cgroup.memory.event", event.into())];
            report.count(&metric::MEMORY_EVENTS, attributes, count);
        }
        let share = working_set.zip(self.limit.filter(|limit| *limit > 0));
        let share = share.map(|(used, limit)| used as f64 / limit as f64);
        report.utilization(&metric::MEMORY_LIMITED, share);
        report.errors(&metric::OOM_KILL, self.events[OOM_KILL]);
    }

    pub(super) fn method(interval: &Interval<'_, Self>, report: &mut Report<'_>) {
        let rate = interval.rate(|memory| memory.events[MAX]);
        report.saturation(&metric::AT_MEMORY_LIMIT, rate);
    }
}

/// Version 1 has no word for "none": it shows the most pages that a counter holds
/// (`PAGE_COUNTER_MAX`), which is short of `i64::MAX` by less than the largest page, 64 KiB.
const fn is_limit(bytes: u64) -> bool {
    bytes < i64::MAX.cast_unsigned() - 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_without_a_limit_shows_the_largest_counter_in_whole_pages() {
        for page in [4096_u64, 16_384, 65_536] {
            let none = i64::MAX.cast_unsigned() / page * page;
            assert!(!is_limit(none), "{page}");
        }
        assert!(is_limit(1 << 40));
    }
}
