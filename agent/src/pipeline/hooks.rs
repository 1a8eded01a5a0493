//! What became of the hooks, in the words of the log.

use crate::{
    kernel::attach::{HookReport, Outcome, distinct},
    probe::Family,
};

/// `21 of 21 hooks work`; without reports none of these families' does.
pub(super) fn summary(reports: Option<&[HookReport]>, families: &[&Family]) -> String {
    let works = |report: &&HookReport| matches!(report.outcome, Outcome::Attached(_));
    let (working, wanted) = match reports {
        Some(reports) => (reports.iter().filter(works).count(), reports.len()),
        None => (0, families.iter().map(|family| family.hooks.len()).sum()),
    };
    format!("{working} of {wanted} hooks work")
}

/// Hooks that aren't served for one reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unserved {
    /// The reason; where there are several, with the alternatives that each holds for.
    pub(super) reason: String,
    /// `FAMILY/HOOK` of each.
    pub(super) hooks: String,
    /// What there is not without them.
    pub(super) lost: String,
}

/// The one reason of all alternatives, else each with those that it holds for.
fn in_words(reasons: &[(&'static str, String)]) -> String {
    match distinct(reasons).as_slice() {
        [(_, only)] => (*only).to_owned(),
        several => several
            .iter()
            .map(|(alternatives, reason)| format!("{}: {reason}", alternatives.join(", ")))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// The hooks that aren't served, those of one reason together.
pub(super) fn unserved(reports: &[HookReport]) -> Vec<Unserved> {
    let mut groups: Vec<(String, Vec<&HookReport>)> = Vec::new();
    for report in reports {
        let Outcome::Skipped { reasons } = &report.outcome else {
            continue;
        };
        let reason = in_words(reasons);
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, reports)) => reports.push(report),
            None => groups.push((reason, vec![report])),
        }
    }
    let told = |(reason, reports): (String, Vec<&HookReport>)| {
        let name = |report: &&HookReport| format!("{}/{}", report.family, report.hook.name);
        let hooks: Vec<_> = reports.iter().map(name).collect();
        // Hooks of one family often stand for the same.
        let mut lost: Vec<_> = reports.iter().map(|report| report.hook.lost).collect();
        lost.dedup();
        Unserved {
            reason,
            hooks: hooks.join(", "),
            lost: lost.join("; "),
        }
    };
    groups.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{block, process};

    fn reports(family: &'static Family, outcome: impl Fn(usize) -> Outcome) -> Vec<HookReport> {
        let hooks = family.hooks.iter().enumerate();
        hooks
            .map(|(index, hook)| HookReport {
                family: family.name,
                hook,
                outcome: outcome(index),
            })
            .collect()
    }

    #[test]
    fn fault_27_hooks_that_miss_the_same_are_told_together() {
        let no_types = |_| Outcome::Skipped {
            reasons: vec![("tp_btf", "no BTF".into()), ("raw_tp", "no BTF".into())],
        };
        let reports = [
            reports(&block::FAMILY, no_types),
            reports(&process::FAMILY, |index| match index {
                0 => no_types(0),
                1 => Outcome::Skipped {
                    reasons: vec![("tp_btf", "refused".into()), ("raw_tp", "no BTF".into())],
                },
                _ => Outcome::Attached(&process::FAMILY.hooks[2].any_of[0]),
            }),
        ]
        .concat();
        let told = unserved(&reports);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0].reason, "no BTF");
        assert_eq!(
            told[0].hooks,
            "block/block_io_start, block/block_rq_issue, block/block_rq_requeue, block/block_rq_merge, \
             block/block_rq_complete, process/sched_process_fork"
        );
        let lost = "block I/O that the kernel queues has no service; ";
        assert!(told[0].lost.starts_with(lost), "{}", told[0].lost);
        assert_eq!(told[1].reason, "tp_btf: refused; raw_tp: no BTF");
        assert_eq!(told[1].hooks, "process/sched_process_exec");
        let working = reports.len() - block::FAMILY.hooks.len() - 2;
        let all = reports.len();
        assert_eq!(
            summary(Some(&reports), &[]),
            format!("{working} of {all} hooks work")
        );
    }

    #[test]
    fn without_a_kernel_side_no_hook_works() {
        assert_eq!(summary(None, &[&block::FAMILY]), "0 of 5 hooks work");
    }
}
