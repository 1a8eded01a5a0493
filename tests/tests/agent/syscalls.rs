//! `syscalls_total` of a program that makes a known number of calls is that number.

use anyhow::Result;
use sonde_tests::{exposition::Counts, lab::Lab};

use crate::support::{SERVICE, assert_counts, counts};

const CALLS: &str = "syscalls_total";

#[test]
fn calls_of_a_script_are_counted_exactly() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (perl, name) = lab.copy("perl")?;
    lab.run(perl, ["-e", "getppid() for 1..100000"])?;
    let labels = [(SERVICE, &*name), ("syscall", "getppid")];
    let expected = counts(&[([&*name], 100_000)]);
    assert_counts(&agent, CALLS, &labels, &[SERVICE], &expected)?;
    assert_eq!(agent.dropped()?, Counts::new());
    Ok(())
}

/// Before a map is full there is a word of it, and none of maps that nothing uses.
#[test]
fn the_fill_of_the_maps_that_grow_is_told() -> Result<()> {
    let lab = Lab::open()?;
    // Of the sampled ones there may be none so soon.
    let agent = lab.agent(&["--no-collector.block", "--collector.syscall.durations=all"])?;
    let (perl, name) = lab.copy("perl")?;
    lab.run(perl, ["-e", "getppid() for 1..1000"])?;
    let labels = [(SERVICE, &*name), ("syscall", "getppid")];
    agent.eventually("calls", |metrics| metrics.sum(CALLS, &labels))?;
    let metrics = agent.metrics()?;
    for map in ["SYSCALL_COUNTS", "SYSCALL_DURATIONS"] {
        let of = [("map", map)];
        let capacity = metrics.sum("sonde_map_capacity", &of).unwrap_or(0.0);
        assert!(capacity >= 4096.0, "{map}: room for {capacity}");
        let entries = metrics.sum("sonde_map_entries", &of).unwrap_or(0.0);
        assert!(entries > 0.0 && entries <= capacity, "{map}: {entries}");
    }
    for unused in ["BLOCK_ISSUED", "BLOCK_LATENCY"] {
        let of = [("map", unused)];
        assert_eq!(metrics.sum("sonde_map_capacity", &of), None, "{unused}");
        assert_eq!(metrics.sum("sonde_map_entries", &of), None, "{unused}");
    }
    Ok(())
}

/// Two at once share a service, and neither loses a call to the other.
#[test]
fn calls_of_processes_at_once_add_up() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&["--collector.syscall.durations=all"])?;
    let script = "getppid() for 1..50000; umask(0) for 1..7";
    let (perl, name) = lab.copy("perl")?;
    let mut first = lab.start(lab.command(&perl).args(["-e", script]), false)?;
    let mut second = lab.start(lab.command(&perl).args(["-e", script]), false)?;
    for process in [&mut first, &mut second] {
        assert!(process.end_within(sonde_tests::agent::PATIENCE)?.success());
    }
    for (syscall, calls) in [("getppid", 100_000), ("umask", 14)] {
        let labels = [(SERVICE, &*name), ("syscall", syscall)];
        let expected = counts(&[([syscall], calls)]);
        assert_counts(&agent, CALLS, &labels, &["syscall"], &expected)?;
        // With all of them timed, the histogram holds as many.
        let timed = "syscall_duration_seconds_count";
        assert_counts(&agent, timed, &labels, &["syscall"], &expected)?;
    }
    Ok(())
}

#[test]
fn errors_are_counted_by_errno() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    // -e asks the kernel each time, by stat(2) in one of its forms.
    let (perl, name) = lab.copy("perl")?;
    lab.run(perl, ["-e", "-e '/nonexistent/file' for 1..1234"])?;
    let labels = [(SERVICE, &*name), ("error_type", "ENOENT")];
    let stats = agent.eventually("the errors", |metrics| {
        let by = metrics.by("syscall_errors_total", &labels, &["syscall"]);
        let stats = by.iter().filter(|(key, _)| key[0].contains("stat"));
        let total: u64 = stats.map(|(_, count)| count).sum();
        (total >= 1234).then_some(total)
    })?;
    // perl itself looks for a file or two.
    assert!((1234..1334).contains(&stats), "{stats}");
    Ok(())
}

#[test]
fn calls_of_dd_are_counted_exactly() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let copied = [
        "if=/dev/zero",
        "of=/dev/null",
        "bs=1",
        "count=30000",
        "status=none",
    ];
    let (dd, name) = lab.copy("dd")?;
    lab.run(dd, copied)?;
    let labels = [(SERVICE, &*name), ("syscall", "write")];
    let expected = counts(&[([&*name], 30_000)]);
    assert_counts(&agent, CALLS, &labels, &[SERVICE], &expected)?;
    // The loader reads the C library besides.
    let labels = [(SERVICE, &*name), ("syscall", "read")];
    let reads = agent.metrics()?.sum(CALLS, &labels).unwrap_or_default();
    assert!((30_001.0..30_010.0).contains(&reads), "{reads}");
    Ok(())
}
