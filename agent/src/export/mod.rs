//! Writers of a snapshot: Prometheus, OTLP, console.

pub mod otlp;
pub mod prometheus;
pub mod web;
