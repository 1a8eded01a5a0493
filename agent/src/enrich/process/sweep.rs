//! Comparison of the table with `/proc`: first fill, and the net under lost records.

use std::{collections::HashSet, fs};

use super::Processes;
use crate::enrich::{counter::Loss, observe};

impl Processes {
    /// Looks at up to `limit` processes of `/proc` and says whether a round is complete.
    ///
    /// A round adds the processes that aren't in the table, retires those that are gone, and
    /// replaces those whose number has another process now. Run rounds to the end at the start,
    /// before the kernel's records are read, and a slice of one now and then later. `now` is
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub fn sweep(&mut self, now: u64, limit: usize) -> bool {
        self.now = self.now.max(now);
        if self.pending.is_empty() {
            self.begin_round();
        }
        for _ in 0..limit {
            let Some(tgid) = self.pending.pop() else {
                break;
            };
            self.check(tgid);
        }
        self.pending.is_empty()
    }

    fn begin_round(&mut self) {
        let Ok(entries) = fs::read_dir(&self.procfs) else {
            self.losses.add(Loss::ProcInaccessible);
            return;
        };
        let mut present: Vec<u32> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .take(self.limits.processes)
            .collect();
        let is_complete = present.len() < self.limits.processes;
        // Taken from the end: the lowest numbers, mostly the oldest processes, come first.
        present.sort_unstable_by(|left, right| right.cmp(left));
        if is_complete {
            let known: HashSet<u32> = present.iter().copied().collect();
            let gone: Vec<u32> = self
                .slots
                .iter()
                .filter(|(tgid, slot)| slot.live.is_some() && !known.contains(tgid))
                .map(|(tgid, _)| *tgid)
                .collect();
            for tgid in gone {
                self.retire(tgid, self.now);
            }
        }
        self.pending = present;
    }

    fn check(&mut self, tgid: u32) {
        let live = self.slots.get(&tgid).and_then(|slot| slot.live.as_ref());
        let Some(start) = live.map(|live| live.start) else {
            self.look_up(tgid);
            return;
        };
        match observe::start_of(&self.procfs, tgid, &mut self.losses) {
            Some(now) if now.matches(start) => {}
            Some(_) => {
                self.retire(tgid, self.now);
                self.look_up(tgid);
            }
            None => self.retire(tgid, self.now),
        }
    }
}
