//! System calls: exact counts, errors by errno, durations.

use std::{
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use sonde::{
    kernel::{
        attach::{Outcome, Settings},
        map,
    },
    probe::syscall::EXIT,
};
use sonde_common::{
    event::syscall::{CACHE_SLOTS, CachedCount, CountKey, DurationKey},
    fault::Fault,
    hist::Log2,
};

use crate::{
    child::Workload,
    harness::Test,
    observed::{Observed, kernel, settings},
    sys,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "syscall::counts_are_exact_by_call_and_errno",
        run: counts_are_exact_by_call_and_errno,
    },
    Test {
        name: "syscall::counts_of_many_processes_are_kept_apart",
        run: counts_of_many_processes_are_kept_apart,
    },
    Test {
        name: "syscall::durations_of_all_calls_count_each_call",
        run: durations_of_all_calls_count_each_call,
    },
    Test {
        name: "syscall::durations_are_about_as_long_as_the_calls",
        run: durations_are_about_as_long_as_the_calls,
    },
    Test {
        name: "syscall::sampled_calls_are_timed_in_windows_only",
        run: sampled_calls_are_timed_in_windows_only,
    },
    Test {
        name: "syscall::the_agent_itself_is_not_counted",
        run: the_agent_itself_is_not_counted,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "syscalls",
        run: syscalls,
    },
    Workload {
        name: "sleeps",
        run: sleeps,
    },
];

/// So many getppid, failing opens, and closes of nothing; from several threads if asked for.
fn syscalls(arguments: &[&str]) -> Result<()> {
    let number = |index: usize| {
        arguments
            .get(index)
            .map_or(Ok(0), |text| text.parse::<u64>())
    };
    let (parents, opens, closes) = (number(0)?, number(1)?, number(2)?);
    for _ in 0..parents {
        sys::getppid();
    }
    for _ in 0..opens {
        // An error that the loader, which looks for libraries in many places, doesn't meet.
        ensure!(std::fs::File::open("/dev/null/file").is_err());
    }
    for _ in 0..closes {
        ensure!(sys::close_nothing().is_err());
    }
    Ok(())
}

/// So many sleeps of so many milliseconds.
fn sleeps(arguments: &[&str]) -> Result<()> {
    let [count, milliseconds] = arguments else {
        anyhow::bail!("count and milliseconds");
    };
    for _ in 0..count.parse::<u32>()? {
        std::thread::sleep(Duration::from_millis(milliseconds.parse()?));
    }
    Ok(())
}

/// The count of one call of a process with one outcome. Counts move from the CPUs' caches to the
/// shared map while others run, so it is read until it is what is expected, or for a while.
pub(crate) fn count_of(
    observed: &Observed,
    tgid: u32,
    call: libc::c_long,
    error: i32,
    expected: u64,
) -> Result<u64> {
    let key = CountKey {
        tgid,
        number: u16::try_from(call)?,
        error: u16::try_from(error)?,
    };
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        let count = read(observed, &key)?;
        if count >= expected || Instant::now() > deadline {
            return Ok(count);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// First the shared map, then the caches: what moves meanwhile is missed rather than seen twice.
fn read(observed: &Observed, key: &CountKey) -> Result<u64> {
    let ebpf = observed.programs.ebpf();
    let shared = map::entries::<CountKey, u64>(ebpf, "SYSCALL_COUNTS")?;
    let shared = shared.iter().filter(|(other, _)| other == key);
    let shared: u64 = shared.map(|(_, count)| count).sum();
    let caches = map::per_cpu::<CachedCount>(ebpf, "SYSCALL_CACHE", CACHE_SLOTS)?;
    let cached = caches.iter().flat_map(|copies| copies.iter());
    let cached: u64 = cached
        .filter(|slot| slot.key == *key)
        .map(|slot| slot.count)
        .sum();
    Ok(shared + cached)
}

fn durations_of(observed: &Observed, tgid: u32, call: libc::c_long) -> Result<Log2> {
    let key = DurationKey {
        tgid,
        number: u32::try_from(call)?,
    };
    let all = map::entries::<DurationKey, Log2>(observed.programs.ebpf(), "SYSCALL_DURATIONS")?;
    let found = all.iter().find(|(other, _)| *other == key);
    Ok(found.map_or(Log2::EMPTY, |(_, histogram)| *histogram))
}

fn counts_are_exact_by_call_and_errno(observed: &mut Observed) -> Result<()> {
    let (parents, opens, closes) = (12_345, 678, 90);
    let pid = observed.run(
        "syscalls",
        &[parents, opens, closes]
            .map(|n: u64| n.to_string())
            .each_ref()
            .map(String::as_str),
    )?;
    for (call, error, expected) in [
        (libc::SYS_getppid, 0, parents),
        (libc::SYS_openat, libc::ENOTDIR, opens),
        (libc::SYS_close, libc::EBADF, closes),
    ] {
        let counted = count_of(observed, pid, call, error, expected)?;
        ensure!(counted == expected, "call {call}: {counted} for {expected}");
    }
    Ok(())
}

/// Runs that the kernel left out of the program that counts.
fn misses(observed: &Observed) -> Result<u64> {
    let report = observed.programs.reports().iter();
    let program = report
        .filter(|report| report.hook.name == EXIT)
        .find_map(|report| match &report.outcome {
            Outcome::Attached(attach) => Some(attach.program),
            Outcome::Skipped { .. } => None,
        });
    let program = program.context("no program at sys_exit")?;
    let program = observed.programs.ebpf().program(program);
    let program = program.context("not in the object")?.fd()?;
    Ok(sonde::kernel::sys::runs(program.as_fd())?.missed)
}

/// Whether the programs that are attached here lose runs to preemption: tracepoints since 7.0, but
/// for perf tracepoints.
fn may_miss(observed: &Observed) -> bool {
    kernel().has_preemptible_tracepoints() && !observed.programs.is_attached("syscall_exit_perf")
}

/// More processes than a cache has slots for one call, at the same time on all CPUs.
fn counts_of_many_processes_are_kept_apart(observed: &mut Observed) -> Result<()> {
    let before = misses(observed)?;
    let mut lost = 0;
    let children: Result<Vec<_>> = (0..24u64)
        .map(|index| {
            let calls = 1000 + index;
            let child = crate::child::Child::start("syscalls", &[&calls.to_string()])?;
            Ok((child, calls))
        })
        .collect();
    for (child, calls) in children? {
        let pid = child.pid();
        ensure!(observed.finish(child)?.success());
        let counted = count_of(observed, pid, libc::SYS_getppid, 0, calls)?;
        let full = observed.faults(Fault::SyscallMapFull)?;
        if may_miss(observed) {
            ensure!(counted <= calls, "pid {pid}: {counted} for {calls}");
            lost += calls - counted;
            continue;
        }
        ensure!(
            counted == calls,
            "pid {pid}: {counted} for {calls}, {full} for which the map had no room, {} runs that \
             the kernel left out",
            misses(observed)? - before
        );
    }
    // What is lost is told. Other programs of the machine have calls of their own.
    let missed = misses(observed)? - before;
    ensure!(lost <= missed, "{lost} calls lost, {missed} runs left out");
    ensure!(may_miss(observed) || missed == 0, "{missed} runs left out");
    if lost > 0 {
        println!("    {lost} calls lost, {missed} runs left out");
    }
    Ok(())
}

fn durations_of_all_calls_count_each_call(observed: &mut Observed) -> Result<()> {
    // A map of its own: nobody removes what other programs leave in the shared one.
    let observed = &mut Observed::attach(observed.mode)?;
    const CALLS: u64 = 5000;
    let start = Instant::now();
    let pid = observed.run("syscalls", &[&CALLS.to_string()])?;
    let wall = start.elapsed();
    let durations = durations_of(observed, pid, libc::SYS_getppid)?;
    ensure!(durations.count == CALLS, "timed {} calls", durations.count);
    ensure!(durations.buckets.iter().sum::<u64>() == CALLS);
    ensure!(durations.sum > 0 && u128::from(durations.sum) < wall.as_nanos());
    Ok(())
}

fn durations_are_about_as_long_as_the_calls(observed: &mut Observed) -> Result<()> {
    // A map of its own: nobody removes what other programs leave in the shared one.
    let observed = &mut Observed::attach(observed.mode)?;
    let pid = observed.run("sleeps", &["10", "20"])?;
    let durations = durations_of(observed, pid, libc::SYS_clock_nanosleep)?;
    ensure!(durations.count == 10, "{} sleeps", durations.count);
    let seconds = Duration::from_nanos(durations.sum).as_secs_f64();
    ensure!(
        (0.2..2.0).contains(&seconds),
        "ten sleeps of 20 ms took {seconds} s"
    );
    Ok(())
}

/// The clock is the test's own: a look at it closes the window, one an age later opens it again.
fn sampled_calls_are_timed_in_windows_only(observed: &mut Observed) -> Result<()> {
    const CALLS: u64 = 20_000;
    const AGE: u64 = 3600 * 1_000_000_000;
    const PERIOD: u64 = 64;
    let settings = Settings {
        syscall_period: Some(PERIOD as u32),
        ..settings()
    };
    let observed = &mut Observed::with(observed.mode, &settings)?;
    let timed = |observed: &mut Observed| -> Result<u64> {
        let pid = observed.run("syscalls", &[&CALLS.to_string()])?;
        let counted = count_of(observed, pid, libc::SYS_getppid, 0, CALLS)?;
        ensure!(counted == CALLS || may_miss(observed), "counted {counted}");
        Ok(durations_of(observed, pid, libc::SYS_getppid)?.count)
    };
    let windows = !observed.mode.kernel().has_preemptible_tracepoints();
    for round in 1..4 {
        observed.programs.turn_window((2 * round - 1) * AGE);
        let closed = timed(observed)?;
        ensure!(closed == 0 || !windows, "{closed} timed outside a window");
        observed.programs.turn_window(2 * round * AGE);
        let open = timed(observed)?;
        // An eighth of them, where a sixty-fourth is asked for.
        let expected = if windows { CALLS / 8 } else { CALLS / PERIOD };
        ensure!(
            (expected / 2..expected * 2).contains(&open),
            "{open} timed in a window, not about {expected}"
        );
    }
    Ok(())
}

fn the_agent_itself_is_not_counted(observed: &mut Observed) -> Result<()> {
    for _ in 0..1000 {
        sys::getppid();
    }
    let counted = count_of(observed, std::process::id(), libc::SYS_getppid, 0, 1)?;
    ensure!(counted == 0, "counted {counted}");
    Ok(())
}
