//! Where the time of threads goes, and what processes use: against what the test knows, and against
//! the kernel's other accounts of the same.

use std::{
    collections::HashMap,
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::{SysconfVar, sysconf};
use sonde::{kernel::sweep, probe::sched::SWEEPS};
use sonde_common::{
    event::{
        process::Exit,
        sched::{FIRST_WAIT_BUCKET, Process, Sleep, Usage, WAIT_BUCKETS},
    },
    fault::Fault,
};

use crate::{
    child::Child,
    harness::Test,
    observed::{Observed, Seen},
};

pub(crate) mod moved;
mod work;

pub(crate) use self::work::WORKLOADS;
use self::work::{BUSY, WAYS};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "sched::the_time_of_threads_is_told_apart_and_adds_up",
        run: the_time_of_threads_is_told_apart_and_adds_up,
    },
    Test {
        name: "sched::a_process_is_accounted_as_the_kernel_does",
        run: a_process_is_accounted_as_the_kernel_does,
    },
    Test {
        name: "sched::threads_leave_what_they_used_to_their_process",
        run: threads_leave_what_they_used_to_their_process,
    },
    Test {
        name: "sched::threads_that_end_at_once_all_count",
        run: threads_that_end_at_once_all_count,
    },
    Test {
        name: "sched::waiting_tasks_are_counted_and_wait_longer_under_load",
        run: waiting_tasks_are_counted_and_wait_longer_under_load,
    },
    Test {
        name: "sched::storage_is_what_direct_io_waits_for",
        run: storage_is_what_direct_io_waits_for,
    },
];

/// What each process has used, and what it is.
fn tasks(observed: &Observed) -> Result<HashMap<u32, (Usage, Option<Process>)>> {
    let mut all = HashMap::new();
    let attached = |program: &&str| observed.programs.is_attached(program);
    let program = SWEEPS.into_iter().find(attached).context("no sweep")?;
    sweep::tasks(observed.programs.ebpf(), program, |task, process| {
        let (usage, whole) = all.entry(task.tgid).or_insert((Usage::EMPTY, None));
        join(usage, &task.usage);
        *whole = whole.or(process.copied());
    })?;
    Ok(all)
}

fn join(sum: &mut Usage, usage: &Usage) {
    sum.cpu += usage.cpu;
    sum.queued += usage.queued;
    for (sum, slept) in sum.slept.iter_mut().zip(usage.slept) {
        *sum += slept;
    }
    sum.minor_faults += usage.minor_faults;
    sum.voluntary_switches += usage.voluntary_switches;
    sum.waits.sum += usage.waits.sum;
    for (sum, count) in sum.waits.buckets.iter_mut().zip(usage.waits.buckets) {
        *sum += count;
    }
}

fn usage_of(observed: &Observed, pid: u32) -> Result<Usage> {
    let all = tasks(observed)?;
    Ok(all.get(&pid).context("the process isn't told of")?.0)
}

/// What a process that has ended used, late threads' part as well.
pub(crate) fn usage_at_end(observed: &Observed, pid: u32) -> Result<(Exit, Usage)> {
    let mut exits = observed.exits(pid);
    let exit = exits.pop().context("no exit")?;
    let mut usage = exit.usage;
    for seen in &observed.seen {
        if let Seen::ExitRest(rest) = seen
            && rest.header.tgid == pid
        {
            join(&mut usage, &rest.usage);
        }
    }
    Ok((exit, usage))
}

/// Whether two times are the same within 2 % of the whole.
fn near(what: &str, measured: u64, expected: Duration, whole: Duration) -> Result<()> {
    let difference = Duration::from_nanos(measured).abs_diff(expected);
    ensure!(
        difference <= whole / 50,
        "{what}: {measured} ns, not {expected:?} (of {whole:?})"
    );
    Ok(())
}

fn the_time_of_threads_is_told_apart_and_adds_up(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("wait-in-every-way", &[])?;
    child.line()?;
    // Twice: the first reading finds threads asleep that nobody saw going to sleep.
    let before = usage_of(observed, child.pid())?;
    let start = Instant::now();
    thread::sleep(Duration::from_secs(2));
    let after = usage_of(observed, child.pid())?;
    let time = start.elapsed();
    child.say("done")?;
    let threads = BUSY + WAYS.iter().map(|(_, threads)| threads).sum::<u32>();
    let whole = time * threads;
    let mut sum = (after.cpu - before.cpu) + (after.queued - before.queued);
    near("busy", sum, time * BUSY, whole)?;
    for (sleep, threads) in WAYS {
        let grown = after.slept[sleep as usize] - before.slept[sleep as usize];
        near(&format!("{sleep:?}"), grown, time * threads, whole)?;
        sum += grown;
    }
    let disk = Sleep::Disk as usize;
    sum += after.slept[disk] - before.slept[disk];
    near("all", sum, whole, whole)?;
    ensure!(observed.finish(child)?.success());
    Ok(())
}

/// Fields of a file of `/proc/PID`, as numbers.
fn fields(pid: u32, file: &str) -> Result<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let fields = text.split_ascii_whitespace();
    Ok(fields.map(|field| field.parse().unwrap_or(0)).collect())
}

/// While a process sleeps, nothing of it moves.
fn a_process_is_accounted_as_the_kernel_does(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("use-a-little", &[])?;
    child.line()?;
    let pid = child.pid();
    thread::sleep(Duration::from_millis(100));
    let (usage, process) = *tasks(observed)?.get(&pid).context("not told of")?;
    let process = process.context("no leader")?;
    // Time on a CPU and time waited for one, in nanoseconds (Documentation/scheduler/sched-stats.rst).
    let schedstat = fields(pid, "schedstat")?;
    ensure!(
        usage.cpu == schedstat[0],
        "{} for {}",
        usage.cpu,
        schedstat[0]
    );
    ensure!(
        usage.queued == schedstat[1],
        "{} for {}",
        usage.queued,
        schedstat[1]
    );
    let waits: u32 = usage.waits.buckets.iter().sum();
    ensure!(waits >= 50, "{waits} waits for 50 sleeps");
    ensure!(usage.waits.sum <= usage.queued);
    // minflt, nice and start are fields 10, 20 and 22 of stat, vsize and rss 23 and 24.
    let stat = fields(pid, "stat")?;
    ensure!(
        usage.minor_faults == stat[9],
        "{} faults",
        usage.minor_faults
    );
    let page = sysconf(SysconfVar::PAGE_SIZE)?.context("no page size")? as u64;
    ensure!(process.size * page == stat[22], "{} pages", process.size);
    // Each CPU may hold some pages back.
    let slack = 256 * thread::available_parallelism()?.get() as u64;
    ensure!(
        process.resident.abs_diff(stat[23]) <= slack && process.resident * page > 8 << 20,
        "{} pages for {}",
        process.resident,
        stat[23]
    );
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    ensure!(
        process.descriptors as usize == open,
        "{} open",
        process.descriptors
    );
    ensure!(process.threads == 1 && process.is_kernel == 0);
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    ensure!(limit == Some(process.descriptor_limit), "{limit:?}");
    child.say("done")?;
    ensure!(observed.finish(child)?.success());
    Ok(())
}

fn threads_leave_what_they_used_to_their_process(observed: &mut Observed) -> Result<()> {
    const TIME: Duration = Duration::from_millis(200);
    let mut child = Child::start("threads-that-work", &["200"])?;
    let told = child.line()?;
    let pid = child.pid();
    ensure!(observed.finish(child)?.success());
    let (exit, usage) = usage_at_end(observed, pid)?;
    let mut told = told.split_ascii_whitespace().map(str::parse::<u64>);
    let cpu = Duration::from_micros(told.next().context("no time")??);
    // After it has told, it has little to do.
    let difference = Duration::from_nanos(usage.cpu).abs_diff(cpu);
    ensure!(difference < cpu / 20, "{} ns for {cpu:?}", usage.cpu);
    let faults = told.next().context("no faults")??;
    ensure!(
        usage.minor_faults >= faults && usage.minor_faults < faults + 50,
        "{} faults for {faults}",
        usage.minor_faults
    );
    // Two threads, then two at once; the main one waits for them by a futex.
    let busy = usage.cpu + usage.queued;
    let rested = usage.slept[Sleep::Other as usize];
    let lock = usage.slept[Sleep::Lock as usize];
    // What a hypervisor takes from a CPU is no time of the thread on it.
    let left = 4 * TIME.as_nanos() as u64 * 95 / 100;
    ensure!(busy >= left, "{busy} ns busy");
    ensure!(rested >= 4 * TIME.as_nanos() as u64, "{rested} ns at rest");
    ensure!(lock >= 5 * TIME.as_nanos() as u64, "{lock} ns joining");
    let lifetime = Duration::from_nanos(exit.lifetime);
    ensure!(lifetime >= 6 * TIME && lifetime < 60 * TIME, "{lifetime:?}");
    Ok(())
}

fn threads_that_end_at_once_all_count(observed: &mut Observed) -> Result<()> {
    let before = observed.faults(Fault::ThreadStateFull)?;
    observed.run("threads-that-end", &["100"])?;
    let lost = observed.faults(Fault::ThreadStateFull)? - before;
    ensure!(lost == 0, "{lost} of 200 threads");
    Ok(())
}

/// Waits longer than this.
fn long_waits(usage: &Usage, nanoseconds: u64) -> u32 {
    let first = nanoseconds.ilog2() as usize - FIRST_WAIT_BUCKET;
    usage.waits.buckets[first.min(WAIT_BUCKETS)..].iter().sum()
}

/// More tasks that never rest than CPUs: each waits for a whole time slice, again and again.
fn waiting_tasks_are_counted_and_wait_longer_under_load(observed: &mut Observed) -> Result<()> {
    const SLICE: u64 = 1 << 20;
    let pid = observed.run("sleeps", &["200", "1"])?;
    let (_, idle) = usage_at_end(observed, pid)?;
    let count: u32 = idle.waits.buckets.iter().sum();
    ensure!(count >= 200, "{count} waits for 200 sleeps");
    let cpus = thread::available_parallelism()?.get();
    let spinning: Result<Vec<_>> = (0..2 * cpus)
        .map(|_| Child::start("spin", &["1000"]))
        .collect();
    let mut busy = Usage::EMPTY;
    for child in spinning? {
        let pid = child.pid();
        ensure!(observed.finish(child)?.success());
        join(&mut busy, &usage_at_end(observed, pid)?.1);
    }
    // Each spinning task shares its CPU for about a second, in slices of a few milliseconds.
    let long = long_waits(&busy, SLICE);
    let expected = 20 * cpus as u32;
    ensure!(long >= expected, "{long} waits were long, not {expected}");
    ensure!(
        busy.queued > idle.queued,
        "{} ns waited, {} when idle",
        busy.queued,
        idle.queued
    );
    Ok(())
}

fn storage_is_what_direct_io_waits_for(observed: &mut Observed) -> Result<()> {
    let disk = crate::block::disk::Disk::new()?;
    let path = disk.argument()?;
    let pid = observed.run("direct-io", &[path, "100", "100"])?;
    let (_, usage) = usage_at_end(observed, pid)?;
    let waited = usage.slept[Sleep::Disk as usize];
    let other: u64 = usage.slept.iter().sum::<u64>() - waited;
    ensure!(
        waited > 0 && waited > other,
        "{waited} ns for storage, {other} else"
    );
    let bytes = usage.read_bytes;
    ensure!(bytes >= 100 * 4096, "{bytes} bytes read");
    Ok(())
}
