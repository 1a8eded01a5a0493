//! Processes and threads: how many, in which state, against what the kernel allows.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Error, Registration, Resource, Root, Use,
    method::{Signal, amount, counter},
    read,
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "processes";
/// Reading every process's state takes about 10 us each. Where that is longer than this, the
/// count by state is left out rather than given for a part of them.
const BUDGET: Duration = Duration::from_millis(500);
/// Enough of `/proc/PID/stat` for the number, the command (64 bytes at most) and the state.
const STAT_HEAD: usize = 128;

static COUNT: Descriptor = amount(
    "system.process.count",
    "Processes by state (/proc/PID/stat, field 3)",
    Unit::Count("{process}"),
);
static CREATED: Descriptor = counter(
    "system.process.created",
    "Processes and threads created since boot (/proc/stat, processes)",
    Unit::Count("{process}"),
);
static THREADS: Descriptor = amount(
    "system.process.threads",
    "Threads of all processes (/proc/loadavg, fourth field after the slash)",
    Unit::Count("{thread}"),
);
static LIMIT: Descriptor = amount(
    "system.process.limit",
    "Most threads that can exist (the lower of /proc/sys/kernel/pid_max and threads-max)",
    Unit::Count("{thread}"),
);

static UNINTERRUPTIBLE: Signal = Signal {
    name: "uninterruptible_length",
    help: "Processes that wait in the kernel, out of reach of signals, mostly for storage (/proc/PID/stat, state D)",
};
static ZOMBIE: Signal = Signal {
    name: "defunct_length",
    help: "Processes that have ended and whose parent has not taken note (/proc/PID/stat, state Z)",
};

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[&COUNT, &CREATED, &THREADS, &LIMIT],
    saturation: &[&UNINTERRUPTIBLE, &ZOMBIE],
    errors: &[],
    open: || Box::new(Processes),
};

#[derive(Debug)]
struct Processes;

impl Resource for Processes {
    fn sample(&mut self, root: &Root, _now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let path = root.procfs.join("loadavg");
        let Some(text) = read::text(&path)? else {
            return Ok(None);
        };
        let Some(threads) = parse_threads(&text) else {
            return Err(read::malformed(&path, "number of threads"));
        };
        report.count(&THREADS, [], threads);
        let kernel = root.procfs.join("sys/kernel");
        let limit = ["pid_max", "threads-max"]
            .map(|name| {
                report
                    .skipped
                    .or_skip(read::number::<u64>(&kernel.join(name)))
            })
            .into_iter()
            .flatten()
            .min()
            .filter(|limit| *limit > 0);
        report.count(&LIMIT, [], limit);
        report.utilization(None, limit.map(|limit| threads as f64 / limit as f64));
        let stat = report
            .skipped
            .or_skip(read::text(&root.procfs.join("stat")));
        report.count(&CREATED, [], stat.and_then(|stat| parse_created(&stat)));
        states(&root.procfs, &mut report);
        Ok(Some(report))
    }
}

/// `0.69 0.38 0.29 3/112 17454`: 3 of 112 threads are runnable.
fn parse_threads(loadavg: &str) -> Option<u64> {
    let field = loadavg.split_ascii_whitespace().nth(3)?;
    field.split_once('/')?.1.parse().ok()
}

fn parse_created(stat: &str) -> Option<u64> {
    let mut lines = stat.lines();
    let value = lines.find_map(|line| line.strip_prefix("processes "))?;
    value.trim().parse().ok()
}

/// Number of processes by state: the conventions' four, and two that they lack a value for.
#[derive(Debug, Default, PartialEq, Eq)]
struct States {
    running: u64,
    sleeping: u64,
    uninterruptible: u64,
    stopped: u64,
    defunct: u64,
    idle: u64,
}

impl States {
    /// Where a process in this state counts (fs/proc/array.c, `task_state_array`).
    fn of(&mut self, state: char) -> Option<&mut u64> {
        Some(match state {
            'R' => &mut self.running,
            'S' => &mut self.sleeping,
            'D' => &mut self.uninterruptible,
            'T' | 't' => &mut self.stopped,
            'Z' | 'X' | 'x' => &mut self.defunct,
            // Kernel threads with nothing to do, and parked ones.
            'I' | 'P' => &mut self.idle,
            _ => return None,
        })
    }
}

fn states(procfs: &Path, report: &mut Use) {
    let deadline = Instant::now() + BUDGET;
    let mut states = States::default();
    let mut seen = false;
    for name in read::directory(procfs, &mut report.skipped) {
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        if Instant::now() > deadline {
            report.skipped.one();
            return;
        }
        // One that ended since the directory was read is no loss.
        let stat = read::head::<STAT_HEAD>(&procfs.join(name).join("stat"));
        let Some(stat) = report.skipped.or_skip(stat) else {
            continue;
        };
        match parse_state(&stat).and_then(|state| states.of(state)) {
            Some(count) => {
                *count += 1;
                seen = true;
            }
            None => report.skipped.one(),
        }
    }
    // Not even the reader itself: its procfs belongs to another PID namespace.
    if !seen {
        return;
    }
    for (state, count) in [
        ("running", states.running),
        ("sleeping", states.sleeping),
        ("uninterruptible", states.uninterruptible),
        ("stopped", states.stopped),
        ("defunct", states.defunct),
        ("idle", states.idle),
    ] {
        report.count(&COUNT, [("process.state", state.into())], count);
    }
    report.saturation(None, &UNINTERRUPTIBLE, states.uninterruptible as f64);
    report.saturation(None, &ZOMBIE, states.defunct as f64);
}

/// The command in parentheses may hold anything, parentheses and newlines too; what follows the
/// last one can't.
fn parse_state(stat: &str) -> Option<char> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut state = rest.split_ascii_whitespace().next()?.chars();
    state.next().filter(|_| state.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_28_a_command_may_hold_parentheses_and_newlines() {
        assert_eq!(parse_state("7 (a) R (x\n) D 1 2"), Some('D'));
        assert_eq!(parse_state("7 (sh) S 1"), Some('S'));
        assert_eq!(parse_state("7 (cut"), None);
        assert_eq!(parse_state("7 (sh) "), None);
        assert_eq!(parse_state("7 (sh) SS 1"), None);
    }
}
