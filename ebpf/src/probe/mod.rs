//! One module per probe family: programs and their maps.

mod block;
mod drop;
mod http;
pub(crate) mod process;
pub(crate) mod sched;
mod syscall;
mod tcp;
mod tls;
mod udp;
mod uncovered;
