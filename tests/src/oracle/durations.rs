//! How long exchanges took: by the generator's clock, and as the agent tells it.

use std::time::Duration;

use crate::span::Seen;

/// The medians may differ by 5 %, or by so much.
const TOLERANCE: Duration = Duration::from_micros(50);

/// The durations of one exchange.
#[derive(Clone, Copy, Debug)]
struct One {
    sent: Duration,
    told: Duration,
    /// How long the request lay in the server's socket, where that is told: no part of `told`.
    queued: Option<Duration>,
}

impl One {
    /// The span, and the time in the socket before it.
    fn whole(&self) -> Duration {
        self.told + self.queued.unwrap_or_default()
    }
}

/// The durations of many exchanges.
#[derive(Clone, Debug, Default)]
pub struct Durations(Vec<One>);

/// Their medians.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Medians {
    /// By the generator's clock.
    pub sent: Duration,
    /// Of the spans.
    pub told: Duration,
    /// Of the spans, with what each request lay in the socket; where that is told.
    pub with_queue: Option<Duration>,
}

impl Durations {
    pub(super) fn push(&mut self, sent: Duration, span: &Seen) {
        self.0.push(One {
            sent,
            told: span.duration,
            queued: span.queued,
        });
    }

    /// How many exchanges.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The medians; none of nothing.
    #[must_use]
    pub fn medians(&self) -> Option<Medians> {
        let of = |duration: fn(&One) -> Duration| quantile(self.0.iter().map(duration), 0.5);
        let queue_is_told = self.0.iter().any(|one| one.queued.is_some());
        let with_queue = of(One::whole);
        Some(Medians {
            sent: of(|one| one.sent)?,
            told: of(|one| one.told)?,
            with_queue: with_queue.filter(|_| queue_is_told),
        })
    }

    /// A quantile of the differences of each exchange, whichever of the two is longer.
    #[must_use]
    pub fn difference(&self, share: f64) -> Option<Duration> {
        let differences = self.0.iter().map(|one| one.sent.abs_diff(one.whole()));
        quantile(differences, share)
    }
}

impl Medians {
    /// What is to be as long as the generator's: the span, and the time in the socket before it.
    #[must_use]
    pub fn whole(&self) -> Duration {
        self.with_queue.unwrap_or(self.told)
    }

    /// They are within 5 % or 50 us of each other.
    #[must_use]
    pub fn agree(&self) -> bool {
        let allowed = (self.sent / 20).max(TOLERANCE);
        self.sent.abs_diff(self.whole()) <= allowed
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

    fn durations(all: &[(u64, u64, Option<u64>)]) -> Durations {
        let all = all.iter().map(|(sent, told, queued)| One {
            sent: Duration::from_micros(*sent),
            told: Duration::from_micros(*told),
            queued: queued.map(Duration::from_micros),
        });
        Durations(all.collect())
    }

    fn agree(all: &[(u64, u64, Option<u64>)]) -> Option<bool> {
        durations(all).medians().map(|medians| medians.agree())
    }

    #[test]
    fn medians_agree_within_five_percent_or_fifty_microseconds() {
        assert_eq!(agree(&[]), None);
        assert_eq!(agree(&[(100, 150, None)]), Some(true));
        assert_eq!(agree(&[(100, 151, None)]), Some(false));
        assert_eq!(agree(&[(10_000, 9_500, None)]), Some(true));
        assert_eq!(agree(&[(10_000, 9_499, None)]), Some(false));
        // One that is far off moves no median.
        let far = [(100, 100, None), (100, 9_000, None), (100, 100, None)];
        assert_eq!(agree(&far), Some(true));
    }

    #[test]
    fn the_time_in_the_socket_comes_before_the_span() {
        assert_eq!(agree(&[(100, 20, Some(30))]), Some(true));
        assert_eq!(agree(&[(100, 20, Some(29))]), Some(false));
        assert_eq!(agree(&[(100, 100, Some(51))]), Some(false));
    }

    #[test]
    fn differences_have_no_sign() {
        let durations = durations(&[(10, 20, None), (20, 10, None), (20, 10, Some(10))]);
        assert_eq!(durations.difference(0.5), Some(Duration::from_micros(10)));
        assert_eq!(durations.difference(0.0), Some(Duration::ZERO));
        assert_eq!(Durations::default().difference(0.5), None);
    }
}
