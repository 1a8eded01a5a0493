//! When a process started: what tells two users of one process id apart.

/// A process's start, from the kernel's records in nanoseconds or from field 22 of
/// `/proc/PID/stat` in clock ticks; both count from boot, suspend included.
#[derive(Clone, Copy, Debug)]
pub struct StartTime {
    ticks: u64,
    nanoseconds: Option<u64>,
}

impl StartTime {
    /// From `task_struct.start_boottime`.
    #[must_use]
    pub fn from_nanoseconds(nanoseconds: u64) -> Self {
        let tick = 1_000_000_000 / procfs::ticks_per_second().max(1);
        Self {
            ticks: nanoseconds / tick.max(1),
            nanoseconds: Some(nanoseconds),
        }
    }

    /// From `/proc/PID/stat`, clock ticks of `sysconf(_SC_CLK_TCK)`.
    #[must_use]
    pub fn from_ticks(ticks: u64) -> Self {
        Self {
            ticks,
            nanoseconds: None,
        }
    }

    /// Whether both describe the start of one process: exactly where both are exact, else within
    /// one tick, which the kernel's rounding may cost.
    #[must_use]
    pub fn matches(self, other: Self) -> bool {
        match (self.nanoseconds, other.nanoseconds) {
            (Some(left), Some(right)) => left == right,
            _ => self.ticks.abs_diff(other.ticks) <= 1,
        }
    }

    /// Whether this process is the older one.
    #[must_use]
    pub fn is_before(self, other: Self) -> bool {
        match (self.nanoseconds, other.nanoseconds) {
            (Some(left), Some(right)) => left < right,
            _ => self.ticks < other.ticks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StartTime;

    #[test]
    fn ticks_match_nanoseconds_within_one_tick() {
        let tick = 1_000_000_000 / procfs::ticks_per_second();
        let exact = StartTime::from_nanoseconds(500 * tick + tick / 2);
        for ticks in 499..=501 {
            assert!(exact.matches(StartTime::from_ticks(ticks)), "{ticks}");
        }
        assert!(!exact.matches(StartTime::from_ticks(498)));
        assert!(!exact.matches(StartTime::from_ticks(502)));
    }

    #[test]
    fn exact_times_match_exactly() {
        let start = StartTime::from_nanoseconds(7);
        assert!(start.matches(StartTime::from_nanoseconds(7)));
        assert!(!start.matches(StartTime::from_nanoseconds(8)));
        assert!(start.is_before(StartTime::from_nanoseconds(8)));
    }
}
