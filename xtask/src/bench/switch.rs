//! The time of a context switch, bare, under an empty program and under the agent's scheduler hook.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::{Pid, pipe},
};

use super::{
    Plan,
    empty::Empty,
    figure::{Figure, Goal, Kind},
};

/// Times that a byte goes there and back, a switch each way, between two looks at the clock; and how
/// often that is done. The least of them stands: what else the machine does only adds to it.
const ROUND_TRIPS: u32 = 2_000;
const BATCHES: u32 = 200;

/// What two threads wait in for each other. A descriptor says only by its file whether it is a socket:
/// no other call costs the hook as much.
const WAYS: [(&str, Way); 2] = [("read", by_pipes), ("futex", by_futexes)];

/// Gives nanoseconds per switch.
type Way = fn() -> Result<f64>;

/// One round: nanoseconds per switch of each variant.
struct Round {
    bare: f64,
    empty: f64,
    agent: f64,
}

impl Round {
    fn of(plan: &Plan, way: Way) -> Result<Self> {
        Ok(Self {
            bare: way()?,
            empty: {
                let _empty = Empty::at(c"sched_switch").context("attaching the empty program")?;
                way()?
            },
            agent: {
                let _agent = plan.agent.start(&ALONE)?;
                way()?
            },
        })
    }
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, way) in WAYS {
        let mut rounds = Vec::new();
        for round in 0..plan.rounds {
            eprintln!("    {name}, round {} of {}", round + 1, plan.rounds);
            rounds.push(Round::of(plan, way)?);
        }
        figures.extend(told(name, &rounds));
    }
    Ok(figures)
}

fn told(name: &str, rounds: &[Round]) -> [Figure; 3] {
    let column = |of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<_>>();
    let figure = |what: &str, base, with, kind, goal| Figure {
        name: format!("context switch in {name}, {what}"),
        unit: "ns",
        base,
        with,
        kind,
        goal,
    };
    let bare = column(|round| round.bare);
    let empty = || column(|round| round.empty);
    let agent = || column(|round| round.agent);
    let goal = Some(Goal::AtMost(100.0));
    [
        figure("empty program / bare", bare, empty(), Kind::Ratio, None),
        figure("agent / empty program", empty(), agent(), Kind::Ratio, None),
        figure(
            "agent - empty program",
            empty(),
            agent(),
            Kind::Difference,
            goal,
        ),
    ]
}

/// The scheduler's hooks, and those of TCP, which tell what a socket is and don't run here.
const ALONE: [&str; 4] = [
    "--no-collector.process",
    "--no-collector.syscall",
    "--no-collector.http",
    "--no-collector.block",
];

/// The least time that a batch of round trips takes, as nanoseconds per switch.
fn time(mut round_trip: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..ROUND_TRIPS {
            round_trip()?;
        }
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok(least * 1e9 / f64::from(2 * ROUND_TRIPS))
}

/// Two threads on one CPU wake each other.
fn by_futexes() -> Result<f64> {
    let ended = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&ended);
    let asker = thread::spawn(move || -> io::Result<f64> {
        stay()?;
        let asker = thread::current();
        let answer = thread::spawn(move || -> io::Result<()> {
            stay()?;
            while !ends.load(Ordering::Relaxed) {
                thread::park();
                asker.unpark();
            }
            Ok(())
        });
        let time = time(|| {
            answer.thread().unpark();
            thread::park();
            Ok(())
        });
        ended.store(true, Ordering::Relaxed);
        answer.thread().unpark();
        answer.join().expect("it doesn't panic")?;
        time
    });
    Ok(asker.join().expect("it doesn't panic")?)
}

/// Two threads on one CPU hand a byte to each other.
fn by_pipes() -> Result<f64> {
    let (read_there, write_there) = pipe()?;
    let (read_back, write_back) = pipe()?;
    let answer = thread::spawn(move || -> io::Result<()> {
        stay()?;
        let (mut read, mut write) = (File::from(read_there), File::from(write_back));
        let mut byte = [0; 1];
        while read.read(&mut byte)? == 1 {
            write.write_all(&byte)?;
        }
        Ok(())
    });
    let asked = thread::spawn(move || -> io::Result<f64> {
        stay()?;
        let (mut write, mut read) = (File::from(write_there), File::from(read_back));
        let mut byte = [0; 1];
        time(|| {
            write.write_all(&byte)?;
            read.read_exact(&mut byte)
        })
    });
    let time = asked.join().expect("it doesn't panic")?;
    answer.join().expect("it doesn't panic")?;
    Ok(time)
}

/// Keeps the calling thread on the first CPU.
fn stay() -> io::Result<()> {
    let mut first = CpuSet::new();
    first.set(0)?;
    sched_setaffinity(Pid::from_raw(0), &first)?;
    Ok(())
}
