//! What happened to everything that was handed over.
//!
//! For each signal, at any time: captured = exported + dropped (by reason) + waiting.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::signal::SignalKind;
use crate::export::{DROPPED, IO};
use crate::metric::{Attributes, Collector, Descriptor, Unit, Value};

/// Why something was not exported; the `reason` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The queue was full and this was the oldest in it.
    QueueFull,
    /// It alone is larger than a receiver takes, or the receiver refused even half the batch.
    TooLarge,
    /// The receiver answered that sending it again is no use.
    Refused,
    /// The receiver took the batch, without this (partial success).
    Rejected,
    /// Still failing when its time for retries was over.
    RetryTimeout,
    /// Not sent when the agent stopped.
    Shutdown,
    /// A metric whose value doesn't fit its kind.
    Invalid,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::QueueFull,
        Self::TooLarge,
        Self::Refused,
        Self::Rejected,
        Self::RetryTimeout,
        Self::Shutdown,
        Self::Invalid,
    ];

    /// The attribute's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::RetryTimeout => "retry_timeout",
            Self::Shutdown => "shutdown",
            Self::Invalid => "invalid",
        }
    }
}

/// One signal's numbers. Items are spans, log records or metric data points.
#[derive(Debug, Default)]
pub struct SignalStats {
    captured: AtomicU64,
    exported: AtomicU64,
    dropped: [AtomicU64; Reason::ALL.len()],
    waiting: AtomicU64,
    queue_bytes: AtomicU64,
    batches: AtomicU64,
    batch_bytes: AtomicU64,
    failures: AtomicU64,
    retries: AtomicU64,
}

impl SignalStats {
    /// Items came in and wait.
    pub(super) fn capture(&self, items: u64) {
        self.waiting.fetch_add(items, Relaxed);
        self.captured.fetch_add(items, Relaxed);
    }

    /// Waiting items were taken by the receiver.
    pub(super) fn export(&self, items: u64) {
        self.exported.fetch_add(items, Relaxed);
        self.waiting.fetch_sub(items, Relaxed);
    }

    /// Waiting items are given up.
    pub(super) fn give_up(&self, reason: Reason, items: u64) {
        self.dropped[reason as usize].fetch_add(items, Relaxed);
        self.waiting.fetch_sub(items, Relaxed);
    }

    pub(super) fn set_queue_bytes(&self, bytes: usize) {
        self.queue_bytes.store(bytes as u64, Relaxed);
    }

    /// A message was answered with success.
    pub(super) fn count_batch(&self, bytes: usize) {
        self.batches.fetch_add(1, Relaxed);
        self.batch_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// A request failed, for whatever reason.
    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    /// A message is sent once more.
    pub(super) fn count_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// Items that came in.
    #[must_use]
    pub fn captured(&self) -> u64 {
        self.captured.load(Relaxed)
    }

    /// Items that the receiver took.
    #[must_use]
    pub fn exported(&self) -> u64 {
        self.exported.load(Relaxed)
    }

    /// Items given up for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: Reason) -> u64 {
        self.dropped[reason as usize].load(Relaxed)
    }

    /// Items in the queue or on their way.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Bytes in the queue, without the batch on its way.
    #[must_use]
    pub fn queue_bytes(&self) -> u64 {
        self.queue_bytes.load(Relaxed)
    }

    /// Messages that the receiver answered with success.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches.load(Relaxed)
    }

    /// Requests that failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Requests that repeated an earlier one.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }
}

/// The numbers of all signals.
#[derive(Debug, Default)]
pub struct OtlpStats {
    traces: Arc<SignalStats>,
    metrics: Arc<SignalStats>,
    logs: Arc<SignalStats>,
}

impl OtlpStats {
    /// One signal's numbers.
    #[must_use]
    pub fn signal(&self, signal: SignalKind) -> &Arc<SignalStats> {
        match signal {
            SignalKind::Traces => &self.traces,
            SignalKind::Metrics => &self.metrics,
            SignalKind::Logs => &self.logs,
        }
    }

    /// Writes the numbers of the given signals into a snapshot.
    pub fn collect(&self, signals: impl IntoIterator<Item = SignalKind>, into: &mut Collector) {
        for kind in signals {
            let stats = self.signal(kind);
            let plain = [
                (&CAPTURED, &stats.captured),
                (&EXPORTED, &stats.exported),
                (&WAITING, &stats.waiting),
                (&QUEUE_BYTES, &stats.queue_bytes),
                (&BATCHES, &stats.batches),
                (&IO, &stats.batch_bytes),
                (&FAILURES, &stats.failures),
                (&RETRIES, &stats.retries),
            ];
            for (descriptor, number) in plain {
                let attributes = attributes(kind, None);
                into.push(descriptor, attributes, Value::Integer(number.load(Relaxed)));
            }
            for reason in Reason::ALL {
                let value = Value::Integer(stats.dropped(reason));
                into.push(&DROPPED, attributes(kind, Some(reason)), value);
            }
        }
    }
}

fn attributes(signal: SignalKind, reason: Option<Reason>) -> Attributes {
    let reason = reason.map(|reason| ("reason", reason.as_str().into()));
    [
        ("exporter", "otlp".into()),
        ("signal", signal.as_str().into()),
    ]
    .into_iter()
    .chain(reason)
    .collect()
}

const ITEM: Unit = Unit::Count("{item}");

/// The metrics that only this exporter has.
pub const DESCRIPTORS: &[&Descriptor] = &[
    &CAPTURED,
    &EXPORTED,
    &WAITING,
    &QUEUE_BYTES,
    &BATCHES,
    &FAILURES,
    &RETRIES,
];

static CAPTURED: Descriptor = Descriptor::counter(
    "sonde.export.captured",
    "Spans, log records or data points handed to an exporter",
    ITEM,
);
static EXPORTED: Descriptor = Descriptor::counter(
    "sonde.export.exported",
    "Items that the receiver took",
    ITEM,
);
static WAITING: Descriptor = Descriptor::up_down_counter(
    "sonde.export.waiting",
    "Items in the exporter's queue or on their way",
    ITEM,
);
static QUEUE_BYTES: Descriptor = Descriptor::up_down_counter(
    "sonde.export.queue.size",
    "Bytes in the exporter's queue",
    Unit::Bytes,
);
static BATCHES: Descriptor = Descriptor::counter(
    "sonde.export.batches",
    "Messages that the receiver answered with success",
    Unit::Count("{batch}"),
);
static FAILURES: Descriptor = Descriptor::counter(
    "sonde.export.failures",
    "Export requests that failed",
    Unit::Count("{request}"),
);
static RETRIES: Descriptor = Descriptor::counter(
    "sonde.export.retries",
    "Export requests that repeated an earlier one",
    Unit::Count("{request}"),
);
