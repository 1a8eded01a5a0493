//! What became of each hook.

use super::{Attach, Programs};
use crate::probe::{Family, Hook};

/// What became of a hook.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is served, in this way.
    Attached(&'static Attach),
    /// No alternative works here.
    Skipped {
        /// Each alternative with the reason why it doesn't.
        reasons: Vec<(&'static str, String)>,
    },
}

/// A hook with what became of it.
#[derive(Clone, Debug)]
pub struct HookReport {
    /// The family.
    pub family: &'static str,
    /// The hook.
    pub hook: &'static Hook,
    /// What became of it.
    pub outcome: Outcome,
}

impl Programs {
    /// What became of each hook, in the order of the families.
    #[must_use]
    pub fn reports(&self) -> &[HookReport] {
        &self.reports
    }

    /// Whether this program is attached.
    #[must_use]
    pub fn is_attached(&self, name: &str) -> bool {
        self.reports.iter().any(
            |report| matches!(report.outcome, Outcome::Attached(attach) if attach.program == name),
        )
    }

    /// The way in which a hook is served.
    pub(super) fn served(&self, hook: &str) -> Option<&'static Attach> {
        self.reports.iter().find_map(|report| match report.outcome {
            Outcome::Attached(attach) if report.hook.name == hook => Some(attach),
            _ => None,
        })
    }

    /// Whether a hook is served, in whatever way.
    #[must_use]
    pub fn is_served(&self, hook: &str) -> bool {
        self.served(hook).is_some()
    }

    /// Whether all that a family needs is served, and anything of it at all.
    #[must_use]
    pub fn serves(&self, family: &Family) -> bool {
        let of_family = |report: &&HookReport| report.family == family.name;
        let served = |report: &HookReport| matches!(report.outcome, Outcome::Attached(_));
        let mut reports = self.reports.iter().filter(of_family);
        reports.clone().any(served) && reports.all(|report| served(report) || !report.hook.required)
    }

    /// Whether any program is attached.
    #[must_use]
    pub fn any_attached(&self) -> bool {
        let attached = |report: &HookReport| matches!(report.outcome, Outcome::Attached(_));
        self.reports.iter().any(attached)
    }
}
