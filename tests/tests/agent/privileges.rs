//! What the agent may do: enough to begin, little afterwards, and a clear word without.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use sonde_tests::{
    agent::{Agent, program},
    lab::{Lab, output},
};

/// `CAP_DAC_READ_SEARCH` and `CAP_SYS_PTRACE`: reading /proc of other users' processes.
/// Below 5.19 also `CAP_BPF`, which reading maps takes there.
const KEPT: u64 = 1 << 2 | 1 << 19 | 1 << 39;
/// `CAP_CHECKPOINT_RESTORE`: the thread that looks for TLS libraries opens what processes have
/// mapped.
const LOOKING: u64 = 1 << 40;
const SYS_ADMIN: u64 = 1 << 21;

#[test]
fn capabilities_are_dropped_from_every_thread() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let mut threads = 0;
    for task in fs::read_dir(format!("/proc/{}/task", agent.id()))? {
        let task = task?.path();
        let status = fs::read_to_string(task.join("status"))?;
        let looks = fs::read_to_string(task.join("comm"))?.trim() == "tls";
        let kept = if looks { KEPT | LOOKING } else { KEPT };
        for set in ["CapEff:", "CapPrm:", "CapInh:", "CapBnd:", "CapAmb:"] {
            let line = status.lines().find_map(|line| line.strip_prefix(set));
            let held = u64::from_str_radix(line.context("no such line")?.trim(), 16)?;
            assert_eq!(held & !kept, 0, "{set} {held:x} in\n{status}");
            assert_eq!(held & SYS_ADMIN, 0);
        }
        threads += 1;
    }
    println!("{threads} threads");
    assert!(threads >= 3, "observer, sampler and main: {threads}");
    // And it goes on without them.
    let (perl, name) = lab.copy("perl")?;
    lab.run(perl, ["-e", "getppid() for 1..10"])?;
    let labels = [("service_name", &*name), ("syscall", "getppid")];
    agent.eventually("calls", |metrics| metrics.sum("syscalls_total", &labels))?;
    Ok(())
}

/// The program where any user can run it, and the command that runs it as nobody.
fn as_nobody(lab: &Lab) -> Result<Command> {
    let copy: PathBuf = lab.path().join("sonde");
    fs::copy(program()?, &copy)?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(lab.path(), open)?;
    let mut command = lab.command("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["--inh-caps=-all", "--bounding-set=-all"])
        .arg(copy);
    Ok(command)
}

#[test]
fn fault_27_without_privileges_the_rest_goes_on() -> Result<()> {
    let lab = Lab::open()?;
    let mut agent = Agent::start_as(&lab, &mut as_nobody(&lab)?)?;
    agent.wait_for("/-/healthy", 200)?;
    agent.wait_for("/metrics", 200)?;
    agent.eventually("USE metrics", |metrics| {
        metrics.sum("use_utilization_ratio", &[("resource", "cpu")])
    })?;
    let log = agent.log();
    for word in [
        "CAP_BPF",
        "CAP_PERFMON",
        "Run it as root",
        "CAP_SYS_PTRACE is missing",
        "Operation not permitted",
    ] {
        assert!(log.contains(word), "{word} isn't in\n{log}");
    }
    let ready = agent.get("/-/ready", "")?;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("sonde check"), "{}", ready.body);
    // Absent rather than zero.
    let metrics = agent.metrics()?;
    for absent in ["syscalls_total", "process_starts_total", "tcp_connections"] {
        assert_eq!(metrics.sum(absent, &[]), None, "{absent}");
    }
    let (status, _) = agent.stop()?;
    assert!(status.success(), "{status}\n{}", agent.log());
    Ok(())
}

#[test]
fn fault_27_check_says_what_is_missing() -> Result<()> {
    let lab = Lab::open()?;
    let found = output(as_nobody(&lab)?.arg("check"))?;
    let text = String::from_utf8_lossy(&found.stdout);
    assert_eq!(found.status.code(), Some(3), "{text}");
    for word in ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE"] {
        assert!(text.contains(word), "{word} isn't in\n{text}");
    }
    let refused: Vec<_> = text.matches("Operation not permitted").collect();
    assert_eq!(refused.len(), 1, "the reason is told once:\n{text}");
    // `trace` has nothing else to do.
    let found = output(as_nobody(&lab)?.arg("trace"))?;
    assert_eq!(found.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&found.stderr).contains("sonde check"));
    Ok(())
}

/// Only one of the two capabilities is missing, so only that one is asked for.
#[test]
fn fault_27_a_single_missing_capability_is_named() -> Result<()> {
    let lab = Lab::open()?;
    let mut command = lab.command("setpriv");
    let rest = "-all,+bpf,+dac_read_search,+sys_ptrace";
    command
        .arg(format!("--bounding-set={rest}"))
        .arg("--inh-caps=-all")
        .arg(program()?)
        .arg("check");
    let found = output(&mut command)?;
    let text = String::from_utf8_lossy(&found.stdout);
    assert_eq!(found.status.code(), Some(3), "{text}");
    let named = text.lines().find(|line| line.contains("CAP_PERFMON"));
    assert!(named.is_some(), "{text}");
    Ok(())
}
