//! `cargo xtask test`: every check that the project has, in order, up to the first that fails.

mod fuzz;
mod steps;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::setup;
use steps::STEPS;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these steps, by name
    #[arg(long, value_delimiter = ',', value_parser = step_names())]
    only: Vec<String>,
    /// Print the steps' names and what they check, and do nothing
    #[arg(long)]
    list: bool,
    /// Go on where a step can't run on this machine, and say so, instead of failing
    #[arg(long)]
    allow_skip: bool,
    /// Run the steps after one that failed as well
    #[arg(long)]
    keep_going: bool,
}

/// One check.
struct Step {
    name: &'static str,
    /// What it checks, in a few words.
    about: &'static str,
    /// Why it can't run on this machine, and what to do about it; none when it can.
    blocked: fn() -> Option<String>,
    run: fn() -> Result<()>,
}

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

fn step_names() -> clap::builder::PossibleValuesParser {
    STEPS
        .iter()
        .map(|step| step.name)
        .collect::<Vec<_>>()
        .into()
}

/// Runs the chosen steps; an error when one failed.
pub(crate) fn test(args: &Args) -> Result<()> {
    if args.list {
        for step in STEPS {
            println!("{:<12} {}", step.name, step.about);
        }
        return Ok(());
    }
    heading("setup", "what the checks need");
    setup::test_needs()?;
    let chosen =
        |step: &&Step| args.only.is_empty() || args.only.iter().any(|name| name == step.name);
    let mut outcomes = Vec::new();
    for step in STEPS.iter().filter(chosen) {
        let (outcome, took) = run(step, args.allow_skip);
        outcomes.push((step.name, outcome, took));
        if outcome == Outcome::Failed && !args.keep_going {
            break;
        }
    }
    summarize(&outcomes)
}

fn run(step: &Step, allow_skip: bool) -> (Outcome, Duration) {
    heading(step.name, step.about);
    let start = Instant::now();
    let outcome = match (step.blocked)() {
        Some(why) if allow_skip => {
            println!("skipped: {why}");
            Outcome::Skipped
        }
        Some(why) => {
            println!("can't run here: {why} (--allow-skip to go on without)");
            Outcome::Failed
        }
        None => match (step.run)() {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                println!("{error:#}");
                Outcome::Failed
            }
        },
    };
    (outcome, start.elapsed())
}

fn heading(name: &str, about: &str) {
    println!("\n==> {name}: {about}");
}

fn summarize(outcomes: &[(&str, Outcome, Duration)]) -> Result<()> {
    println!();
    for (name, outcome, took) in outcomes {
        println!(
            "{:<8} {name:<12} {:>6.1} s",
            outcome.word(),
            took.as_secs_f64()
        );
    }
    let count = |wanted| {
        outcomes
            .iter()
            .filter(|(_, outcome, _)| *outcome == wanted)
            .count()
    };
    let (passed, failed) = (count(Outcome::Passed), count(Outcome::Failed));
    let skipped = match count(Outcome::Skipped) {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    println!("{passed} passed, {failed} failed{skipped}");
    if failed > 0 {
        bail!("not every check passed");
    }
    Ok(())
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}
