//! Writers of a snapshot: Prometheus, OTLP, console.

pub mod prometheus;
pub mod web;
