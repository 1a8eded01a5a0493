//! How long exchanges took: by the generator's clock, and as the agent tells it.

use std::time::Duration;

/// The medians may differ by 5 %, or by so much.
const TOLERANCE: Duration = Duration::from_micros(50);

/// Two durations of each of many exchanges.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    pairs: Vec<(Duration, Duration)>,
}

impl Durations {
    pub(super) fn push(&mut self, sent: Duration, told: Duration) {
        self.pairs.push((sent, told));
    }

    /// The medians of the generator's durations and of the agent's.
    #[must_use]
    pub fn medians(&self) -> Option<(Duration, Duration)> {
        let sent = self.pairs.iter().map(|(sent, _)| *sent);
        let told = self.pairs.iter().map(|(_, told)| *told);
        Some((quantile(sent, 0.5)?, quantile(told, 0.5)?))
    }

    /// A quantile of the differences, whichever of the two is longer.
    #[must_use]
    pub fn difference(&self, share: f64) -> Option<Duration> {
        quantile(self.pairs.iter().map(|(a, b)| a.abs_diff(*b)), share)
    }

    /// The medians are within 5 % or 50 us of each other.
    #[must_use]
    pub fn agree(&self) -> bool {
        self.medians().is_none_or(|(sent, told)| {
            let allowed = (sent / 20).max(TOLERANCE);
            sent.abs_diff(told) <= allowed
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index"
)]
fn quantile(values: impl Iterator<Item = Duration>, share: f64) -> Option<Duration> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    let at = (values.len() as f64 * share) as usize;
    let last = values.len().checked_sub(1)?;
    values.get(at.min(last)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durations(pairs: &[(u64, u64)]) -> Durations {
        let mut durations = Durations::default();
        for (sent, told) in pairs {
            durations.push(Duration::from_micros(*sent), Duration::from_micros(*told));
        }
        durations
    }

    #[test]
    fn medians_agree_within_five_percent_or_fifty_microseconds() {
        assert!(Durations::default().agree());
        assert!(durations(&[(100, 150)]).agree());
        assert!(!durations(&[(100, 151)]).agree());
        assert!(durations(&[(10_000, 9_500)]).agree());
        assert!(!durations(&[(10_000, 9_499)]).agree());
        // One that is far off moves no median.
        assert!(durations(&[(100, 100), (100, 9_000), (100, 100)]).agree());
    }

    #[test]
    fn differences_have_no_sign() {
        let durations = durations(&[(10, 20), (20, 10), (10, 10)]);
        assert_eq!(durations.difference(0.5), Some(Duration::from_micros(10)));
        assert_eq!(Durations::default().difference(0.5), None);
    }
}
