//! System call counts out of the kernel's maps.

use std::{
    collections::{HashMap, HashSet},
    time::SystemTime,
};

use aya::Ebpf;
use sonde_common::{
    event::syscall::{CACHE_SLOTS, CachedCount, CountKey, DurationKey},
    hist::Log2,
};

use super::observer::Observer;
use crate::kernel::map;

const COUNTS: &str = "SYSCALL_COUNTS";
const DURATIONS: &str = "SYSCALL_DURATIONS";

/// Reads the counts, and removes those of processes that have ended.
#[derive(Debug, Default)]
pub(super) struct SyscallReader {
    /// Processes that ended and whose counts are still in the maps; whether the last reading
    /// found all of them in the shared map, none in a CPU's cache.
    ended: HashMap<u32, bool>,
}

impl SyscallReader {
    /// Brings the counts up to now; how many entries each map held.
    pub(super) fn read(
        &mut self,
        ebpf: &mut Ebpf,
        observer: &mut Observer,
    ) -> Result<[(&'static str, usize); 2], map::Error> {
        let now = SystemTime::now();
        // First the shared map: a count that moves there from a cache meanwhile is missed until
        // the next reading, and not counted twice.
        let mut counts: HashMap<CountKey, u64> = map::entries::<CountKey, u64>(ebpf, COUNTS)?
            .into_iter()
            .collect();
        let shared = counts.len();
        let mut cached = HashSet::new();
        for copies in map::per_cpu::<CachedCount>(ebpf, "SYSCALL_CACHE", CACHE_SLOTS)? {
            for slot in copies.iter().filter(|slot| slot.count != 0) {
                *counts.entry(slot.key).or_default() += slot.count;
                cached.insert(slot.key.tgid);
            }
        }
        let durations = map::entries::<DurationKey, Log2>(ebpf, DURATIONS)?;
        let processes = &mut observer.processes;
        observer.syscalls.fold_counts(
            now,
            counts.iter().map(|(key, count)| (*key, *count)),
            |tgid| processes.owner(tgid),
        );
        observer
            .syscalls
            .fold_durations(now, durations.iter().copied(), |tgid| processes.owner(tgid));
        for tgid in observer.ended.drain(..) {
            self.ended.insert(tgid, false);
        }
        // A new process may have the number already: its counts go on where the old one's ended.
        self.ended
            .retain(|tgid, _| !observer.processes.is_live(*tgid));
        let gone = self.settle(&cached);
        remove(ebpf, observer, &gone, counts.keys(), &durations)?;
        Ok([(COUNTS, shared), (DURATIONS, durations.len())])
    }

    /// Processes whose counts have all been in the shared map for a whole reading: what was
    /// folded in is complete.
    fn settle(&mut self, cached: &HashSet<u32>) -> HashSet<u32> {
        let mut gone = HashSet::new();
        self.ended.retain(|tgid, settled| {
            if cached.contains(tgid) {
                *settled = false;
            } else if *settled {
                gone.insert(*tgid);
                return false;
            } else {
                *settled = true;
            }
            true
        });
        gone
    }
}

/// Removes what the processes in `gone` have counted.
fn remove<'a>(
    ebpf: &mut Ebpf,
    observer: &mut Observer,
    gone: &HashSet<u32>,
    counts: impl Iterator<Item = &'a CountKey>,
    durations: &[(DurationKey, Log2)],
) -> Result<(), map::Error> {
    if gone.is_empty() {
        return Ok(());
    }
    let keys: Vec<CountKey> = counts
        .filter(|key| gone.contains(&key.tgid))
        .copied()
        .collect();
    map::remove::<CountKey, u64>(ebpf, COUNTS, keys)?;
    let keys = durations
        .iter()
        .map(|(key, _)| *key)
        .filter(|key| gone.contains(&key.tgid));
    map::remove::<DurationKey, Log2>(ebpf, DURATIONS, keys)?;
    for tgid in gone {
        observer.syscalls.deleted(*tgid);
    }
    Ok(())
}
