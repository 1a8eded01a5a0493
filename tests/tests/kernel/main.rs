//! The kernel side on a real kernel: what the programs tell of workloads whose numbers are known.
//!
//! Runs as root on the machine's own kernel, and in the virtual machines of `cargo xtask vm`,
//! where there is nothing but this program and busybox. The workloads are this same program,
//! started again under the name of one; see [`child`].

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "system calls take and give C's integers"
)]
#![expect(
    clippy::enum_variant_names,
    clippy::format_collect,
    clippy::items_after_statements,
    clippy::large_stack_arrays,
    clippy::mut_mut,
    clippy::trivially_copy_pass_by_ref,
    reason = "plain workloads read better than what these ask for"
)]
#![expect(
    clippy::similar_names,
    reason = "what was counted before and after is named alike"
)]

mod attach;
mod block;
mod child;
mod drops;
mod harness;
mod http;
mod loss;
mod maps;
mod observed;
mod process;
mod programs;
mod sched;
mod sys;
mod syscalls;
mod tcp;
mod tls;
mod udp;
mod uring;
mod wake;
mod ways;

use std::process::ExitCode;

use child::Workload;
use harness::Test;

/// All tests, by the family that they are about.
const TESTS: &[&[Test]] = &[
    attach::TESTS,
    maps::TESTS,
    programs::TESTS,
    syscalls::TESTS,
    process::TESTS,
    tcp::bytes::TESTS,
    tcp::ends::TESTS,
    tcp::listen::TESTS,
    tcp::state::TESTS,
    tcp::whose::TESTS,
    http::bodies::TESTS,
    http::bodies::reads::TESTS,
    http::bodies::tls::TESTS,
    http::crowd::TESTS,
    http::framing::TESTS,
    http::heads::TESTS,
    http::life::TESTS,
    http::parts::cut::TESTS,
    http::parts::many::TESTS,
    http::queue::TESTS,
    http::queue::listener::TESTS,
    http::queue::streams::TESTS,
    http::transport::TESTS,
    http::whose::TESTS,
    tls::TESTS,
    udp::TESTS,
    uring::TESTS,
    ways::TESTS,
    loss::TESTS,
    wake::TESTS,
    sched::TESTS,
    sched::moved::TESTS,
    drops::TESTS,
    block::TESTS,
    block::failing::TESTS,
    block::limited::TESTS,
    block::unseen::TESTS,
    block::writeback::TESTS,
];

/// What the children do.
const WORKLOADS: &[&[Workload]] = &[
    attach::WORKLOADS,
    syscalls::WORKLOADS,
    process::WORKLOADS,
    tcp::bytes::WORKLOADS,
    tcp::ends::WORKLOADS,
    tcp::listen::WORKLOADS,
    tcp::state::WORKLOADS,
    tcp::whose::WORKLOADS,
    http::bodies::WORKLOADS,
    http::bodies::reads::WORKLOADS,
    http::bodies::tls::WORKLOADS,
    http::crowd::WORKLOADS,
    http::framing::WORKLOADS,
    http::heads::WORKLOADS,
    http::life::WORKLOADS,
    http::parts::cut::WORKLOADS,
    http::parts::many::WORKLOADS,
    http::queue::WORKLOADS,
    http::queue::listener::WORKLOADS,
    http::queue::streams::WORKLOADS,
    http::transport::WORKLOADS,
    http::whose::WORKLOADS,
    tls::WORKLOADS,
    udp::WORKLOADS,
    uring::WORKLOADS,
    ways::WORKLOADS,
    loss::WORKLOADS,
    wake::WORKLOADS,
    sched::WORKLOADS,
    sched::moved::WORKLOADS,
    drops::WORKLOADS,
    block::WORKLOADS,
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match child::as_workload(&arguments, WORKLOADS) {
        Some(code) => code,
        None => harness::run(&arguments, TESTS),
    }
}
