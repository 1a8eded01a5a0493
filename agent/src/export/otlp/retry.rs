//! When to try again.

use std::time::{Duration, SystemTime};

/// How long and how often a failed request is repeated.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryPolicy {
    /// Wait after the first failure.
    pub(super) initial: Duration,
    /// Longest wait between two attempts.
    pub(super) max: Duration,
    /// Time from a batch's first attempt after which it is given up.
    pub(super) give_up: Duration,
}

impl RetryPolicy {
    /// The OpenTelemetry collector's numbers.
    pub(super) const DEFAULT: Self = Self {
        initial: Duration::from_secs(1),
        max: Duration::from_secs(30),
        give_up: Duration::from_mins(5),
    };
}

/// Growth from one wait to the next.
const MULTIPLIER: f64 = 1.5;

/// The waits of one batch: exponential, each shortened by a random part of up to a half, so that
/// agents that failed together don't return together.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(super) fn new(policy: &RetryPolicy) -> Self {
        Self {
            next: policy.initial,
            max: policy.max,
        }
    }

    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next.min(self.max);
        self.next = wait.mul_f64(MULTIPLIER).min(self.max);
        wait.mul_f64(rand::random_range(0.5..=1.0))
    }
}

/// Longest wait that a receiver may ask for. What asks for more is taken to mean this: a slip in
/// a proxy's settings shall not silence an agent for a day.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The wait that a `Retry-After` header asks for (RFC 9110 section 10.2.3): seconds or a date.
/// `None` when it is neither; a date in the past means no wait.
pub(super) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a u64 holds is still a number of seconds, and far too many.
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(cap(Duration::from_secs(seconds)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(cap(date.duration_since(now).unwrap_or_default()))
}

/// `wait`, or the longest that is accepted.
pub(super) fn cap(wait: Duration) -> Duration {
    wait.min(MAX_RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn backoff_grows_to_its_maximum_and_jitters_within_half() {
        let mut backoff = Backoff::new(&RetryPolicy::DEFAULT);
        let mut expected = 1.0_f64;
        for _ in 0..20 {
            let wait = backoff.next().as_secs_f64();
            assert!(wait <= expected + 1e-9 && wait >= expected / 2.0 - 1e-9);
            expected = (expected * 1.5).min(30.0);
        }
    }

    #[test]
    fn fault_24_retry_after_seconds_date_and_garbage() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let parse = |text: &str| parse_retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(parse("1"), Some(1));
        assert_eq!(parse(" 3600 "), Some(3600));
        assert_eq!(parse("99999999999999999999999"), Some(3600));
        assert_eq!(parse("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
        assert_eq!(parse("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(parse("Sunday, 06-Nov-94 08:50:07 GMT"), Some(30));
        for garbage in ["", "-1", "1.5", "soon", "1 hour", "\u{661}"] {
            assert_eq!(parse(garbage), None, "{garbage:?}");
        }
    }

    proptest! {
        #[test]
        fn any_retry_after_is_bounded(text in ".*") {
            let wait = parse_retry_after(&text, SystemTime::now());
            prop_assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER));
        }
    }
}
