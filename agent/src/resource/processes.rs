//! Processes and threads: how many, in which state, against what the kernel allows.

mod states;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};

pub use self::states::Census;
use self::states::States;
use super::{
    Error, Registration, Resource, Root, Use,
    method::{Signal, amount, counter},
    read::{self, Skipped},
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "processes";
/// Reading every process's state takes about 10 us each. Where that is longer than this, the
/// count by state is left out rather than given for a part of them.
const BUDGET: Duration = Duration::from_millis(500);
/// The part of one CPU's time that looking at all processes may take: as long as they aren't many
/// they are looked at for every snapshot, 10,000 of them every 20 s.
const SHARE: f64 = 0.005;
/// Enough of `/proc/PID/stat` for the number, the command (64 bytes at most) and the state.
const STAT_HEAD: usize = 128;

static COUNT: Descriptor = amount(
    "system.process.count",
    "Processes by state, as of the last look at all of them (the kernel's task iterator; without it /proc/PID/stat, field 3, for 0.5 % of a CPU's time at most)",
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
    open: |census| Box::new(Processes::new(Arc::clone(census))),
};

#[derive(Debug)]
struct Processes {
    census: Arc<Census>,
    look: Option<Look>,
}

impl Processes {
    fn new(census: Arc<Census>) -> Self {
        Self { census, look: None }
    }
}

/// A look at all processes.
#[derive(Debug)]
struct Look {
    at: Instant,
    /// CPU time of this thread.
    cost: Duration,
    /// `None` where it took too long, or there was none to be seen.
    states: Option<States>,
}

impl Look {
    /// One that somebody else has made.
    fn free(now: Instant, states: States) -> Self {
        Self {
            at: now,
            cost: Duration::ZERO,
            states: Some(states),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at).mul_f64(SHARE) >= self.cost
    }
}

impl Resource for Processes {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
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
        if let Some(states) = self.census.take() {
            self.look = Some(Look::free(now, states));
        } else if self.look.as_ref().is_none_or(|look| look.is_over(now)) {
            self.look = Some(look(&root.procfs, now, &mut report.skipped));
        }
        if let Some(states) = self.look.as_ref().and_then(|look| look.states.as_ref()) {
            states.report(&mut report);
        }
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

fn look(procfs: &Path, now: Instant, skipped: &mut Skipped) -> Look {
    let began = cpu_time();
    let states = states(procfs, skipped);
    Look {
        at: now,
        cost: cpu_time().saturating_sub(began),
        states,
    }
}

/// What this thread has used; nothing where the kernel can't tell, and every snapshot has its look.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

fn states(procfs: &Path, skipped: &mut Skipped) -> Option<States> {
    let deadline = Instant::now() + BUDGET;
    let mut states = None;
    for name in read::directory(procfs, skipped) {
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        if Instant::now() > deadline {
            skipped.one();
            return None;
        }
        // One that ended since the directory was read is no loss.
        let stat = read::head::<STAT_HEAD>(&procfs.join(name).join("stat"));
        let Some(stat) = skipped.or_skip(stat) else {
            continue;
        };
        let seen = states.get_or_insert_with(States::default);
        match parse_state(&stat).and_then(|state| seen.of(state)) {
            Some(count) => *count += 1,
            None => skipped.one(),
        }
    }
    // Not even the reader itself: its procfs belongs to another PID namespace.
    states.filter(|states| *states != States::default())
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
    use std::fs;

    use super::*;
    use crate::resource::tests::{rendered, root};

    #[test]
    fn fault_28_a_command_may_hold_parentheses_and_newlines() {
        assert_eq!(parse_state("7 (a) R (x\n) D 1 2"), Some('D'));
        assert_eq!(parse_state("7 (sh) S 1"), Some('S'));
        assert_eq!(parse_state("7 (cut"), None);
        assert_eq!(parse_state("7 (sh) "), None);
        assert_eq!(parse_state("7 (sh) SS 1"), None);
    }

    /// A tree of that many sleeping processes.
    fn tree(processes: u32) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = root(directory.path());
        fs::create_dir(&root.procfs).unwrap();
        fs::write(root.procfs.join("loadavg"), "0.1 0.2 0.3 1/9 99\n").unwrap();
        for id in 1..=processes {
            add(&root, id, 'S');
        }
        (directory, root)
    }

    fn add(root: &Root, id: u32, state: char) {
        let process = root.procfs.join(id.to_string());
        fs::create_dir(&process).unwrap();
        fs::write(process.join("stat"), format!("{id} (x) {state} 1 1")).unwrap();
    }

    fn sleeping(processes: &mut Processes, root: &Root, now: Instant) -> String {
        let report = processes.sample(root, now).unwrap().unwrap();
        let all = rendered(report);
        let of = all.lines().find(|line| line.contains("sleeping")).unwrap();
        of.rsplit(' ').next().unwrap().to_owned()
    }

    #[test]
    fn what_somebody_else_has_counted_is_told_until_nobody_does() {
        let (_directory, root) = tree(3);
        let mut processes = Processes::new(Arc::default());
        let now = Instant::now();
        processes.census.count([1, 1].into_iter());
        assert_eq!(sleeping(&mut processes, &root, now), "2");
        let after = now + Duration::from_secs(1);
        assert_eq!(sleeping(&mut processes, &root, after), "3");
    }

    #[test]
    fn processes_are_looked_at_again_when_that_has_become_cheap() {
        let (_directory, root) = tree(3);
        let mut processes = Processes::new(Arc::default());
        let now = Instant::now();
        assert_eq!(sleeping(&mut processes, &root, now), "3");
        processes.look.as_mut().unwrap().cost = Duration::from_millis(50);
        add(&root, 4, 'S');
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(sleeping(&mut processes, &root, after(9)), "3");
        assert_eq!(sleeping(&mut processes, &root, after(11)), "4");
    }

    /// The law holds by what a look has cost, so it holds on any machine.
    #[test]
    fn fault_22_ten_thousand_processes_take_less_than_a_hundredth_of_a_cpu() {
        const SNAPSHOTS: u32 = 24;
        const INTERVAL: Duration = Duration::from_secs(5);
        let (_directory, root) = tree(10_000);
        let mut processes = Processes::new(Arc::default());
        let mut now = Instant::now();
        let began = cpu_time();
        for _ in 0..SNAPSHOTS {
            processes.sample(&root, now).unwrap().unwrap();
            now += INTERVAL;
        }
        let share = cpu_time()
            .saturating_sub(began)
            .div_duration_f64(INTERVAL * SNAPSHOTS);
        println!("{:.3} % of a CPU", share * 100.0);
        assert!(share < 0.01, "{share}");
    }
}
