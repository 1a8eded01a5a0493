//! A kernel that doesn't describe its types, for which an empty sysfs stands.

use std::fs;

use anyhow::{Context as _, Result};
use sonde_tests::lab::{Lab, output};

use crate::support::{SERVICE, curl, nginx, sonde};

const CALLS: u32 = 1000;

/// Nothing is left but system calls, /proc and what is said of the rest.
#[test]
fn fault_27_without_btf_the_rest_goes_on() -> Result<()> {
    let lab = Lab::open()?;
    let sysfs = lab.path().join("sys");
    fs::create_dir(&sysfs)?;
    let flag = format!("--path.sysfs={}", sysfs.display());
    let agent = lab.agent(&[&flag])?;
    let nginx = nginx(&lab, "")?;
    curl(&lab, &[&nginx.url("/")])?;
    // The process outlives its calls: without its exit it is known only while it is there.
    let (perl, name) = lab.copy("perl")?;
    let script = format!("getppid() for 1..{CALLS}; sleep 30");
    let _process = lab.start(lab.command(perl).args(["-e", &script]), false)?;
    let labels = [(SERVICE, &*name), ("syscall", "getppid")];
    let counted = agent.eventually("system calls", |metrics| {
        metrics.sum("syscalls_total", &labels)
    })?;
    assert_eq!(counted.to_string(), CALLS.to_string());
    let metrics = agent.metrics()?;
    assert!(
        metrics
            .sum("use_utilization_ratio", &[("resource", "cpu")])
            .is_some()
    );
    for absent in [
        "http_server_request_duration_seconds_count",
        "tcp_connections",
        "process_starts_total",
        "system_cpu_run_queue_latency_seconds_count",
    ] {
        assert_eq!(metrics.sum(absent, &[]), None, "{absent}");
    }
    for family in ["process", "tcp", "http", "sched", "block"] {
        let skipped = metrics.of("sonde_probe_skipped", &[]);
        let mut reasons = skipped.filter(|sample| {
            sample
                .labels
                .get("family")
                .is_some_and(|held| held == family)
        });
        let reason = &reasons.next().context(family)?.labels["reason"];
        assert!(
            reason.contains("CONFIG_DEBUG_INFO_BTF"),
            "{family}: {reason}"
        );
    }
    let said = output(sonde(&lab)?.args(["check", &flag]))?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for word in [
        "BTF       none: ",
        "CONFIG_DEBUG_INFO_BTF",
        "no HTTP requests",
    ] {
        assert!(said.contains(word), "{word} isn't in\n{said}");
    }
    Ok(())
}
