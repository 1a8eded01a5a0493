//! Processes by state, as /proc tells them and as the kernel's own marks do.

use std::sync::{Mutex, PoisonError};

use super::{COUNT, UNINTERRUPTIBLE, ZOMBIE};
use crate::resource::Use;

/// Number of processes by state: the conventions' four, and two that they lack a value for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct States {
    running: u64,
    sleeping: u64,
    uninterruptible: u64,
    stopped: u64,
    defunct: u64,
    idle: u64,
}

impl States {
    /// Where a process in this state counts (fs/proc/array.c, `task_state_array`).
    pub(super) fn of(&mut self, state: char) -> Option<&mut u64> {
        Some(match state {
            'R' => &mut self.running,
            'S' => &mut self.sleeping,
            'D' => &mut self.uninterruptible,
            'T' | 't' => &mut self.stopped,
            'Z' | 'X' | 'x' => &mut self.defunct,
            // Kernel threads with nothing to do, and parked ones.
            'I' | 'P' => &mut self.idle,
            _ => return None,
        })
    }

    pub(super) fn report(&self, report: &mut Use) {
        for (state, count) in [
            ("running", self.running),
            ("sleeping", self.sleeping),
            ("uninterruptible", self.uninterruptible),
            ("stopped", self.stopped),
            ("defunct", self.defunct),
            ("idle", self.idle),
        ] {
            report.count(&COUNT, [("process.state", state.into())], count);
        }
        report.saturation(None, &UNINTERRUPTIBLE, self.uninterruptible as f64);
        report.saturation(None, &ZOMBIE, self.defunct as f64);
    }
}

/// Bits of a task's state and exit state (include/linux/sched.h, since 5.8).
mod bit {
    pub(super) const INTERRUPTIBLE: u32 = 1;
    pub(super) const UNINTERRUPTIBLE: u32 = 2;
    pub(super) const STOPPED: u32 = 4;
    pub(super) const TRACED: u32 = 8;
    pub(super) const DEAD: u32 = 16;
    pub(super) const ZOMBIE: u32 = 32;
    pub(super) const PARKED: u32 = 64;
    pub(super) const NOLOAD: u32 = 1024;
    pub(super) const FROZEN: u32 = 1 << 15;
    pub(super) const REPORTED: u32 = 127;
}

/// The letter that /proc has for these bits (`task_state_index`).
fn letter(state: u32) -> char {
    if state & bit::FROZEN != 0 {
        return 'D';
    }
    if state & (bit::UNINTERRUPTIBLE | bit::NOLOAD) == bit::UNINTERRUPTIBLE | bit::NOLOAD {
        return 'I';
    }
    let reported = state & bit::REPORTED;
    match reported.checked_ilog2().map(|highest| 1 << highest) {
        None => 'R',
        Some(bit::INTERRUPTIBLE) => 'S',
        Some(bit::UNINTERRUPTIBLE) => 'D',
        Some(bit::STOPPED) => 'T',
        Some(bit::TRACED) => 't',
        Some(bit::DEAD) => 'X',
        Some(bit::ZOMBIE) => 'Z',
        Some(bit::PARKED) => 'P',
        Some(_) => '?',
    }
}

/// A count of all processes by somebody who looks at them anyway: it spares a look at /proc.
#[derive(Debug, Default)]
pub struct Census(Mutex<Option<States>>);

impl Census {
    /// Counts processes by what the kernel has as their states.
    pub fn count(&self, processes: impl Iterator<Item = u32>) {
        let mut states = States::default();
        for state in processes {
            if let Some(count) = states.of(letter(state)) {
                *count += 1;
            }
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(states);
    }

    /// What was counted since this was asked last.
    pub(super) fn take(&self) -> Option<States> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_the_letters_of_proc() {
        let of = |states: &[u32]| {
            states
                .iter()
                .map(|state| letter(*state))
                .collect::<String>()
        };
        assert_eq!(of(&[0, 1, 2, 4, 8, 16, 32, 64]), "RSDTtXZP");
        // Waking up or dead and not yet reported; killable; idle; frozen while asleep.
        assert_eq!(of(&[0x200, 0x80, 0x102, 0x402, 0x8001]), "RRDID");
        // A zombie that hasn't left the CPU yet.
        assert_eq!(of(&[0x80 | 0x20]), "Z");
    }

    #[test]
    fn a_census_is_taken_once() {
        let census = Census::default();
        assert_eq!(census.take(), None);
        census.count([1, 1, 0, 0x402].into_iter());
        let states = census.take().unwrap();
        assert_eq!((states.sleeping, states.running, states.idle), (2, 1, 1));
        assert_eq!(census.take(), None);
    }
}
