//! When to ask again after a failure, and what the log says meanwhile.

use std::{collections::HashSet, time::Duration};

use tokio::time::Instant;

use super::failure::{Failure, Trouble};

/// How fast failures are followed by the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Pause after the first failure.
    pub first: Duration,
    /// Longest pause; each is twice the one before it until then.
    pub longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}

/// Pauses that grow, each shortened by a random part of up to a half: the agents of a cluster
/// must not come back all at once.
#[derive(Debug)]
pub(super) struct Backoff {
    pace: Pace,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            next: pace.first,
        }
    }

    pub(super) fn reset(&mut self) {
        self.next = self.pace.first;
    }

    /// The pause before the next try; at least as long as the server asked for.
    pub(super) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let whole = self.next.min(self.pace.longest);
        self.next = whole.saturating_mul(2);
        let jittered = whole.mul_f64(rand::random_range(0.5..=1.0));
        jittered.max(asked.unwrap_or_default())
    }
}

/// A time in which the API server doesn't answer. The log says each reason once, and its end.
#[derive(Debug, Default)]
pub(super) struct Outage {
    since: Option<Instant>,
    said: HashSet<Failure>,
}

impl Outage {
    pub(super) fn failed(&mut self, trouble: &Trouble) {
        let (reason, error) = (trouble.failure.reason(), &*trouble.text);
        // Part of the protocol: nothing is missing until the list has come.
        let is_usual = trouble.failure == Failure::Expired;
        if !is_usual {
            self.since.get_or_insert_with(Instant::now);
        }
        if !is_usual && self.said.insert(trouble.failure) {
            tracing::warn!(
                reason,
                error,
                "the Kubernetes API doesn't tell which pods there are; asked again until it does"
            );
        } else {
            tracing::debug!(reason, error, "the Kubernetes API doesn't answer");
        }
    }

    pub(super) fn ended(&mut self) {
        if let Some(since) = self.since.take() {
            let after = since.elapsed();
            tracing::info!(?after, "the Kubernetes API answers again");
        }
        self.said.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_begin_anew() {
        let pace = Pace {
            first: Duration::from_millis(100),
            longest: Duration::from_millis(350),
        };
        let mut backoff = Backoff::new(pace);
        for whole in [100, 200, 350, 350] {
            let pause = backoff.pause(None);
            let whole = Duration::from_millis(whole);
            assert!(
                (whole / 2..=whole).contains(&pause),
                "{pause:?} of {whole:?}"
            );
        }
        backoff.reset();
        assert!(backoff.pause(None) <= pace.first);
        let asked = Duration::from_secs(7);
        assert_eq!(backoff.pause(Some(asked)), asked);
    }
}
