//! Byte streams to requests. No I/O: segments in, [`exchange::Exchange`]s out.
//!
//! [`Connections`] holds every connection; a connection holds two streams and pairs what comes
//! out of them; `http1` reads heads and `body` passes over bodies. Of the bytes, only heads are
//! ever kept: those that aren't whole yet, and a few that may come again.
//!
//! A multiplexed protocol pairs by stream number rather than by order: `http2` is a sibling of
//! `connection`, chosen in `protocol` by a connection's first bytes. They share the table, the pool
//! of exchanges, the counters and the kept strings.

pub mod counters;
pub mod exchange;
pub mod headers;
pub mod rpc;
pub mod script;
pub mod transport;

mod body;
mod connection;
mod http1;
mod http2;
mod protocol;
mod queue;
mod stream;
mod table;
mod text;
mod traceparent;

#[cfg(test)]
mod tests;

pub use self::table::{Connections, Limits};
