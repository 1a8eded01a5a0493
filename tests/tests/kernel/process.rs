//! Processes: fork, exec, exit, OOM kills.

use std::{
    fs,
    os::unix::{fs::MetadataExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use sonde_common::event::process::{Exec, Exit, Fork};

use crate::{
    child::{self, Child, Workload, hear, tell},
    harness::{Skipped, Test},
    observed::{Observed, Seen},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "process::exit_code_and_signals_are_told",
        run: exit_code_and_signals_are_told,
    },
    Test {
        name: "process::exec_carries_program_arguments_and_cgroup",
        run: exec_carries_program_arguments_and_cgroup,
    },
    Test {
        name: "process::fault_20_a_process_under_50_ms_is_seen_whole",
        run: fault_20_a_process_under_50_ms_is_seen_whole,
    },
    Test {
        name: "process::a_process_of_many_threads_starts_and_ends_once",
        run: a_process_of_many_threads_starts_and_ends_once,
    },
    Test {
        name: "process::an_oom_kill_names_its_victim",
        run: an_oom_kill_names_its_victim,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "exit",
        run: |arguments| std::process::exit(arguments[0].parse()?),
    },
    Workload {
        name: "threads",
        run: threads,
    },
    Workload {
        name: "in-cgroup",
        run: in_cgroup,
    },
    Workload {
        name: "eat",
        run: eat,
    },
];

impl Observed {
    /// Exits of a process.
    pub(crate) fn exits(&self, pid: u32) -> Vec<Exit> {
        let exits = self.seen.iter().filter_map(|seen| match seen {
            Seen::Exit(exit) if exit.header.tgid == pid => Some(*exit),
            _ => None,
        });
        exits.collect()
    }

    fn execs(&self, pid: u32) -> Vec<Exec> {
        let execs = self.seen.iter().filter_map(|seen| match seen {
            Seen::Exec(exec) if exec.header.tgid == pid => Some(**exec),
            _ => None,
        });
        execs.collect()
    }

    fn forks(&self, pid: u32) -> Vec<Fork> {
        let forks = self.seen.iter().filter_map(|seen| match seen {
            Seen::Fork(fork) if fork.child == pid => Some(*fork),
            _ => None,
        });
        forks.collect()
    }
}

fn only<T: Copy>(what: &str, found: &[T]) -> Result<T> {
    ensure!(found.len() == 1, "{} records of {what}", found.len());
    Ok(found[0])
}

fn exit_code_and_signals_are_told(observed: &mut Observed) -> Result<()> {
    // By the shell: Rust's runtime has a handler of its own for a segmentation fault.
    let code = |code: i32| (format!("exit {code}"), (code as u32) << 8, 0xffff);
    let signal = |signal: i32| (format!("kill -{signal} $$"), signal as u32, 0x7f);
    for (script, status, mask) in [
        code(0),
        code(7),
        signal(libc::SIGKILL),
        signal(libc::SIGSEGV),
        signal(libc::SIGTERM),
    ] {
        let child = Child::of(Command::new("/bin/sh").args(["-c", &script]))?;
        let pid = child.pid();
        let waited = observed.finish(child)?.into_raw() as u32;
        let exit = only("exit", &observed.exits(pid))?;
        ensure!(exit.status & mask == status, "{script}: {:#x}", exit.status);
        // With the flag for a core dump, as wait(2) tells it.
        ensure!(exit.status == waited, "{:#x} for {waited:#x}", exit.status);
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The directory where the v2 hierarchy is mounted.
fn unified() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let place = words.nth(1)?;
        (words.next()? == "cgroup2").then(|| PathBuf::from(place))
    });
    mount.context(Skipped("no cgroup v2 is mounted".to_owned()))
}

/// A cgroup of the test's own, removed when dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    fn make(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("sonde-test-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Busy for a moment after its last process.
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Moves into a cgroup, then becomes another workload.
fn in_cgroup(arguments: &[&str]) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    let [cgroup, workload, rest @ ..] = arguments else {
        bail!("cgroup and workload");
    };
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0")?;
    Err(child::command(workload, rest)?.exec().into())
}

fn exec_carries_program_arguments_and_cgroup(observed: &mut Observed) -> Result<()> {
    let cgroup = Cgroup::make(&unified()?)?;
    let place = cgroup.0.to_str().context("path")?;
    let child = Child::start("in-cgroup", &[place, "exit", "3"])?;
    let pid = child.pid();
    observed.finish(child)?;
    let execs = observed.execs(pid);
    ensure!(execs.len() == 2, "{} execs", execs.len());
    let (first, second) = (execs[0], execs[1]);
    let program = std::env::current_exe()?;
    let program = program.to_string_lossy();
    for exec in &execs {
        let filename = text(&exec.filename[..usize::from(exec.filename_length)]);
        ensure!(program.starts_with(&filename) && filename.len() >= 60.min(program.len()));
        ensure!(exec.parent == std::process::id());
        ensure!(exec.uid == 0);
    }
    let arguments = &second.args[..usize::from(second.args_length)];
    let arguments: Vec<_> = arguments.split(|byte| *byte == 0).map(text).collect();
    ensure!(
        arguments[1..] == ["workload", "exit", "3", ""],
        "{arguments:?}"
    );
    ensure!(
        second.cgroup == fs::metadata(&cgroup.0)?.ino(),
        "cgroup {}",
        second.cgroup
    );
    ensure!(first.cgroup != second.cgroup && first.cgroup != 0);
    Ok(())
}

fn fault_20_a_process_under_50_ms_is_seen_whole(observed: &mut Observed) -> Result<()> {
    let child = Child::of(Command::new("/bin/sh").args(["-c", "exit 9"]))?;
    let pid = child.pid();
    observed.finish(child)?;
    let fork = only("fork", &observed.forks(pid))?;
    let exec = only("exec", &observed.execs(pid))?;
    let exit = only("exit", &observed.exits(pid))?;
    ensure!(fork.header.tgid == std::process::id(), "parent");
    ensure!(fork.start_time == exec.start_time && exec.start_time == exit.start_time);
    ensure!(fork.start_time != 0);
    ensure!(fork.header.time < exec.header.time && exec.header.time < exit.header.time);
    let lived = exit.header.time - fork.header.time;
    ensure!(lived < 20_000_000_000, "lived {lived} ns");
    ensure!(exit.status == 9 << 8);
    let (before, after) = (text(&exec.comm), text(&exit.comm));
    ensure!(before == "sh" && after == "sh", "{before} {after}");
    Ok(())
}

/// Threads that all end in the same moment, with their process.
fn threads(_: &[&str]) -> Result<()> {
    for _ in 0..16 {
        std::thread::spawn(|| std::thread::sleep(Duration::from_mins(1)));
    }
    std::process::exit(5);
}

fn a_process_of_many_threads_starts_and_ends_once(observed: &mut Observed) -> Result<()> {
    for _ in 0..30 {
        let child = Child::start("threads", &[])?;
        let pid = child.pid();
        observed.finish(child)?;
        only("fork", &observed.forks(pid))?;
        let exit = only("exit", &observed.exits(pid))?;
        ensure!(exit.status == 5 << 8, "status {:#x}", exit.status);
    }
    Ok(())
}

/// Takes memory until it is killed.
fn eat(_: &[&str]) -> Result<()> {
    tell("ready")?;
    hear()?;
    let mut eaten = Vec::new();
    for _ in 0..256 {
        eaten.push(vec![1u8; 1 << 20]);
    }
    bail!("{} MiB were not too much", eaten.len());
}

/// A cgroup whose memory is limited: of v2, else of v1.
fn limited() -> Result<Cgroup> {
    const LIMIT: &str = "33554432";
    if let Ok(root) = unified() {
        let controllers = fs::read_to_string(root.join("cgroup.controllers"))?;
        if controllers.split_whitespace().any(|name| name == "memory") {
            fs::write(root.join("cgroup.subtree_control"), "+memory")?;
            let cgroup = Cgroup::make(&root)?;
            fs::write(cgroup.0.join("memory.max"), LIMIT)?;
            return Ok(cgroup);
        }
    }
    let root = Path::new("/sys/fs/cgroup/memory");
    if !root.join("cgroup.procs").exists() {
        bail!(Skipped(
            "no memory controller to limit a process with".to_owned()
        ));
    }
    let cgroup = Cgroup::make(root)?;
    fs::write(cgroup.0.join("memory.limit_in_bytes"), LIMIT)?;
    Ok(cgroup)
}

fn an_oom_kill_names_its_victim(observed: &mut Observed) -> Result<()> {
    let cgroup = limited()?;
    let mut child = Child::start("in-cgroup", &[cgroup.0.to_str().context("path")?, "eat"])?;
    let pid = child.pid();
    child.line()?;
    child.say("eat")?;
    let status = observed.finish(child)?;
    ensure!(status.signal() == Some(libc::SIGKILL), "{status}");
    let kills = observed.seen.iter();
    let kills = kills.filter(|seen| matches!(seen, Seen::OomKill(kill) if kill.victim == pid));
    ensure!(kills.count() == 1, "not exactly one record of the kill");
    ensure!(only("exit", &observed.exits(pid))?.status & 0x7f == libc::SIGKILL as u32);
    Ok(())
}
