//! `cargo xtask oracle`: every span of a long random load, compared with what was sent.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{setup, sh, workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Exchanges of each case
    #[arg(long, default_value_t = 100_000)]
    exchanges: u64,
    /// Connections at once
    #[arg(long, default_value_t = 4)]
    workers: u64,
    /// Exchanges of each case, one after the other, whose durations are compared
    #[arg(long, default_value_t = 2_000)]
    alone: u64,
    /// Only these, for example `nginx-clear-1.1`
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Judge durations as well: needs a machine that does nothing else
    #[arg(long)]
    timed: bool,
    /// Print the tables, and leave docs/oracle.md as it is
    #[arg(long)]
    no_write: bool,
}

/// Builds the agent and the generator, and compares.
pub(crate) fn oracle(args: &Args) -> Result<()> {
    if !sh::is_root() {
        bail!("the agent needs root to attach: run as root");
    }
    setup::test_needs()?;
    sh::run(sh::cargo().args(["build", "--release", "--package", "sonde"]))?;
    let mut build = sh::cargo();
    sh::run(build.args([
        "build",
        "--release",
        "--package",
        "sonde-tests",
        "--bin",
        "oracle",
    ]))?;
    let mut oracle = Command::new(workspace::target()?.join("release/oracle"));
    oracle
        .env("SONDE_BIN", workspace::agent()?)
        .arg(format!("--exchanges={}", args.exchanges))
        .arg(format!("--workers={}", args.workers))
        .arg(format!("--alone={}", args.alone));
    if !args.only.is_empty() {
        oracle.arg(format!("--only={}", args.only.join(",")));
    }
    if args.timed {
        oracle.arg("--timed");
    }
    if !args.no_write {
        oracle
            .arg("--write")
            .arg(workspace::root().join("docs/oracle.md"));
    }
    sh::run(&mut oracle)
}
