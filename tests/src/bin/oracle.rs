//! The oracle at any scale: runs its cases one after the other, prints the tables, and writes them
//! down. Started by `cargo xtask oracle`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser;
use sonde_tests::oracle::{Case, Load, document, run, tables};

/// Compare every span with what was sent.
#[derive(Parser)]
struct Args {
    /// Exchanges of each case
    #[arg(long, default_value_t = 100_000)]
    exchanges: u64,
    /// Connections at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    workers: u64,
    /// Exchanges of each case, one after the other, whose durations are compared
    #[arg(long, default_value_t = 2_000)]
    alone: u64,
    /// Only these, for example `nginx-clear-1.1`
    #[arg(long, value_delimiter = ',')]
    only: Vec<Case>,
    /// Judge durations as well: needs a machine that does nothing else
    #[arg(long)]
    timed: bool,
    /// Write the tables to this file; the rows of other cases stay
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    match compare(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything is as it must be.
fn compare(args: &Args) -> Result<bool> {
    let load = Load {
        exchanges: args.exchanges,
        workers: args.workers,
        alone: args.alone,
    };
    let chosen = |case: &Case| args.only.is_empty() || args.only.contains(case);
    let (mut outcomes, mut right) = (Vec::new(), true);
    for case in Case::all().filter(chosen) {
        eprintln!("==> {case}");
        let outcome = run(case, load).with_context(|| case.to_string())?;
        for fault in outcome.faults(args.timed) {
            eprintln!("{fault}");
            right = false;
        }
        outcomes.push(outcome);
        // What there is so far: a long run may be stopped.
        if let Some(file) = &args.write {
            let before = fs::read_to_string(file).unwrap_or_default();
            fs::write(file, document(&outcomes, &before))?;
        }
    }
    println!("{}", tables(&outcomes));
    Ok(right)
}
