//! Two samples and the monotonic time between them.

use std::time::Instant;

/// A sample and when it was taken.
#[derive(Debug)]
pub(super) struct Timed<T> {
    pub(super) at: Instant,
    pub(super) value: T,
}

/// The last two samples of the same thing. Every rate goes through here, so that a counter that
/// went back (reset, hot-plug, wrap) gives no rate instead of a negative or a huge one.
#[derive(Debug)]
pub(super) struct Interval<'a, T> {
    last: &'a T,
    now: &'a T,
    seconds: f64,
}

impl<'a, T> Interval<'a, T> {
    /// `None` for the first sample, and when no time has passed.
    pub(super) fn between(last: Option<&'a Timed<T>>, now: &'a Timed<T>) -> Option<Self> {
        let last = last?;
        let seconds = now.at.checked_duration_since(last.at)?.as_secs_f64();
        (seconds > 0.0).then_some(Self {
            last: &last.value,
            now: &now.value,
            seconds,
        })
    }

    /// The same interval for a part of the sample, such as one device; `None` unless both have it.
    pub(super) fn part<U>(&self, pick: impl Fn(&'a T) -> Option<&'a U>) -> Option<Interval<'a, U>> {
        Some(Interval {
            last: pick(self.last)?,
            now: pick(self.now)?,
            seconds: self.seconds,
        })
    }

    /// The newer sample.
    pub(super) fn now(&self) -> &'a T {
        self.now
    }

    /// Growth of a counter; `None` when it went back or isn't in both samples.
    pub(super) fn growth<N: Into<Option<u64>>>(&self, counter: impl Fn(&T) -> N) -> Option<u64> {
        let last = counter(self.last).into()?;
        counter(self.now).into()?.checked_sub(last)
    }

    /// Growth of a counter per second.
    pub(super) fn rate<N: Into<Option<u64>>>(&self, counter: impl Fn(&T) -> N) -> Option<f64> {
        Some(self.growth(counter)? as f64 / self.seconds)
    }

    /// Growth of a counter of time, `per_second` units of it a second, as a share of the interval.
    /// Rounding and the moment of reading may make it a little more than 1, which is cut off.
    pub(super) fn share<N: Into<Option<u64>>>(
        &self,
        per_second: f64,
        counter: impl Fn(&T) -> N,
    ) -> Option<f64> {
        Some((self.rate(counter)? / per_second).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pair(last: u64, now: u64, after: Duration) -> (Timed<u64>, Timed<u64>) {
        let at = Instant::now();
        (
            Timed { at, value: last },
            Timed {
                at: at + after,
                value: now,
            },
        )
    }

    #[test]
    fn a_rate_is_growth_over_elapsed_time() {
        let (last, now) = pair(100, 150, Duration::from_secs(10));
        let interval = Interval::between(Some(&last), &now).expect("time passed");
        assert_eq!(interval.rate(|value| *value), Some(5.0));
        assert_eq!(interval.share(10.0, |value| *value), Some(0.5));
        assert_eq!(interval.share(1.0, |value| *value), Some(1.0));
    }

    #[test]
    fn a_counter_that_went_back_has_no_rate() {
        let (last, now) = pair(150, 100, Duration::from_secs(10));
        let interval = Interval::between(Some(&last), &now).expect("time passed");
        assert_eq!(interval.growth(|value| *value), None);
        assert_eq!(interval.rate(|value| *value), None);
    }

    #[test]
    fn there_is_no_interval_without_time_or_a_last_sample() {
        let (last, now) = pair(1, 2, Duration::ZERO);
        assert!(Interval::between(Some(&last), &now).is_none());
        assert!(Interval::between(None, &now).is_none());
    }
}
