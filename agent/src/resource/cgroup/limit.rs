//! The lowest memory limit on the way up.

use std::collections::HashMap;

use super::{file::Files, hierarchy::Controller};

/// The effective `memory.max` of each cgroup that was asked for, in one snapshot: the pods of a
/// node have their parents in common.
#[derive(Debug, Default)]
pub(super) struct Limits(HashMap<String, Option<u64>>);

impl Limits {
    /// The lowest of the cgroup's own and its ancestors'; `None` where there is none. In a cgroup
    /// namespace those above its top aren't seen.
    pub(super) fn lowest(&mut self, files: &mut Files<'_>) -> Option<u64> {
        let path = files.path;
        let ends = path.match_indices('/').map(|(index, _)| index);
        let ends = ends.chain([path.len()]).filter(|end| *end != 1);
        let mut lowest = None;
        for end in ends {
            let Some(ancestor) = path.get(..end) else {
                continue;
            };
            lowest = match self.0.get(ancestor) {
                Some(limit) => *limit,
                None => self.learn(ancestor, lowest, files),
            };
        }
        lowest
    }

    fn learn(&mut self, path: &str, above: Option<u64>, files: &mut Files<'_>) -> Option<u64> {
        let mut files = Files {
            path,
            skipped: files.skipped,
            ..*files
        };
        let own = files.limit(Controller::Memory, "memory.max");
        let lowest = [own, above].into_iter().flatten().min();
        self.0.insert(path.to_owned(), lowest);
        lowest
    }
}
