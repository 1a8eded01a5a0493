//! The real agent on the real kernel, told by programs that know nothing of it. Needs root, and
//! what `cargo xtask setup` installs.

mod answers;
mod bad_input;
mod bpftrace;
mod cardinality;
mod command;
mod dashboards;
mod exact;
mod faults;
mod grpc;
mod h2c;
mod kubernetes;
mod node_exporter;
mod oracle;
mod otlp;
mod privacy;
mod privileges;
mod restart;
mod runtimes;
mod saturation;
mod support;
mod syscalls;
mod tcp;
mod timing;
mod tls;
mod udp;
mod usage;
mod web;
mod wire;
mod without_btf;
