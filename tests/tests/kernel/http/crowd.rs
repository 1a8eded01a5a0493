//! Many processes that ask and answer at once on the same CPUs.

use anyhow::{Result, ensure};
use sonde::l7::exchange::{Exchange, Role};

use super::{by_role, check_paths, exchange};
use crate::{
    child::{Child, Workload, hear, tell},
    harness::Test,
    observed::{Observed, kernel},
    tcp::pair,
};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "http::many_processes_at_once_are_kept_apart",
    run: many_processes_at_once_are_kept_apart,
}];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "http-crowd",
    run: crowd,
}];

const PROCESSES: usize = 12;
const REQUESTS: usize = 200;

fn paths(pid: u32) -> Vec<String> {
    (0..REQUESTS)
        .map(|index| format!("/crowd/{pid}/{index}"))
        .collect()
}

/// Exchanges whose paths tell whose they are.
fn crowd(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    tell("ready")?;
    hear()?;
    paths(std::process::id())
        .iter()
        .try_for_each(|path| exchange(&mut client, &mut server, path))
}

/// Records are built in memory that the programs of a CPU share. Where a task can be preempted
/// meanwhile (kernel 7.0) some are lost, and none may hold what is another's.
fn many_processes_at_once_are_kept_apart(observed: &mut Observed) -> Result<()> {
    let mut children = Vec::new();
    for _ in 0..PROCESSES {
        let mut child = Child::start("http-crowd", &[])?;
        child.line()?;
        children.push(child);
    }
    for child in &mut children {
        child.say("go")?;
    }
    let mut whole = 0;
    for child in children {
        let pid = child.pid();
        ensure!(observed.finish(child)?.success());
        let exchanges = observed.exchanges(pid);
        if kernel().has_preemptible_tracepoints() {
            whole += check_own(&exchanges, pid)?;
        } else {
            check_paths(&exchanges, &paths(pid), Some(200))?;
            whole += exchanges.len();
        }
    }
    let all = PROCESSES * REQUESTS * 2;
    println!("    {whole} of {all} exchanges");
    ensure!(whole > 0, "none of {all} exchanges");
    Ok(())
}

/// Nothing in the exchanges of a process is another's; how many are whole.
fn check_own(exchanges: &[Exchange], pid: u32) -> Result<usize> {
    let own = format!("/crowd/{pid}/");
    let mut whole = 0;
    for role in [Role::Server, Role::Client] {
        let mut last = None;
        for exchange in by_role(exchanges, role) {
            let index = exchange.path.strip_prefix(&own).map(str::parse::<usize>);
            let Some(Ok(index)) = index else {
                anyhow::bail!("{role:?} {pid}: {}", exchange.path);
            };
            ensure!(last < Some(index), "{role:?} {pid}: {index} after {last:?}");
            last = Some(index);
            let status = exchange.status;
            ensure!(status.is_none_or(|status| status == 200), "{status:?}");
            whole += usize::from(status.is_some());
        }
    }
    Ok(whole)
}
