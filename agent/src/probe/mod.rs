//! Hook table of each probe family, and the decoder of their records.
//!
//! To add a hook: one function in the kernel side's file of the same stem, one row here in the
//! family's table.

pub mod block;
pub mod decode;
pub mod drop;
pub mod http;
pub mod process;
pub mod sched;
pub mod syscall;
pub mod tcp;
pub mod tls;
pub mod udp;

use crate::kernel::{
    attach::{Attach, Condition},
    feature::Kernel,
};

/// A place in the kernel that is watched.
#[derive(Debug)]
pub struct Hook {
    /// What is watched; the tracepoint's name where there is one.
    pub name: &'static str,
    /// Whether the family is worth nothing without it.
    pub required: bool,
    /// What a user loses without it.
    pub lost: &'static str,
    /// Ways to serve it, best first.
    pub any_of: &'static [Attach],
}

impl Hook {
    /// The ways that come after this one.
    #[must_use]
    pub fn after(&self, attach: &Attach) -> &'static [Attach] {
        let mut ways = self.any_of.iter();
        ways.find(|way| way.program == attach.program);
        ways.as_slice()
    }
}

/// A probe family: hooks that are switched on and off together.
#[derive(Debug)]
pub struct Family {
    /// Name in `--collector.NAME`.
    pub name: &'static str,
    /// What it gives.
    pub help: &'static str,
    /// Its hooks.
    pub hooks: &'static [Hook],
    /// Maps whose memory is of use to this family only.
    pub maps: &'static [&'static str],
}

/// All families, in the order in which they are attached: what a thread has used is added up by
/// `sched` before `process` tells of its process's end.
pub const FAMILIES: &[&Family] = &[
    &sched::FAMILY,
    &process::FAMILY,
    &syscall::FAMILY,
    &tcp::FAMILY,
    &http::FAMILY,
    &tls::FAMILY,
    &block::FAMILY,
    &drop::FAMILY,
    &udp::FAMILY,
];

/// The usual pair: `tp_btf` where the kernel has types, else `raw_tp`.
const fn tracepoint(
    name: &'static str,
    program: &'static str,
    raw: &'static str,
    when: Condition,
) -> [Attach; 2] {
    [
        Attach::tp_btf(program, name, when),
        Attach::raw_tp(raw, name, when),
    ]
}

/// No condition.
#[expect(clippy::unnecessary_wraps, reason = "a condition like the others")]
fn always(_: &Kernel) -> Result<(), String> {
    Ok(())
}

/// For programs that read kernel structures.
fn with_types(kernel: &Kernel) -> Result<(), String> {
    match &kernel.btf {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("no kernel types: {error}")),
    }
}

/// Kernel 6.3 and later.
fn with_socket_tracepoints(kernel: &Kernel) -> Result<(), String> {
    with_types(kernel)?;
    if kernel.has_socket_tracepoints() {
        Ok(())
    } else {
        Err(format!(
            "{} has no sock_recv_length and sock_send_length (kernel 6.3)",
            kernel.release
        ))
    }
}

/// Kernels before 6.3.
fn without_socket_tracepoints(kernel: &Kernel) -> Result<(), String> {
    with_types(kernel)?;
    if kernel.has_socket_tracepoints() {
        Err("only used where the socket tracepoints are missing".to_owned())
    } else {
        Ok(())
    }
}
