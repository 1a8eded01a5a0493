//! The time of one system call, bare, under an empty program and under the agent.

use std::{hint, time::Instant};

use anyhow::{Context as _, Result};
use nix::unistd::getppid;

use super::{
    Plan,
    empty::Empty,
    figure::{Figure, Goal, Kind},
};

/// Enough for the clock not to matter, few enough for a round of about a second.
const CALLS: u32 = 5_000_000;

/// One round: nanoseconds per call of each variant.
struct Round {
    bare: f64,
    empty: f64,
    counts: f64,
    sampled: f64,
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Figure>> {
    let mut rounds = Vec::new();
    time_per_call(); // Out of the measurement: the processor gets up to speed.
    for round in 0..plan.rounds {
        eprintln!("    round {} of {}", round + 1, plan.rounds);
        rounds.push(Round {
            bare: time_per_call(),
            empty: {
                let _empty = Empty::at(c"sys_exit").context("attaching the empty program")?;
                time_per_call()
            },
            counts: with_agent(plan, "off")?,
            sampled: with_agent(plan, "sampled")?,
        });
    }
    let column = |of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<_>>();
    let figure = |name: &str, base, with, goal| Figure {
        name: name.to_owned(),
        unit: "ns",
        base,
        with,
        kind: Kind::Ratio,
        goal,
    };
    let bare = || column(|round| round.bare);
    let empty = || column(|round| round.empty);
    let counts = || column(|round| round.counts);
    let sampled = || column(|round| round.sampled);
    Ok(vec![
        figure("syscall, empty program / bare", bare(), empty(), None),
        figure("syscall, counts / bare", bare(), counts(), None),
        figure("syscall, sampled durations / bare", bare(), sampled(), None),
        figure(
            "syscall, counts / empty program",
            empty(),
            counts(),
            Some(Goal::AtMost(1.5)),
        ),
        figure(
            "syscall, sampled durations / empty program",
            empty(),
            sampled(),
            Some(Goal::AtMost(2.0)),
        ),
    ])
}

fn with_agent(plan: &Plan, durations: &str) -> Result<f64> {
    let _agent = plan
        .agent
        .start(&["--collector.syscall.durations", durations])?;
    Ok(time_per_call())
}

/// Nanoseconds per getppid(2), which does next to nothing and isn't answered from a cache.
fn time_per_call() -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        hint::black_box(getppid());
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}
