//! Writers of a snapshot: Prometheus, OTLP, console.

<<<<<<< HEAD
pub mod prometheus;
pub mod web;
=======
pub mod otlp;
>>>>>>> h-otlp
