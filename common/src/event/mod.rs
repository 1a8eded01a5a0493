//! One module per probe family: its ring records and its map types.

pub mod block;
pub mod connection;
pub mod drop;
pub mod http;
pub mod process;
pub mod sched;
pub mod syscall;
pub mod tcp;
pub mod tls;
