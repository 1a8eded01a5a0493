//! Requests one after the other, on a machine that is as quiet as it gets, for their durations.
//!
//! What a client measures has more in it than a server's span: how long the server's process and
//! then the client's own wait for a CPU. On a virtual machine the sleep of an idle CPU alone is more
//! than nginx takes for an answer. So the server has one CPU and the generator another one, and on
//! either a task below all others keeps it from sleeping.

use std::{fs, io, path::Path, process::Command, thread};

use anyhow::{Context as _, Result, anyhow};
use nix::{
    errno::Errno,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use super::{Load, Target, case::Case, planner::Planner, sent::Sent, server::Running};
use crate::{lab::Lab, process::Process};

/// Makes the exchanges of a load that are made alone, behind its others.
pub(super) fn send(lab: &Lab, case: Case, load: Load, server: &Running) -> Result<Vec<Sent>> {
    if load.alone == 0 {
        return Ok(Vec::new());
    }
    let target = Target::of(case, server)?;
    let planner = Planner::alone(case, load.exchanges..load.exchanges + load.alone);
    let cpus = Cpus::find()?;
    keep(server.process(), cpus.server)?;
    let _awake = (awake(lab, cpus.generator)?, awake(lab, cpus.server)?);
    let asking = thread::spawn(move || {
        pin(Pid::from_raw(0), cpus.generator)?;
        target.ask(planner)
    });
    asking.join().map_err(|_| anyhow!("the generator failed"))?
}

/// Who runs where.
#[derive(Clone, Copy, Debug)]
struct Cpus {
    generator: usize,
    server: usize,
}

impl Cpus {
    fn find() -> Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut allowed = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
        let mut next = || allowed.next().context("durations take two CPUs");
        Ok(Self {
            generator: next()?,
            server: next()?,
        })
    }
}

/// Keeps a process, its children and all of their threads on a CPU.
///
/// A server ends threads while this looks at them: those need no CPU. The ones that it starts take
/// the CPU of who starts them.
fn keep(process: u32, cpu: usize) -> Result<()> {
    let tasks = format!("/proc/{process}/task");
    for task in unless_gone(fs::read_dir(&tasks))?.into_iter().flatten() {
        let Some(task) = unless_gone(task)? else {
            continue;
        };
        let task = task.path();
        let id = task.file_name().and_then(|name| name.to_str());
        let id = id.context("a task without a number")?.parse()?;
        unless_gone(pin(Pid::from_raw(id), cpu))?;
        for child in children(&task)? {
            keep(child, cpu)?;
        }
    }
    Ok(())
}

/// A task on a CPU that everybody else goes before.
fn awake(lab: &Lab, cpu: usize) -> Result<Process> {
    let mut command = Command::new("chrt");
    command
        .args(["--idle", "0", "taskset", "--cpu-list"])
        .arg(cpu.to_string())
        .args(["sh", "-c", "while :; do :; done"]);
    lab.start(&mut command, false)
}

fn children(task: &Path) -> Result<Vec<u32>> {
    let text = unless_gone(fs::read_to_string(task.join("children")))?.unwrap_or_default();
    let numbers = text.split_whitespace().map(str::parse);
    Ok(numbers.collect::<Result<_, _>>()?)
}

fn pin(task: Pid, cpu: usize) -> io::Result<()> {
    let mut one = CpuSet::new();
    one.set(cpu)?;
    Ok(sched_setaffinity(task, &one)?)
}

/// What was asked of a task, or nothing if the task ended before.
fn unless_gone<T>(asked: io::Result<T>) -> Result<Option<T>> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{Cpus, keep};

    #[test]
    fn tasks_may_end_while_they_are_kept() {
        let cpu = Cpus::find().unwrap().server;
        let mut parent = Command::new("sh")
            .args(["-c", "while :; do (:) & (:); done"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let kept = (0..2000).try_for_each(|_| keep(parent.id(), cpu));
        parent.kill().unwrap();
        parent.wait().unwrap();
        kept.unwrap();
    }
}
