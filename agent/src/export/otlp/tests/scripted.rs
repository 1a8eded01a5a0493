//! A transport whose outcomes are scripted, for tests in paused time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::fixture::span_signal;
use crate::export::otlp::{
    Otlp, OtlpConfig, RetryPolicy,
    message::{Message, PartialSuccess},
    transport::{Outcome, Transport},
};

/// What the receiver does with one request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Take,
    Partial(u64),
    Fail,
    Throttle(u64),
    TooLarge,
    Refuse,
    Hang,
}

/// A receiver that follows its script, then its last rule for ever.
#[derive(Clone)]
pub(super) struct Scripted {
    script: Arc<Mutex<VecDeque<Act>>>,
    pub(super) then: Arc<Mutex<Act>>,
    /// When each request came, and with how many items.
    requests: Arc<Mutex<Vec<(Duration, u64)>>>,
    began: Instant,
}

impl Scripted {
    pub(super) fn new(script: &[Act], then: Act) -> Self {
        Self {
            script: Arc::new(Mutex::new(script.iter().cloned().collect())),
            then: Arc::new(Mutex::new(then)),
            requests: Arc::default(),
            began: Instant::now(),
        }
    }

    pub(super) fn requests(&self) -> Vec<(Duration, u64)> {
        self.requests.lock().expect("not poisoned").clone()
    }

    /// Seconds at which requests came.
    pub(super) fn seconds(&self) -> Vec<f64> {
        self.requests()
            .iter()
            .map(|(time, _)| time.as_secs_f64())
            .collect()
    }
}

impl Transport for Scripted {
    async fn send(&mut self, message: &Message) -> Outcome {
        let request = (self.began.elapsed(), message.items);
        self.requests.lock().expect("not poisoned").push(request);
        let next = self.script.lock().expect("not poisoned").pop_front();
        let act = next.unwrap_or_else(|| self.then.lock().expect("not poisoned").clone());
        let error = "scripted".to_owned();
        match act {
            Act::Take => Outcome::Accepted(PartialSuccess::default()),
            Act::Partial(rejected) => Outcome::Accepted(PartialSuccess {
                rejected,
                message: "not those".to_owned(),
            }),
            Act::Fail => Outcome::Retry { after: None, error },
            Act::Throttle(seconds) => Outcome::Retry {
                after: Some(Duration::from_secs(seconds)),
                error,
            },
            Act::TooLarge => Outcome::TooLarge { error },
            Act::Refuse => Outcome::Refused { error },
            Act::Hang => {
                sleep(Duration::from_secs(10)).await;
                Outcome::Retry { after: None, error }
            }
        }
    }
}

pub(super) fn start(config: &OtlpConfig, traces: &Scripted) -> Otlp {
    Otlp::with_transports(
        config,
        RetryPolicy::DEFAULT,
        Some(traces.clone()),
        None,
        None,
    )
}

pub(super) fn push(otlp: &Otlp, spans: usize) {
    for _ in 0..spans {
        otlp.signal(span_signal("GET /"));
    }
}
