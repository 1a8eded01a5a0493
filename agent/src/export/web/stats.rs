//! What the web server counts about itself.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{
    export::{DROPPED, IO},
    metric::{
        AttributeValue, Attributes, Collector, DURATION_BOUNDS, Descriptor, Histogram, Unit, Value,
    },
};

/// The metrics that only the web server has.
pub const DESCRIPTORS: &[&Descriptor] = &[&REQUESTS, &DURATION, &CONNECTIONS];

/// Requests by outcome.
static REQUESTS: Descriptor = Descriptor::counter(
    "sonde.export.requests",
    "Scrapes answered or pushes made, by outcome",
    Unit::Count("{request}"),
);

/// How long writing one snapshot takes.
static DURATION: Descriptor = Descriptor::histogram(
    "sonde.export.duration",
    "Time to write a snapshot in the exporter's format",
    Unit::Seconds,
);

/// Connections that ended early.
static CONNECTIONS: Descriptor = Descriptor::counter(
    "sonde.export.connection_errors",
    "Connections to the web server that were refused or cut off, by reason",
    Unit::Count("{connection}"),
);

const BUCKETS: usize = DURATION_BOUNDS.len() + 1;

/// Counters of the web server; shared, and read whenever a snapshot is made.
#[derive(Debug)]
pub struct WebStats {
    served: AtomicU64,
    refused: AtomicU64,
    not_ready: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
    connections_refused: AtomicU64,
    connections_timed_out: AtomicU64,
    accept_errors: AtomicU64,
}

impl Default for WebStats {
    fn default() -> Self {
        Self {
            served: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            not_ready: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            buckets: array::from_fn(|_| AtomicU64::new(0)),
            nanoseconds: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            connections_timed_out: AtomicU64::new(0),
            accept_errors: AtomicU64::new(0),
        }
    }
}

impl WebStats {
    pub(super) fn served(&self, duration: Duration, bytes: usize, dropped: usize) {
        self.served.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.dropped.fetch_add(dropped as u64, Relaxed);
        let seconds = duration.as_secs_f64();
        let bucket = DURATION_BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Relaxed);
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
    }

    pub(super) fn request_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn not_ready(&self) {
        self.not_ready.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Relaxed);
    }

    pub(super) fn connection_timed_out(&self) {
        self.connections_timed_out.fetch_add(1, Relaxed);
    }

    pub(super) fn accept_failed(&self) {
        self.accept_errors.fetch_add(1, Relaxed);
    }

    /// Adds the server's numbers to a snapshot, under `exporter="prometheus"`.
    pub fn collect(&self, collector: &mut Collector) {
        let one = |key: &'static str, value: &'static str| -> Attributes {
            [
                ("exporter", "prometheus".into()),
                (key, AttributeValue::from(value)),
            ]
            .into()
        };
        for (outcome, count) in [
            ("success", &self.served),
            ("too_many_requests", &self.refused),
            ("not_ready", &self.not_ready),
            ("failed", &self.failed),
        ] {
            collector.push(&REQUESTS, one("outcome", outcome), read(count));
        }
        for (reason, count) in [
            ("too_many_connections", &self.connections_refused),
            ("timeout", &self.connections_timed_out),
            ("accept", &self.accept_errors),
        ] {
            collector.push(&CONNECTIONS, one("error.type", reason), read(count));
        }
        let exporter: Attributes = [("exporter", "prometheus".into())].into();
        collector.push(&IO, exporter.clone(), read(&self.bytes));
        collector.push(
            &DROPPED,
            one("reason", "not_expressible"),
            read(&self.dropped),
        );
        let histogram = Histogram {
            bounds: DURATION_BOUNDS.into(),
            counts: self
                .buckets
                .iter()
                .map(|count| count.load(Relaxed))
                .collect(),
            sum: Duration::from_nanos(self.nanoseconds.load(Relaxed)).as_secs_f64(),
        };
        collector.push(&DURATION, exporter, Value::Histogram(histogram));
    }
}

fn read(count: &AtomicU64) -> Value {
    Value::Integer(count.load(Relaxed))
}
