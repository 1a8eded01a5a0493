//! `cargo xtask bench`: what the agent costs, each figure against the same run without it.
//!
//! Rounds are interleaved, without and with the agent in turn, so that a machine that gets slower
//! or faster meanwhile does so for both; figures are medians over rounds, shown with their range.

mod agent;
mod empty;
mod figure;
mod footprint;
mod http;
mod latency;
mod load;
mod processes;
mod report;
mod scrape;
mod switch;
mod syscall;
mod throughput;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};

use crate::{setup, sh, workspace};
use figure::Figure;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these benchmarks, by name
    #[arg(long, value_delimiter = ',', value_parser = bench_names())]
    only: Vec<String>,
    /// Print the benchmarks' names and what they measure, and do nothing
    #[arg(long)]
    list: bool,
    /// How often each is run without and with the agent
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of load in each round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The agent to measure, instead of a release build of these sources
    #[arg(long)]
    agent: Option<PathBuf>,
    /// Fail when a goal is missed
    #[arg(long)]
    check: bool,
}

/// What all benchmarks are given.
struct Plan {
    agent: agent::Program,
    rounds: u32,
    /// How long a load lasts.
    load: Duration,
}

struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn(&Plan) -> Result<Vec<Figure>>,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "syscall",
        about: "time of a system call, against an attached program that does nothing",
        run: syscall::run,
    },
    Bench {
        name: "switch",
        about: "time of a context switch, against an attached program that does nothing",
        run: switch::run,
    },
    Bench {
        name: "throughput",
        about: "nginx under saturation, and the agent's CPU time per request",
        run: throughput::run,
    },
    Bench {
        name: "tls",
        about: "the same over TLS",
        run: throughput::tls,
    },
    Bench {
        name: "bodies",
        about: "the same with bodies of 1 KiB and of 1 MiB",
        run: throughput::bodies,
    },
    Bench {
        name: "idle",
        about: "throughput beside 100 and beside 20,000 idle connections",
        run: throughput::idle,
    },
    Bench {
        name: "latency",
        about: "median latency at 2,000 requests/s",
        run: latency::run,
    },
    Bench {
        name: "footprint",
        about: "memory of the agent and of its maps after a load",
        run: footprint::run,
    },
    Bench {
        name: "processes",
        about: "CPU time and memory beside 300 and 10,000 processes that sleep",
        run: processes::run,
    },
    Bench {
        name: "scrape",
        about: "/metrics at 10,000 series",
        run: scrape::run,
    },
];

fn bench_names() -> clap::builder::PossibleValuesParser {
    BENCHES
        .iter()
        .map(|bench| bench.name)
        .collect::<Vec<_>>()
        .into()
}

/// Runs the chosen benchmarks, prints a table and writes `target/bench/report.json`.
pub(crate) fn bench(args: &Args) -> Result<()> {
    if args.list {
        for bench in BENCHES {
            println!("{:<12} {}", bench.name, bench.about);
        }
        return Ok(());
    }
    if !sh::is_root() {
        bail!("the agent and the empty program need root to attach: run as root");
    }
    let plan = plan(args)?;
    let chosen =
        |bench: &&Bench| args.only.is_empty() || args.only.iter().any(|name| name == bench.name);
    let (mut figures, mut failed) = (Vec::new(), Vec::new());
    for bench in BENCHES.iter().filter(chosen) {
        eprintln!("==> {}: {}", bench.name, bench.about);
        match (bench.run)(&plan) {
            Ok(measured) => figures.extend(measured),
            Err(error) => {
                eprintln!("{error:#}");
                failed.push(bench.name);
            }
        }
    }
    report::write(&plan, &figures)?;
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    let missed = figures
        .iter()
        .filter(|figure| figure.met() == Some(false))
        .count();
    if args.check && missed > 0 {
        bail!("{missed} goals missed");
    }
    Ok(())
}

fn plan(args: &Args) -> Result<Plan> {
    setup::test_needs()?;
    let agent = if let Some(agent) = &args.agent {
        agent.clone()
    } else {
        sh::run(sh::cargo().args(["build", "--release", "--package", "sonde"]))?;
        workspace::agent()?
    };
    let logs = report::directory().context("making the directory of the report")?;
    Ok(Plan {
        agent: agent::Program {
            program: agent,
            log: logs.join("agent.log"),
        },
        rounds: args.rounds,
        load: Duration::from_secs(args.seconds),
    })
}

impl Plan {
    /// One result of each side per round, both sides in turn and in turn the first.
    fn interleave<A, B>(
        &self,
        mut without: impl FnMut() -> Result<A>,
        mut with: impl FnMut() -> Result<B>,
    ) -> Result<Vec<(A, B)>> {
        let mut rounds = Vec::new();
        for round in 0..self.rounds {
            eprintln!("    round {} of {}", round + 1, self.rounds);
            rounds.push(if round % 2 == 0 {
                let without = without()?;
                (without, with()?)
            } else {
                let with = with()?;
                (without()?, with)
            });
        }
        Ok(rounds)
    }
}
