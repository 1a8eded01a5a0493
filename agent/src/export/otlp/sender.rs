//! The loop of one signal: take a batch, send it, see to what comes back.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use super::{
    message::{Assembled, Message, PartialSuccess},
    queue::Queue,
    retry::{Backoff, RetryPolicy},
    signal::SignalKind,
    stats::{Reason, SignalStats},
    transport::{Outcome, Transport},
};

/// What a queue holds and a batch of messages is made from.
pub(super) trait Batch: Sized + Send + 'static {
    fn assemble(batch: Vec<Self>) -> Assembled;
}

/// When the agent stops: `None` while it runs, then the time by which everything must be over.
pub(super) type Stop = watch::Receiver<Option<Instant>>;

/// Everything that one signal's loop works with.
pub(super) struct Sender<B, T> {
    pub(super) signal: SignalKind,
    pub(super) queue: Arc<Queue<B>>,
    pub(super) transport: T,
    pub(super) policy: RetryPolicy,
    pub(super) stats: Arc<SignalStats>,
    /// Longest wait and most entries of a batch.
    pub(super) gathering: (Duration, usize),
    pub(super) stop: Stop,
    pub(super) state: State,
}

/// What is known of the receiver.
#[derive(Debug, Default)]
pub(super) struct State {
    /// It asked not to be called before.
    throttled_until: Option<Instant>,
    /// The last request failed, and the log says so.
    is_failing: bool,
    /// Its warning without a rejection was logged.
    has_warned: bool,
    /// When the log was last told of data given up.
    complained: Option<Instant>,
}

/// A receiver that refuses everything shall not fill the log: the numbers tell how much it is.
const COMPLAINT_INTERVAL: Duration = Duration::from_mins(1);

/// The stop's deadline has passed, or will before anything more can be done.
struct Stopped;

/// The receiver takes no message of this size.
struct TooLarge {
    message: Message,
    error: String,
}

impl<B: Batch, T: Transport> Sender<B, T> {
    /// Runs until the queue is closed and empty, or the stop's deadline.
    pub(super) async fn run(mut self) {
        let (delay, most) = self.gathering;
        // What waits while the receiver wants to be left alone waits in the queue, where the
        // newest is kept, and not in a batch whose time for retries runs out.
        while self.wait_until(self.state.throttled_until).await.is_ok()
            && let Some(batch) = self.queue.take(delay, most).await
        {
            let assembled = B::assemble(batch);
            self.stats.give_up(Reason::TooLarge, assembled.oversized);
            for message in assembled.messages {
                self.deliver(message).await;
            }
        }
        self.queue.close();
        self.queue.discard(Reason::Shutdown);
    }

    /// Sends a message, in two halves if it is too large, until its fate is known and counted.
    async fn deliver(&mut self, message: Message) {
        let Err(TooLarge { message, error }) = self.deliver_whole(message).await else {
            return;
        };
        let Some(halves) = message.halve() else {
            return self.give_up(&message, Reason::TooLarge, &error);
        };
        for half in halves {
            if let Err(too_large) = self.deliver_whole(half).await {
                self.give_up(&too_large.message, Reason::TooLarge, &too_large.error);
            }
        }
    }

    async fn deliver_whole(&mut self, message: Message) -> Result<(), TooLarge> {
        // Another message of this batch may have been throttled for longer than it could wait.
        if self.wait_until(self.state.throttled_until).await.is_err() {
            self.give_up(&message, Reason::Shutdown, "the agent stops");
            return Ok(());
        }
        let give_up = Instant::now() + self.policy.give_up;
        let mut backoff = Backoff::new(&self.policy);
        loop {
            let Ok(outcome) = self.attempt(&message).await else {
                self.give_up(&message, Reason::Shutdown, "the agent stops");
                return Ok(());
            };
            let result = match outcome {
                Outcome::Accepted(partial) => {
                    self.accepted(&message, &partial);
                    return Ok(());
                }
                Outcome::TooLarge { error } => {
                    self.stats.count_failure();
                    return Err(TooLarge { message, error });
                }
                Outcome::Refused { error } => {
                    self.stats.count_failure();
                    Err((Reason::Refused, error))
                }
                Outcome::Retry { after, error } => {
                    self.failed(&error);
                    let paused = self.pause(after, backoff.next(), give_up).await;
                    paused.map_err(|reason| (reason, error))
                }
            };
            if let Err((reason, error)) = result {
                self.give_up(&message, reason, &error);
                return Ok(());
            }
            self.stats.count_retry();
        }
    }

    /// Waits before a retry, for as long as the receiver asked at least. Not at all when there
    /// won't be one, for the reason that is returned.
    async fn pause(
        &mut self,
        after: Option<Duration>,
        backoff: Duration,
        give_up: Instant,
    ) -> Result<(), Reason> {
        let next = Instant::now() + backoff.max(after.unwrap_or_default());
        if after.is_some() {
            self.state.throttled_until = Some(next);
        }
        if next > give_up {
            return Err(Reason::RetryTimeout);
        }
        let waited = self.wait_until(Some(next)).await;
        waited.map_err(|Stopped| Reason::Shutdown)
    }

    async fn attempt(&mut self, message: &Message) -> Result<Outcome, Stopped> {
        tokio::select! {
            biased;
            () = past_deadline(self.stop.clone()) => Err(Stopped),
            outcome = self.transport.send(message) => Ok(outcome),
        }
    }

    /// Waits, unless the stop's deadline comes first.
    async fn wait_until(&self, time: Option<Instant>) -> Result<(), Stopped> {
        let Some(time) = time else {
            return Ok(());
        };
        let mut stop = self.stop.clone();
        // As soon as it is known that the deadline comes first, there is nothing to wait for.
        let too_late = stop.wait_for(|deadline| deadline.is_some_and(|deadline| deadline < time));
        tokio::select! {
            Ok(_) = too_late => Err(Stopped),
            () = sleep_until(time) => Ok(()),
        }
    }

    fn accepted(&mut self, message: &Message, partial: &PartialSuccess) {
        let rejected = partial.rejected.min(message.items);
        self.stats.count_batch(message.bytes.len());
        self.stats.export(message.items - rejected);
        self.stats.give_up(Reason::Rejected, rejected);
        if std::mem::take(&mut self.state.is_failing) {
            info!(signal = %self.signal, "OTLP receiver takes data again");
        }
        let is_new = !self.state.has_warned;
        if !partial.message.is_empty() && (rejected > 0 || is_new) {
            self.state.has_warned = true;
            let reason = partial.message.as_str();
            warn!(signal = %self.signal, rejected, reason, "OTLP receiver took data with a warning");
        }
    }

    /// Counts a failed request; the log gets the first of a row.
    fn failed(&mut self, error: &str) {
        self.stats.count_failure();
        if !std::mem::replace(&mut self.state.is_failing, true) {
            warn!(signal = %self.signal, error, "OTLP receiver doesn't take data, trying again");
        }
    }

    /// Counts data that is lost; the log gets the first of a minute.
    fn give_up(&mut self, message: &Message, reason: Reason, error: &str) {
        self.stats.give_up(reason, message.items);
        let now = Instant::now();
        let last = self.state.complained;
        if last.is_none_or(|last| now - last >= COMPLAINT_INTERVAL) {
            self.state.complained = Some(now);
            let (signal, items, reason) = (self.signal, message.items, reason.as_str());
            warn!(%signal, items, reason, error, "OTLP data given up");
        }
    }
}

/// Ends when the stop's deadline has passed.
async fn past_deadline(mut stop: Stop) {
    let deadline = match stop.wait_for(Option::is_some).await {
        Ok(deadline) => *deadline,
        // The handle is gone without a word: nobody waits, so there is no deadline.
        Err(_) => None,
    };
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
