//! What a process has used so far, and what came to it since it was last told.

use sonde_common::{
    event::sched::{FIRST_WAIT_BUCKET, SLEEPS, Usage, WAIT_BUCKETS},
    hist::Log2,
};

/// Running totals of one process: its threads that live, and those that have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Nanoseconds on a CPU, and how the tick sampled them.
    pub(super) cpu: u64,
    pub(super) user: u64,
    pub(super) system: u64,
    /// Nanoseconds runnable, and asleep by reason.
    pub(super) queued: u64,
    pub(super) slept: [u64; SLEEPS],
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    pub(super) voluntary_switches: u64,
    pub(super) involuntary_switches: u64,
    pub(super) read_bytes: u64,
    pub(super) write_bytes: u64,
    /// Bytes of UDP, received and sent.
    pub(super) udp: [u64; 2],
    /// Waits for a CPU; the kernel side's counts wrap.
    wait_sum: u64,
    waits: [u32; WAIT_BUCKETS],
}

/// All totals that only grow, for what is done to each of them.
macro_rules! each {
    ($left:expr, $right:expr, $apply:expr) => {{
        let apply = $apply;
        apply(&mut $left.cpu, $right.cpu);
        apply(&mut $left.user, $right.user);
        apply(&mut $left.system, $right.system);
        apply(&mut $left.queued, $right.queued);
        for (left, right) in $left.slept.iter_mut().zip($right.slept) {
            apply(left, right);
        }
        for (left, right) in $left.udp.iter_mut().zip($right.udp) {
            apply(left, right);
        }
        apply(&mut $left.minor_faults, $right.minor_faults);
        apply(&mut $left.major_faults, $right.major_faults);
        apply(&mut $left.voluntary_switches, $right.voluntary_switches);
        apply(&mut $left.involuntary_switches, $right.involuntary_switches);
        apply(&mut $left.read_bytes, $right.read_bytes);
        apply(&mut $left.write_bytes, $right.write_bytes);
    }};
}

impl Totals {
    /// Adds what one thread has used.
    pub(super) fn add(&mut self, usage: &Usage) {
        each!(self, usage, |left: &mut u64, right: u64| *left =
            left.saturating_add(right));
        self.wait_sum = self.wait_sum.wrapping_add(usage.waits.sum);
        for (left, right) in self.waits.iter_mut().zip(usage.waits.buckets) {
            *left = left.wrapping_add(right);
        }
    }

    /// Adds those of another process, waits left out.
    pub(super) fn join(&mut self, other: &Self) {
        each!(self, other, |left: &mut u64, right: u64| *left =
            left.saturating_add(right));
    }

    /// What these totals have grown by since they were `told`, which they become. A sum that was read
    /// while it changed, or of threads of which one ended meanwhile, may be a little behind: nothing
    /// grows then, and the next reading makes up for it.
    pub(super) fn growth(&self, told: &mut Self) -> Growth {
        let mut grown = Self {
            wait_sum: 0,
            waits: [0; WAIT_BUCKETS],
            ..self.clone()
        };
        each!(grown, told, |now: &mut u64, told: u64| *now =
            now.saturating_sub(told));
        each!(told, grown, |told: &mut u64, grown: u64| *told =
            told.saturating_add(grown));
        let mut waits = Log2::EMPTY;
        waits.sum = backwards_is_none(self.wait_sum.wrapping_sub(told.wait_sum), u64::MAX / 2);
        told.wait_sum = told.wait_sum.wrapping_add(waits.sum);
        let counts = self.waits.iter().zip(&mut told.waits);
        for (bucket, (now, told)) in waits.buckets.iter_mut().skip(FIRST_WAIT_BUCKET).zip(counts) {
            let grown = backwards_is_none(now.wrapping_sub(*told), u32::MAX / 2);
            *told = told.wrapping_add(grown);
            *bucket = grown.into();
            waits.count += u64::from(grown);
        }
        Growth { used: grown, waits }
    }
}

/// A difference of counters that wrap: what is more than `most` is a step back.
fn backwards_is_none<T: Copy + PartialOrd + Default>(grown: T, most: T) -> T {
    if grown > most { T::default() } else { grown }
}

/// What came to a process's totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Growth {
    /// Everything but the waits.
    pub(super) used: Totals,
    /// Waits for a CPU.
    pub(super) waits: Log2,
}

/// CPU time as `/proc/PID/stat` has it: the exact sum, shared out as the tick has sampled the modes
/// (`cputime_adjust` of kernel/sched/cputime.c). Neither part ever shrinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Modes {
    pub(super) user: u64,
    pub(super) system: u64,
}

impl Modes {
    /// Adds those of others.
    pub(super) fn join(&mut self, other: Self) {
        self.user += other.user;
        self.system += other.system;
    }

    /// Those of totals, given those of earlier totals.
    pub(super) fn of(totals: &Totals, before: Self) -> Self {
        let cpu = totals.cpu.max(before.user.saturating_add(before.system));
        let sampled = u128::from(totals.user) + u128::from(totals.system);
        let system = if totals.system == 0 {
            0
        } else {
            let share = u128::from(cpu) * u128::from(totals.system) / sampled;
            u64::try_from(share).unwrap_or(cpu)
        };
        let system = system.clamp(
            before.system,
            cpu.saturating_sub(before.user).max(before.system),
        );
        Self {
            user: cpu - system,
            system,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sonde_common::event::sched::Waits;

    use super::*;

    fn usage(cpu: u64, waits: u32) -> Usage {
        let mut usage = Usage {
            cpu,
            waits: Waits {
                sum: u64::from(waits) * 5_000,
                ..Waits::EMPTY
            },
            ..Usage::EMPTY
        };
        usage.waits.buckets[3] = waits;
        usage
    }

    fn totals(usages: &[Usage]) -> Totals {
        let mut totals = Totals::default();
        for usage in usages {
            totals.add(usage);
        }
        totals
    }

    #[test]
    fn growth_is_what_came_since() {
        let mut told = Totals::default();
        let first = totals(&[usage(10, 1), usage(5, 2)]).growth(&mut told);
        assert_eq!(
            (first.used.cpu, first.waits.count, first.waits.sum),
            (15, 3, 15_000)
        );
        assert_eq!(first.waits.buckets[FIRST_WAIT_BUCKET + 3], 3);
        let second = totals(&[usage(30, 1), usage(5, 3)]).growth(&mut told);
        assert_eq!((second.used.cpu, second.waits.count), (20, 1));
    }

    #[test]
    fn a_step_back_is_nothing_and_is_made_up_for() {
        let mut told = Totals::default();
        totals(&[usage(100, 10)]).growth(&mut told);
        let back = totals(&[usage(90, 9)]).growth(&mut told);
        assert_eq!(back, Growth::default());
        let next = totals(&[usage(110, 11)]).growth(&mut told);
        assert_eq!((next.used.cpu, next.waits.count), (10, 1));
    }

    #[test]
    fn counts_of_waits_wrap() {
        let mut told = totals(&[usage(0, u32::MAX)]);
        let grown = totals(&[usage(0, 4)]).growth(&mut told);
        assert_eq!(grown.waits.count, 5);
    }

    proptest! {
        #[test]
        fn modes_add_up_and_never_shrink(steps in prop::collection::vec((0_u64..1 << 40, 0_u64..1 << 40, 0_u64..1 << 40), 1..20)) {
            let mut sum = Totals::default();
            let mut before = Modes::default();
            for (cpu, user, system) in steps {
                sum.cpu += cpu;
                sum.user += user;
                sum.system += system;
                let now = Modes::of(&sum, before);
                prop_assert_eq!(now.user + now.system, sum.cpu);
                prop_assert!(now.user >= before.user && now.system >= before.system);
                before = now;
            }
        }
    }
}
