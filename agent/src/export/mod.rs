//! Writers of a snapshot: Prometheus text over HTTP, and OTLP.

use crate::metric::{Descriptor, Unit};

pub mod otlp;
pub mod prometheus;
pub mod web;

/// Metrics that every exporter reports of itself, under its own `exporter` attribute.
pub const DESCRIPTORS: &[&Descriptor] = &[&IO, &DROPPED];

/// Bytes handed over.
pub static IO: Descriptor = Descriptor::counter(
    "sonde.export.io",
    "Bytes of telemetry that a scraper or receiver took, before compression",
    Unit::Bytes,
);

/// Losses on the way out.
pub static DROPPED: Descriptor = Descriptor::counter(
    "sonde.export.dropped",
    "Spans, log records or data points that the exporter gave up, by reason",
    Unit::Count("{item}"),
);
