//! What services use, who saturates a CPU and who waits for it.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result};
use sonde_tests::{agent::Agent, exposition::Metrics, lab::Lab, process::Process};

use crate::support::{SERVICE, assert_counts, counts};

const BY_SERVICE: &str = "use_saturation_by_service";
const ERRORS: &str = "use_errors_by_service_total";
const LATENCY: &str = "process_run_queue_latency_seconds_bucket";
const THREAD_TIME: &str = "process_thread_time_seconds_total";

/// Works for 4 ms and sleeps for one, again and again: by CPU time, so that on any machine it
/// asks for more of a CPU than the two thirds that are its share beside a hog on each of two. One
/// that asks for less than its share has the CPU as soon as it wakes, and never waits.
const WORK: &str = "my ($n, $x) = (0, 0); my $end = (times)[0] + 0.2; \
                    while ((times)[0] < $end) { $x += $_ for 1 .. 1000; $n += 1000 } \
                    while (1) { select undef, undef, undef, 0.001; $x += $_ for 1 .. $n / 50 }";

/// How long what is measured goes on.
const WHILE: Duration = Duration::from_secs(5);

fn perl(lab: &Lab, program: &Path, script: &str) -> Result<Process> {
    lab.start(lab.command(program).args(["-e", script]), false)
}

fn signal(metrics: &Metrics, resource: &str, signal: &str, service: &str) -> Option<f64> {
    let labels = [
        ("resource", resource),
        ("signal", signal),
        (SERVICE, service),
    ];
    metrics.sum(BY_SERVICE, &labels)
}

/// Upper bound of the bucket that holds the 99th percentile of what came between two scrapes.
fn p99(before: &Metrics, after: &Metrics, name: &str, service: &str) -> Result<f64> {
    let grown = |bound: &str| {
        let of = [(SERVICE, service), ("le", bound)];
        let count = |metrics: &Metrics| metrics.sum(name, &of).unwrap_or(0.0);
        count(after) - count(before)
    };
    let all = grown("+Inf");
    anyhow::ensure!(all > 0.0, "{name} of {service} hasn't grown");
    let mut bounds: Vec<(f64, String)> = after
        .of(name, &[(SERVICE, service)])
        .filter_map(|sample| sample.labels.get("le"))
        .map(|bound| (bound.parse().unwrap_or(f64::INFINITY), bound.clone()))
        .collect();
    bounds.sort_by(|left, right| left.0.total_cmp(&right.0));
    let found = bounds.iter().find(|(_, bound)| grown(bound) >= 0.99 * all);
    found.map(|(bound, _)| *bound).context("no bound")
}

/// Two scrapes with some time between them, each with a snapshot of its own.
fn twice(agent: &Agent) -> Result<(Metrics, Metrics)> {
    agent.two_snapshots()?;
    let before = agent.metrics()?;
    thread::sleep(WHILE);
    Ok((before, agent.metrics()?))
}

#[test]
fn a_hog_on_every_cpu_is_named_and_a_service_beside_it_waits() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (program, service) = lab.copy("perl")?;
    let hog = "hog-".to_owned() + lab.namespace();
    let hog_program = lab.path().join(&hog);
    std::fs::copy(&program, &hog_program)?;
    let _service = perl(&lab, &program, WORK)?;
    let (before, quiet) = twice(&agent)?;
    let waited = |before: &Metrics, after: &Metrics| -> Result<_> {
        let host = |metrics: &Metrics| metrics.sum("system_cpu_run_queue_latency_seconds_sum", &[]);
        let host = host(after).zip(host(before)).context("no waits")?;
        Ok((p99(before, after, LATENCY, &service)?, host.0 - host.1))
    };
    let quiet_waits = waited(&before, &quiet)?;
    assert_eq!(signal(&quiet, "run_queue", "runnable_length", &hog), None);
    let alone = signal(&quiet, "run_queue", "runnable_length", &service).context("no demand")?;
    assert!(alone < 1.1, "{alone}");

    let cpus = thread::available_parallelism()?.get();
    let hogs: Result<Vec<_>> = (0..cpus)
        .map(|_| perl(&lab, &hog_program, "1 while 1"))
        .collect();
    let _hogs = hogs?;
    let (before, busy) = twice(&agent)?;
    let busy_waits = waited(&before, &busy)?;
    assert!(
        busy_waits.0 > quiet_waits.0.max(0.001) && busy_waits.1 > quiet_waits.1,
        "{busy_waits:?} after {quiet_waits:?}"
    );
    let demand = signal(&busy, "run_queue", "runnable_length", &hog).context("no demand")?;
    #[expect(clippy::cast_precision_loss, reason = "there are few CPUs")]
    let all = cpus as f64;
    assert!(demand > 0.9 * all && demand <= 1.1 * all, "{demand}");
    // What it got of that: the service beside it has the rest.
    let used = busy.sum("process_cpu_utilization_ratio", &[(SERVICE, &*hog)]);
    let used = used.context("no utilization")? * all;
    assert!(used > 0.3 * all && used < demand + 1e-6, "{used}");
    // Of what the test runs: the machine may be busy with something else.
    let ours = [
        ("signal", "runnable_length"),
        ("service_namespace", lab.namespace()),
    ];
    let others = busy.of(BY_SERVICE, &ours);
    let highest = others.max_by(|left, right| left.value.total_cmp(&right.value));
    let named = highest.and_then(|sample| sample.labels.get(SERVICE).cloned());
    assert_eq!(named.as_deref(), Some(&*hog), "who makes others wait");
    Ok(())
}

#[test]
fn the_time_of_a_services_threads_adds_up_to_the_time_they_were_there() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (program, service) = lab.copy("perl")?;
    let scripts = [
        "1 while 1",
        "select undef, undef, undef, 0.01 while 1",
        "open my $pipe, '-|', 'sleep 60'; <$pipe>",
    ];
    let running: Result<Vec<_>> = scripts
        .iter()
        .map(|script| perl(&lab, &program, script))
        .collect();
    let mut running = running?;
    let labels = [(SERVICE, &*service)];
    let read = |metrics: &Metrics| {
        let total = metrics.sum(THREAD_TIME, &labels)?;
        // When the snapshot was made, by the age of the service's oldest process.
        Some((total, metrics.sum("process_uptime_seconds", &labels)?))
    };
    agent.two_snapshots()?;
    let before = agent.eventually("the threads' time", read)?;
    thread::sleep(WHILE);
    let after = agent.eventually("the threads' time", read)?;
    let expected = (after.1 - before.1) * 3.0;
    let measured = after.0 - before.0;
    assert!(
        (measured - expected).abs() < 0.02 * expected,
        "{measured} s of {expected}"
    );
    running.iter_mut().try_for_each(|process| {
        process.signal(nix::sys::signal::Signal::SIGKILL)?;
        process.end_within(sonde_tests::agent::PATIENCE).map(drop)
    })
}

#[test]
fn what_a_service_has_is_told() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (program, service) = lab.copy("perl")?;
    // 64 MB of memory, 40 descriptors beside the three that it is given.
    let script = "my $m = 'x' x 64_000_000; my @f; \
                  for (1..40) { open my $f, '<', '/dev/null'; push @f, $f }; sleep 60";
    let process = lab.start(
        lab.command("prlimit")
            .arg("--nofile=172")
            .arg(&program)
            .args(["-e", script]),
        false,
    )?;
    let labels = [(SERVICE, &*service)];
    let memory = agent.eventually("the memory", |metrics| {
        let memory = metrics.sum("process_memory_usage_bytes", &labels)?;
        (memory > 64e6).then_some(memory)
    })?;
    assert!(memory < 200e6, "{memory}");
    agent.two_snapshots()?;
    let metrics = agent.metrics()?;
    let value = |name: &str| metrics.sum(name, &labels);
    assert_eq!(value("process_thread_count"), Some(1.0));
    // Beside those that it was given by whoever runs the tests.
    let open = fs::read_dir(format!("/proc/{}/fd", process.id()))?.count();
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let open = open as f64;
    assert!(open >= 43.0);
    assert_eq!(value("process_unix_file_descriptor_count"), Some(open));
    let share = signal(&metrics, "file_descriptors", "limit_share", &service);
    assert!(
        share.is_some_and(|share| (share - open / 172.0).abs() < 1e-9),
        "{share:?}"
    );
    assert!(value("process_memory_virtual_bytes") > Some(memory));
    let faults = [(SERVICE, &*service), ("system_paging_fault_type", "minor")];
    assert!(metrics.sum("process_paging_faults_total", &faults) > Some(1000.0));
    Ok(())
}

#[test]
fn on_request_the_processes_of_a_service_are_told_apart() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&["--collector.sched.by=process"])?;
    let (program, service) = lab.copy("perl")?;
    let mut first = perl(&lab, &program, "1 while 1")?;
    let second = perl(&lab, &program, "sleep 60")?;
    let pids = [first.id().to_string(), second.id().to_string()];
    let threads = |metrics: &Metrics, pid: &str| {
        let labels = [(SERVICE, &*service), ("process_pid", pid)];
        metrics.sum("process_thread_count", &labels)
    };
    agent.eventually("both", |metrics| {
        pids.iter()
            .all(|pid| threads(metrics, pid) == Some(1.0))
            .then_some(())
    })?;
    agent.two_snapshots()?;
    let cpu = "process_cpu_time_seconds_total";
    let of_service = [(SERVICE, &*service)];
    let before = agent
        .metrics()?
        .sum(cpu, &of_service)
        .context("no CPU time")?;
    assert!(before > 0.5, "{before}");
    first.stop(sonde_tests::agent::PATIENCE)?;
    agent.eventually("the end of one", |metrics| {
        let gone = threads(metrics, &pids[0]).is_none();
        (gone && threads(metrics, &pids[1]) == Some(1.0)).then_some(())
    })?;
    let after = agent.metrics()?.sum(cpu, &of_service);
    assert!(after >= Some(before), "{after:?} after {before}");
    Ok(())
}

#[test]
fn fault_20_processes_that_live_for_a_moment_are_counted_with_what_they_used() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (program, service) = lab.copy("true")?;
    for _ in 0..50 {
        lab.run(&program, [""; 0])?;
    }
    let labels = [(SERVICE, &*service)];
    let expected = counts(&[([&*service], 50)]);
    for metric in [
        "process_short_lived_total",
        "process_starts_total",
        "process_exits_total",
    ] {
        assert_counts(&agent, metric, &labels, &[SERVICE], &expected)?;
    }
    let metrics = agent.metrics()?;
    let cpu = metrics.sum("process_cpu_time_seconds_total", &labels);
    assert!(cpu > Some(0.001) && cpu < Some(5.0), "{cpu:?}");
    let waits = metrics.sum("process_run_queue_latency_seconds_count", &labels);
    assert!(waits >= Some(50.0), "{waits:?}");
    Ok(())
}

#[test]
fn what_a_service_is_refused_is_told_by_resource() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (program, service) = lab.copy("perl")?;
    let script = "open $f[$_], '<', '/dev/null' for 1..30";
    finish(&lab, &["--nofile=10"], &program, script)?;
    let refused = |resource, signal| {
        move |metrics: &Metrics| {
            let labels = [("resource", resource), ("signal", signal)];
            metrics.by(ERRORS, &labels, &[SERVICE])
        }
    };
    // It has three open when it starts, and what it was given by whoever runs the tests.
    let expected = counts(&[([&*service], 23)]);
    let found = agent.settled(&expected, refused("file_descriptors", "emfile"))?;
    let count = found.get(&vec![service.clone()]);
    assert!(
        count.is_some_and(|count| (23..=30).contains(count)),
        "{found:?}"
    );
    let none = agent.metrics()?.by(
        ERRORS,
        &[("resource", "processes"), (SERVICE, &service)],
        &[SERVICE],
    );
    assert!(none.is_empty(), "{none:?}");
    // Root's limit is none: somebody else's process asks.
    let script = "$< = $> = 65534; for (1..7) { my $p = fork; exit if defined $p && !$p }";
    finish(&lab, &["--nproc=1"], &program, script)?;
    let expected = counts(&[([&*service], 7)]);
    let found = agent.settled(&expected, refused("processes", "fork_refused"))?;
    assert!(
        found.get(&vec![service]).is_some_and(|count| *count >= 6),
        "{found:?}"
    );
    Ok(())
}

fn finish(lab: &Lab, limits: &[&str], program: &Path, script: &str) -> Result<()> {
    let mut command = lab.command("prlimit");
    command.args(limits).arg(program).args(["-e", script]);
    sonde_tests::lab::finish(&mut command).map(drop)
}
