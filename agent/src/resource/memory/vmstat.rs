//! The counters of `/proc/vmstat` that are reported (`vmstat_text` in `mm/vmstat.c`).

use std::collections::HashMap;

use crate::resource::{
    Root,
    read::{self, Skipped},
};

/// Sum of the kernel's `allocstall_*`, one for each zone.
pub(super) const ALLOCSTALL: &str = "allocstall";

/// What the reclaim of memory does, as `system.memory.linux.events` tells it.
pub(super) const EVENTS: &[&str] = &[
    "pgscan_kswapd",
    "pgscan_direct",
    "pgsteal_kswapd",
    "pgsteal_direct",
    "compact_stall",
    "compact_fail",
    "workingset_refault",
    "workingset_refault_anon",
    "workingset_refault_file",
    "thp_fault_alloc",
    "thp_fault_fallback",
];

/// The first of them before 5.9 only, the others from there on.
pub(super) const REFAULTS: &[&str] = &[
    "workingset_refault",
    "workingset_refault_anon",
    "workingset_refault_file",
];

const OTHERS: &[&str] = &["pgfault", "pgmajfault", "oom_kill", "pswpin", "pswpout"];

/// Counters by name.
#[derive(Debug, Default)]
pub(in crate::resource) struct Vmstat(HashMap<&'static str, u64>);

impl Vmstat {
    pub(in crate::resource) fn read(root: &Root, skipped: &mut Skipped) -> Self {
        let text = skipped.or_skip(read::text(&root.procfs.join("vmstat")));
        text.map(|text| Self::parse(&text, skipped))
            .unwrap_or_default()
    }

    pub(in crate::resource) fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    fn parse(text: &str, skipped: &mut Skipped) -> Self {
        let mut counters = HashMap::new();
        for line in text.lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            let Some(name) = known(name) else {
                continue;
            };
            match value.trim().parse::<u64>() {
                Ok(value) => {
                    let counter = counters.entry(name).or_insert(0_u64);
                    *counter = counter.saturating_add(value);
                }
                Err(_) => skipped.one(),
            }
        }
        Self(counters)
    }
}

fn known(name: &str) -> Option<&'static str> {
    if name.starts_with(ALLOCSTALL) {
        return Some(ALLOCSTALL);
    }
    let mut all = EVENTS.iter().chain(OTHERS);
    all.find(|known| **known == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_are_summed_over_the_zones_and_what_is_no_number_is_skipped() {
        let text =
            "allocstall_dma 1\nallocstall_normal 4\nallocstall_movable x\npgfault 7\nnr_free 9\n";
        let mut skipped = Skipped::default();
        let vmstat = Vmstat::parse(text, &mut skipped);
        assert_eq!(vmstat.get(ALLOCSTALL), Some(5));
        assert_eq!(vmstat.get("pgfault"), Some(7));
        assert_eq!(vmstat.get("nr_free"), None);
        assert_eq!(vmstat.get("oom_kill"), None);
        assert_eq!(skipped.count(), 1);
    }
}
