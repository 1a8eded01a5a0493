//! One module per probe family: programs and their maps.

mod block;
mod http;
mod process;
mod sched;
mod syscall;
mod tcp;
mod tls;
mod uncovered;
