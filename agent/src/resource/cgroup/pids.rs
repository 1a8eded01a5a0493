//! Threads against the limit.

use super::{
    super::interval::Interval, descriptors as metric, file::Files, hierarchy::Controller,
    report::Report,
};

/// The same files in both versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pids {
    current: Option<u64>,
    /// Its own; `None` without one.
    limit: Option<u64>,
    /// Forks and clones that a limit refused.
    refused: Option<u64>,
}

impl Pids {
    pub(super) fn read(files: &mut Files<'_>) -> Self {
        if files.version(Controller::Pids).is_none() {
            return Self::default();
        }
        let [refused] = files.fields(Controller::Pids, "pids.events", ["max"]);
        Self {
            current: files.number(Controller::Pids, "pids.current"),
            limit: files.limit(Controller::Pids, "pids.max"),
            refused,
        }
    }

    pub(super) fn raw(&self, report: &mut Report<'_>) {
        report.count(&metric::THREADS, [], self.current);
        report.count(&metric::THREAD_LIMIT, [], self.limit);
        let share = self.current.zip(self.limit.filter(|limit| *limit > 0));
        let share = share.map(|(current, limit)| current as f64 / limit as f64);
        report.utilization(&metric::THREAD_LIMITED, share);
        report.errors(&metric::FORK_REFUSED, self.refused);
    }

    pub(super) fn method(interval: &Interval<'_, Self>, report: &mut Report<'_>) {
        let rate = interval.rate(|pids| pids.refused);
        report.saturation(&metric::FORK_REFUSALS, rate);
    }
}
