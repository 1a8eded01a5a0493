//! `cargo xtask`: set-up, run, test, VM matrix, benchmarks and reference of sonde.

#[path = "../../agent/build/toolchain.rs"]
mod toolchain;

#[expect(
    unreachable_pub,
    reason = "it is a public module of the tests' library"
)]
#[path = "../../tests/src/packages.rs"]
mod packages;

mod bench;
mod docs;
mod oracle;
mod run;
mod setup;
mod sh;
mod test;
mod vm;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Set-up, run, test, VM matrix and benchmarks of sonde.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing to build, and with --all what is missing to test
    Setup(setup::Args),
    /// Set up, build the agent and run it
    Run(run::Args),
    /// Set up, then every check of the project
    Test(test::Args),
    /// Run the kernel-facing tests on other kernels, in QEMU
    Vm(vm::Args),
    /// Measure what the agent costs, each figure against the same run without it
    Bench(bench::Args),
    /// Compare every span of a long random load with what was sent
    Oracle(oracle::Args),
    /// Write docs/metrics.md from the code's own descriptors
    Docs,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup(args) => setup::setup(&args),
        Command::Run(args) => run::run(&args),
        Command::Test(args) => test::test(&args),
        Command::Vm(args) => vm::vm(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Oracle(args) => oracle::oracle(&args),
        Command::Docs => docs::docs(),
    }
}
