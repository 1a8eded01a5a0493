//! When which process is looked at.
//!
//! A program maps its libraries some milliseconds after its exec, some on demand later. So it is
//! looked at soon, once more, and a last time. Looks that are due together beyond what one moment
//! has time for wait; one that has waited for longer than until the next is left to that one.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

/// After how long a process is looked at, from its exec on.
const STAGES: [Duration; 3] = [
    Duration::from_millis(5),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

/// Most looks that wait at one time.
pub(super) const WAITING: usize = 16_384;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Look {
    due: Instant,
    tgid: u32,
    exec: Instant,
    stage: usize,
}

/// Looks to come.
#[derive(Debug, Default)]
pub(super) struct Schedule(BinaryHeap<Reverse<Look>>);

impl Schedule {
    /// A process has a new program; whether there was room for that.
    pub(super) fn exec(&mut self, tgid: u32, now: Instant) -> bool {
        let room = self.0.len() < WAITING;
        if room {
            self.add(tgid, now, 0);
        }
        room
    }

    fn add(&mut self, tgid: u32, exec: Instant, stage: usize) {
        if let Some(after) = STAGES.get(stage) {
            self.0.push(Reverse(Look {
                due: exec + *after,
                tgid,
                exec,
                stage,
            }));
        }
    }

    /// When the next look is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|look| look.0.due)
    }

    /// A process that is to be looked at by now.
    pub(super) fn due(&mut self, now: Instant) -> Option<u32> {
        while self.next().is_some_and(|due| due <= now) {
            let Reverse(look) = self.0.pop()?;
            let next = STAGES.get(look.stage + 1);
            self.add(look.tgid, look.exec, look.stage + 1);
            if next.is_none_or(|after| look.exec + *after > now) {
                return Some(look.tgid);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_at_three_times() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        assert!(schedule.exec(7, start));
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut seen = Vec::new();
        for milliseconds in 0..2_000 {
            while let Some(tgid) = schedule.due(at(milliseconds)) {
                seen.push((milliseconds, tgid));
            }
        }
        assert_eq!(seen, [(5, 7), (100, 7), (1_000, 7)]);
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn looks_that_come_late_are_one() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.exec(7, start);
        let late = start + Duration::from_millis(500);
        assert_eq!(schedule.due(late), Some(7));
        assert_eq!(schedule.due(late), None);
        assert_eq!(schedule.next(), Some(start + STAGES[2]));
    }

    #[test]
    fn fault_22_a_storm_of_programs_finds_an_end() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        let taken = (0..100_000)
            .filter(|tgid| schedule.exec(*tgid, start))
            .count();
        assert_eq!(taken, WAITING);
        let last = start + Duration::from_secs(2);
        let looks = std::iter::from_fn(|| schedule.due(last)).count();
        assert_eq!(looks, WAITING);
    }
}
