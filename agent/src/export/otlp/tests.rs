//! The exporter as a whole: [`retries`] against a scripted transport in paused time, [`wire`]
//! and [`tls`] against a receiver on real sockets.

pub(crate) mod fixture;
pub(crate) mod receiver;
mod retries;
mod tls;
mod wire;
