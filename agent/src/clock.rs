//! The kernel's monotonic time to calendar time.
//!
//! Everything measured is a difference of `CLOCK_MONOTONIC` readings; calendar time is put on at
//! the very end. A step of the wall clock therefore moves timestamps and never a duration.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::{
    errno::Errno,
    time::{ClockId, clock_getres, clock_gettime},
};

/// How often the two clocks are read for one offset; the tightest reading stands.
const READINGS: usize = 4;

/// The offset from `CLOCK_MONOTONIC` to `CLOCK_REALTIME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Nanoseconds since the Unix epoch at monotonic time 0.
    boot: i128,
}

impl Clock {
    /// Reads both clocks.
    pub fn read() -> Result<Self, Errno> {
        let mut best: Option<(i128, i128)> = None;
        for _ in 0..READINGS {
            let before = nanoseconds(ClockId::CLOCK_MONOTONIC)?;
            let wall = nanoseconds(ClockId::CLOCK_REALTIME)?;
            let after = nanoseconds(ClockId::CLOCK_MONOTONIC)?;
            let width = after - before;
            if best.is_none_or(|(narrowest, _)| width < narrowest) {
                best = Some((width, wall - (before + width / 2)));
            }
        }
        let boot = best.map_or(0, |(_, boot)| boot);
        Ok(Self { boot })
    }

    /// A clock whose monotonic time 0 was at `boot`.
    #[must_use]
    pub fn with_boot(boot: SystemTime) -> Self {
        let boot = match boot.duration_since(UNIX_EPOCH) {
            Ok(after) => signed(after),
            Err(earlier) => -signed(earlier.duration()),
        };
        Self { boot }
    }

    /// Reads the clocks again: follows steps and slewing of the wall clock. The old offset stays
    /// when they can't be read.
    pub fn refresh(&mut self) -> Result<(), Errno> {
        *self = Self::read()?;
        Ok(())
    }

    /// Calendar time of a `CLOCK_MONOTONIC` reading in nanoseconds; the Unix epoch for anything
    /// before it.
    #[must_use]
    pub fn system_time(&self, monotonic: u64) -> SystemTime {
        let since_epoch = (self.boot + i128::from(monotonic)).max(0);
        let since_epoch = u64::try_from(since_epoch).unwrap_or(u64::MAX);
        UNIX_EPOCH
            .checked_add(Duration::from_nanos(since_epoch))
            .unwrap_or(UNIX_EPOCH)
    }

    /// Calendar times of an interval's ends. Both by the same offset, and the end never before
    /// the start.
    #[must_use]
    pub fn interval(&self, start: u64, end: u64) -> (SystemTime, SystemTime) {
        (self.system_time(start), self.system_time(end.max(start)))
    }

    /// `CLOCK_MONOTONIC` now, in nanoseconds.
    pub fn since_boot() -> Result<u64, Errno> {
        let now = nanoseconds(ClockId::CLOCK_BOOTTIME)?;
        Ok(u64::try_from(now).unwrap_or(0))
    }

    /// `CLOCK_MONOTONIC` now, nanoseconds.
    pub fn monotonic_now() -> Result<u64, Errno> {
        nanoseconds(ClockId::CLOCK_MONOTONIC).map(|now| u64::try_from(now).unwrap_or(0))
    }
}

/// Microseconds of the kernel's tick: what the coarse clocks go on by (`clock_getres(2)`).
#[must_use]
pub fn tick() -> u32 {
    let tick = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).map(Duration::from);
    tick.ok()
        .and_then(|tick| u32::try_from(tick.as_micros()).ok())
        .unwrap_or(10_000)
}

fn nanoseconds(clock: ClockId) -> Result<i128, Errno> {
    let time = clock_gettime(clock)?;
    Ok(i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
}

fn signed(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_by_the_kernels_clock_is_now() {
        let clock = Clock::read().unwrap();
        let ours = clock.system_time(Clock::monotonic_now().unwrap());
        let wall = SystemTime::now();
        let apart = wall
            .duration_since(ours)
            .unwrap_or_else(|earlier| earlier.duration());
        assert!(apart < Duration::from_secs(2), "{apart:?}");
    }

    #[test]
    fn fault_23_a_step_of_the_wall_clock_moves_timestamps_and_no_duration() {
        let noon = UNIX_EPOCH + Duration::from_hours(500_000);
        let before = Clock::with_boot(noon);
        let stepped_back = Clock::with_boot(noon - Duration::from_hours(1));
        for clock in [before, stepped_back] {
            let (start, end) = clock.interval(5_000_000_000, 5_250_000_000);
            assert_eq!(
                end.duration_since(start).unwrap(),
                Duration::from_millis(250)
            );
        }
        assert_eq!(
            before
                .system_time(1)
                .duration_since(stepped_back.system_time(1))
                .unwrap(),
            Duration::from_hours(1)
        );
    }

    #[test]
    fn fault_23_no_interval_is_negative() {
        let clock = Clock::with_boot(UNIX_EPOCH + Duration::from_secs(1));
        let (start, end) = clock.interval(10, 9);
        assert_eq!(start, end);
    }

    #[test]
    fn times_that_no_calendar_has_are_cut_to_what_there_is() {
        let clock = Clock::with_boot(UNIX_EPOCH - Duration::from_secs(10));
        assert_eq!(clock.system_time(0), UNIX_EPOCH);
        let late = Clock::with_boot(UNIX_EPOCH + Duration::from_hours(500_000));
        assert!(late.system_time(u64::MAX) > UNIX_EPOCH);
    }
}
