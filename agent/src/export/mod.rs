//! Writers of a snapshot: Prometheus text over HTTP, and OTLP.

use crate::metric::{Descriptor, Kind, Unit};

pub mod otlp;
pub mod prometheus;
pub mod web;

/// Metrics that every exporter reports of itself, under its own `exporter` attribute.
pub const DESCRIPTORS: &[&Descriptor] = &[&IO, &DROPPED];

/// Bytes handed over.
pub static IO: Descriptor = Descriptor {
    name: "sonde.export.io",
    help: "Bytes of telemetry that a scraper or receiver took, before compression",
    unit: Unit::Bytes,
    kind: Kind::Counter,
};

/// Losses on the way out.
pub static DROPPED: Descriptor = Descriptor {
    name: "sonde.export.dropped",
    help: "Spans, log records or data points that the exporter gave up, by reason",
    unit: Unit::Count("{item}"),
    kind: Kind::Counter,
};
