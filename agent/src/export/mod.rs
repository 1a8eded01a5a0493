//! Writers of a snapshot: Prometheus, OTLP, console.
