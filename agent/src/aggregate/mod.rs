//! What was seen to metrics, spans and log records, under declared caps.
//!
//! Pure: no I/O, no clock of its own. One owner calls `observe`-like methods as things come in and
//! `collect` when a snapshot is made. Every table that outside input can grow has a
//! [`cardinality::Limits`]; what is over it is counted in an overflow series, never lost.

pub mod block;
pub mod cardinality;
pub mod distribution;
pub mod error_type;
#[cfg(test)]
pub(crate) mod fixture;
pub mod log2;
pub mod network;
pub mod process;
pub mod red;
pub mod route;
pub mod rpc;
pub mod server;
pub mod service;
pub mod span;
pub mod syscall;
pub mod tcp;
mod timed;
pub mod uncovered;
pub mod usage;
