//! What waits for the receiver, bounded in bytes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::stats::{Reason, SignalStats};

/// Bytes taken for one batch at most, as the queue counts them.
const MAX_TAKE_BYTES: usize = 4 << 20;

/// A queue from the pipeline to one sender.
///
/// Whoever pushes never waits: when the limit is reached the oldest entries make room, and are
/// counted.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    /// One consumer; a permit is kept while it is busy, so no push goes unnoticed.
    changed: Notify,
    limit: usize,
    stats: Arc<SignalStats>,
}

#[derive(Debug)]
struct State<T> {
    entries: VecDeque<Entry<T>>,
    bytes: usize,
    /// When the present batch began to gather.
    since: Instant,
    closed: bool,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    bytes: usize,
    items: u64,
}

impl<T> Queue<T> {
    pub(super) fn new(limit: usize, stats: Arc<SignalStats>) -> Self {
        Self {
            state: Mutex::new(State {
                entries: VecDeque::new(),
                bytes: 0,
                since: Instant::now(),
                closed: false,
            }),
            changed: Notify::new(),
            limit,
            stats,
        }
    }

    /// Adds `value`, which stands for `items` items and takes `bytes` of memory.
    pub(super) fn push(&self, value: T, bytes: usize, items: u64) {
        self.stats.capture(items);
        let mut state = self.lock();
        if state.closed {
            return self.stats.give_up(Reason::Shutdown, items);
        }
        if bytes > self.limit {
            return self.stats.give_up(Reason::QueueFull, items);
        }
        while state.bytes + bytes > self.limit
            && let Some(oldest) = state.entries.pop_front()
        {
            state.bytes -= oldest.bytes;
            self.stats.give_up(Reason::QueueFull, oldest.items);
        }
        if state.entries.is_empty() {
            state.since = Instant::now();
        }
        state.bytes += bytes;
        state.entries.push_back(Entry {
            value,
            bytes,
            items,
        });
        self.stats.set_queue_bytes(state.bytes);
        drop(state);
        self.changed.notify_one();
    }

    /// Takes the next batch, oldest first: when `most` entries wait, or the first of them has
    /// waited for `delay`, or the queue is closed. `None` when it is closed and empty.
    pub(super) async fn take(&self, delay: Duration, most: usize) -> Option<Vec<T>> {
        loop {
            let gathered = {
                let mut state = self.lock();
                let due = state.since + delay;
                match state.entries.len() {
                    0 if state.closed => return None,
                    0 => None,
                    waiting if state.closed || waiting >= most || due <= Instant::now() => {
                        return Some(self.take_now(&mut state, most));
                    }
                    _ => Some(due),
                }
            };
            match gathered {
                None => self.changed.notified().await,
                // Either way the next look decides.
                Some(due) => drop(timeout_at(due, self.changed.notified()).await),
            }
        }
    }

    fn take_now(&self, state: &mut State<T>, most: usize) -> Vec<T> {
        let mut taken = Vec::with_capacity(most.min(state.entries.len()));
        let mut bytes = 0;
        while taken.len() < most
            && (taken.is_empty() || bytes < MAX_TAKE_BYTES)
            && let Some(entry) = state.entries.pop_front()
        {
            bytes += entry.bytes;
            taken.push(entry.value);
        }
        state.bytes -= bytes;
        state.since = Instant::now();
        self.stats.set_queue_bytes(state.bytes);
        taken
    }

    /// Ends the queue: what is in it can still be taken, nothing more comes in.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Gives up all that is left.
    pub(super) fn discard(&self, reason: Reason) {
        let mut state = self.lock();
        let items = state.entries.drain(..).map(|entry| entry.items).sum();
        state.bytes = 0;
        self.stats.set_queue_bytes(0);
        self.stats.give_up(reason, items);
    }

    /// A panic elsewhere can't leave the state half changed: nothing in here panics between two
    /// changes, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
