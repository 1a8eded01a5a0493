//! The exporter-neutral model: what a snapshot holds and every exporter writes.
//!
//! Names are OpenTelemetry's (`http.server.request.duration`, unit `s`); an exporter derives its
//! own spelling from name, unit and kind, so that a metric is described in exactly one place.

mod attribute;
mod collector;
mod descriptor;
mod renames;
mod sum;

use std::{sync::Arc, time::SystemTime};

pub use self::{
    attribute::{AttributeValue, Attributes},
    collector::Collector,
    descriptor::{Descriptor, Kind, Unit},
    renames::Renames,
};

/// Whose metrics: one service instance, or the host. Shared by all its points.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// Resource attributes in OpenTelemetry's names (`service.name`, `host.name`, ...).
    pub attributes: Attributes,
    /// The few of them that Prometheus series carry as labels; the rest is in `target_info`.
    /// Empty for the host.
    pub identity: Attributes,
}

/// A distribution: cumulative since `Point::start`.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper bounds (inclusive) of the buckets, ascending, without +Inf.
    pub bounds: Arc<[f64]>,
    /// Values per bucket, not cumulative; one more than `bounds`, the last for +Inf.
    pub counts: Vec<u64>,
    /// Exact sum.
    pub sum: f64,
}

impl Histogram {
    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A measured value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number (counters of things, bytes).
    Integer(u64),
    /// Any other number.
    Float(f64),
    /// A distribution.
    Histogram(Histogram),
}

/// A sample value with the trace that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// The value itself.
    pub value: f64,
    /// When.
    pub time: SystemTime,
    /// W3C trace id.
    pub trace_id: [u8; 16],
    /// W3C span id.
    pub span_id: [u8; 8],
}

/// One series' present value.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Whose.
    pub resource: Arc<Resource>,
    /// Attributes besides the resource's.
    pub attributes: Attributes,
    /// Since when a cumulative value counts.
    pub start: SystemTime,
    /// The value.
    pub value: Value,
    /// Recent examples; histograms only, at most one per bucket.
    pub exemplars: Vec<Exemplar>,
}

/// A metric with its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// What it is.
    pub descriptor: &'static Descriptor,
    /// Its series.
    pub points: Vec<Point>,
}

/// All metrics at one moment. Every exporter writes from the same one.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was made.
    pub time: SystemTime,
    /// The metrics, each descriptor once.
    pub families: Vec<Family>,
    /// The host's resource, for what a consumer says about the agent itself.
    pub host: Arc<Resource>,
    /// Services that an earlier snapshot knew by other identities.
    pub renames: Arc<Renames>,
}

/// Bucket bounds of the HTTP, RPC and TCP duration histograms, in seconds.
pub const DURATION_BOUNDS: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5,
    5.0, 7.5, 10.0,
];
