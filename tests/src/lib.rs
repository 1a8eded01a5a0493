//! Helpers of the integration tests: the real `sonde`, real programs, and what comes of them.

pub mod agent;
pub mod bpf;
pub mod cgroup;
pub mod exposition;
pub mod frame;
pub mod http;
pub mod kubernetes;
pub mod lab;
pub mod node_exporter;
pub mod oracle;
pub mod otlp;
pub mod packages;
pub mod process;
pub mod promql;
pub mod reference;
pub mod span;
