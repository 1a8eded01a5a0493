//! What an agent costs that has nothing to observe but processes that sleep.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use nix::{
    sys::{
        prctl,
        signal::{self, Signal},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, fork, pause},
};

use super::{
    Plan,
    figure::{Figure, Goal, Kind},
};

const MIB: f64 = (1 << 20) as f64;
/// From the start on, until what comes once is done.
const SETTLE: Duration = Duration::from_secs(15);
/// Loads' times in a measurement: several snapshots must fall into it.
const LOADS: u32 = 6;

/// How many processes, how often they are told, and the most that this may take of a CPU, in
/// percent.
struct Case {
    processes: usize,
    arguments: &'static [&'static str],
    goal: f64,
}

const CASES: [Case; 2] = [
    Case {
        processes: 300,
        arguments: &[],
        goal: 0.3,
    },
    Case {
        processes: 10_000,
        arguments: &["--snapshot.interval=15s"],
        goal: 1.0,
    },
];

pub(super) fn run(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for case in &CASES {
        let _processes = Processes::start(case.processes)?;
        let (mut share, mut rss) = (Vec::new(), Vec::new());
        for round in 0..plan.rounds {
            eprintln!(
                "    {} processes, round {} of {}",
                case.processes,
                round + 1,
                plan.rounds
            );
            let agent = plan.agent.start(case.arguments)?;
            thread::sleep(SETTLE);
            let before = agent.cpu_time()?;
            let window = plan.load * LOADS;
            thread::sleep(window);
            let used = agent.cpu_time()?.saturating_sub(before);
            share.push(100.0 * used.as_secs_f64() / window.as_secs_f64());
            rss.push(agent.memory("VmRSS")? as f64 / MIB);
        }
        let figure = |what: &str, unit, with, goal| Figure {
            name: format!("agent beside {} idle processes: {what}", case.processes),
            unit,
            base: Vec::new(),
            with,
            kind: Kind::Value,
            goal: Some(Goal::AtMost(goal)),
        };
        figures.push(figure("CPU", "% of a core", share, case.goal));
        if case.processes < 1_000 {
            figures.push(figure("resident memory", "MiB", rss, 40.0));
        }
    }
    Ok(figures)
}

/// Processes that sleep; ended when dropped, or when this one ends.
struct Processes(Vec<Pid>);

impl Processes {
    fn start(count: usize) -> Result<Self> {
        let mut processes = Self(Vec::with_capacity(count));
        for _ in 0..count {
            // SAFETY: the child makes system calls and nothing else.
            match unsafe { fork() }.context("forking")? {
                ForkResult::Parent { child } => processes.0.push(child),
                ForkResult::Child => {
                    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
                    loop {
                        pause();
                    }
                }
            }
        }
        Ok(processes)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for pid in &self.0 {
            // It fails for one that has ended, which is what is wanted.
            let _ = signal::kill(*pid, Signal::SIGKILL);
        }
        for pid in &self.0 {
            let _ = waitpid(*pid, None);
        }
    }
}
