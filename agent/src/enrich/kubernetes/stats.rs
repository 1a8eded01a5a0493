//! What the thread that watches pods tells of itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::failure::Failure;
use crate::metric::{Attributes, Collector, Descriptor, Unit, Value};

/// Whether what is known of pods is up to date.
pub const UP: Descriptor = Descriptor::gauge(
    "sonde.kubernetes.up",
    "Whether the pods of this node are being watched: 1, or 0 while the Kubernetes API doesn't answer",
    Unit::None,
);
/// What the API has told.
pub const EVENTS: Descriptor = Descriptor::counter(
    "sonde.kubernetes.events",
    "What the Kubernetes API has told: pods that came or changed, pods that went, whole lists, bookmarks",
    Unit::None,
);
/// Watches that began.
pub const WATCHES: Descriptor = Descriptor::counter(
    "sonde.kubernetes.watches",
    "Watches on pods that began; the server ends each after some minutes",
    Unit::None,
);
/// What went wrong.
pub const FAILURES: Descriptor = Descriptor::counter(
    "sonde.kubernetes.failures",
    "Requests to the Kubernetes API that failed, by reason; each is made again",
    Unit::None,
);

/// All of them, for the reference.
pub const DESCRIPTORS: &[&Descriptor] = &[&UP, &EVENTS, &WATCHES, &FAILURES];

/// What the API can tell.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    Applied,
    Deleted,
    Listed,
    Bookmark,
}

const TOLD: [&str; 4] = ["applied", "deleted", "listed", "bookmark"];

/// Written by the thread, read by whoever makes a snapshot.
#[derive(Debug, Default)]
pub(super) struct Stats {
    up: AtomicBool,
    told: [AtomicU64; TOLD.len()],
    watches: AtomicU64,
    failures: [AtomicU64; Failure::ALL.len()],
}

impl Stats {
    pub(super) fn told(&self, what: Told) {
        self.told[what as usize].fetch_add(1, Relaxed);
    }

    /// A watch has begun.
    pub(super) fn watching(&self) {
        self.watches.fetch_add(1, Relaxed);
        self.up.store(true, Relaxed);
    }

    pub(super) fn failed(&self, failure: Failure) {
        self.failures[failure as usize].fetch_add(1, Relaxed);
        self.up.store(false, Relaxed);
    }

    pub(super) fn collect(&self, collector: &mut Collector) {
        let up = u64::from(self.up.load(Relaxed));
        collector.push(&UP, Attributes::none(), Value::Integer(up));
        for (name, count) in TOLD.iter().zip(&self.told) {
            let attributes = Attributes::from([("type", (*name).into())]);
            collector.push(&EVENTS, attributes, Value::Integer(count.load(Relaxed)));
        }
        let watches = Value::Integer(self.watches.load(Relaxed));
        collector.push(&WATCHES, Attributes::none(), watches);
        for (failure, count) in Failure::ALL.iter().zip(&self.failures) {
            let attributes = Attributes::from([("reason", failure.reason().into())]);
            collector.push(&FAILURES, attributes, Value::Integer(count.load(Relaxed)));
        }
    }
}
