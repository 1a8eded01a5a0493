//! sonde, the agent: kernel events and /proc in, metrics, spans and logs out.
//!
//! `pipeline` is the only module that knows the order of the stages.

pub mod aggregate;
pub mod capability;
pub mod cli;
pub mod clock;
pub mod config;
pub mod enrich;
pub mod errno;
pub mod event;
pub mod export;
pub mod hash;
pub mod kernel;
pub mod l7;
pub mod metric;
pub mod pipeline;
pub mod probe;
mod reason;
pub mod reference;
pub mod resource;
pub mod root;
pub mod selfmon;
pub mod signal;
pub mod telemetry;
pub mod tls;
