//! Writers of a snapshot: Prometheus, OTLP, console.

pub mod otlp;
