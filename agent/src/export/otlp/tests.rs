//! The exporter as a whole: against a scripted transport in paused time ([`flow`], [`retries`]),
//! and against a receiver on real sockets ([`grpc`], [`http`], [`tls`]).

pub(crate) mod fixture;
mod flow;
mod grpc;
mod http;
pub(crate) mod receiver;
mod retries;
mod scripted;
mod tls;
mod wire;
