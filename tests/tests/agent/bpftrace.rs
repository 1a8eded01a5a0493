//! bpftrace beside sonde, under one load: as many waits, and as long.

mod histogram;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::MetadataExt as _,
    process::ChildStdout,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use sonde_tests::{agent::PATIENCE, exposition::Metrics, lab::Lab, process::Process};

use self::histogram::{Histogram, SLACK, differences, means_agree};
use crate::support::Disk;

/// The agent is read this long after bpftrace has begun, and again this long after it has ended: what
/// else the machine does is seen by both for as long.
const SETTLED: Duration = Duration::from_millis(300);
const SNAPSHOTS: &str = "--snapshot.interval=100ms";

/// A program's way of timing what begins at some tracepoints and ends at the probe in which this
/// stands: `since` is where the begin is kept, `by` tells values apart. What it does itself takes time
/// too: `$now` is read before.
fn timed(name: &str, since: &str, by: &str) -> String {
    format!(
        "$now = nsecs;
         if ({since} != 0) {{
             $longer = $now - {since} + $1;
             $shorter = $longer > 2 * $1 ? $longer - 2 * $1 : 0;
             @{name}_shorter{by} = hist($shorter); @{name}_shorter_sum{by} = sum($shorter);
             @{name}_longer{by} = hist($longer); @{name}_longer_sum{by} = sum($longer);
             delete({since});
         }}"
    )
}

/// From being woken, or taken off a CPU while it could go on (256: by force), to having one.
fn run_queue() -> String {
    let ends = timed("waits", "@since[args->next_pid]", "");
    format!(
        "tracepoint:sched:sched_wakeup, tracepoint:sched:sched_wakeup_new {{
             @since[args->pid] = nsecs;
         }}
         tracepoint:sched:sched_switch {{
             {ends}
             if (args->prev_pid != 0 && (args->prev_state == 0 || args->prev_state == 256)) {{
                 @since[args->prev_pid] = $now;
             }}
         }}"
    )
}

/// Between two tracepoints of a request, on one device.
fn block(name: &str, begin: &str, end: &str) -> String {
    let since = format!("@since_{name}[args->sector]");
    let ends = timed(name, &since, "[args->rwbs]");
    format!(
        "tracepoint:block:{begin} /args->dev == $2/ {{ {since} = nsecs; }}
         tracepoint:block:{end} /args->dev == $2/ {{ {ends} }}"
    )
}

struct Bpftrace {
    process: Process,
    output: BufReader<ChildStdout>,
}

impl Bpftrace {
    /// Starts a program and waits until it is attached: what it prints isn't read before.
    fn start(lab: &Lab, program: &str, device: &str) -> Result<Self> {
        const RUN: &str = "[ -d /sys/kernel/tracing/events ] || \
            mount -t tracefs tracefs /sys/kernel/tracing && exec bpftrace -f json \"$@\"";
        let up = "interval:ms:100 { printf(\"up\"); } interval:s:120 { exit(); }";
        let program = lab.write("program.bt", &format!("{program} {up}"))?;
        // Where nobody has mounted it, nobody else sees it.
        let mut command = lab.command("unshare");
        command
            .args(["--mount", "sh", "-c", RUN, "sh"])
            .arg(program);
        command.args([format!("{SLACK}"), device.to_owned()]);
        let mut process = lab.start(&mut command, true)?;
        let mut output = BufReader::new(process.take_output().context("not piped")?);
        let mut line = String::new();
        while !line.contains("up") {
            line.clear();
            let length = output.read_line(&mut line)?;
            ensure!(length > 0, "bpftrace ended:\n{}", process.log());
        }
        Ok(Self { process, output })
    }

    /// Ends it; what it has printed, line by line.
    fn end(mut self) -> Result<Vec<Value>> {
        self.process.signal(Signal::SIGINT)?;
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        let status = self.process.end_within(PATIENCE)?;
        ensure!(status.success(), "{status}:\n{}", self.process.log());
        let lines = text.lines().filter(|line| !line.is_empty());
        Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
    }
}

/// Runs a load; what both saw of it.
fn observe(lab: &Lab, program: &str, device: &str, load: &str) -> Result<Seen> {
    let agent = lab.agent(&[SNAPSHOTS])?;
    let bpftrace = Bpftrace::start(lab, program, device)?;
    thread::sleep(SETTLED);
    let before = agent.metrics()?;
    let mut words = load.split_whitespace();
    lab.run(words.next().context("a program")?, words)?;
    let printed = bpftrace.end()?;
    thread::sleep(SETTLED);
    let after = agent.metrics()?;
    Ok(Seen {
        before,
        after,
        printed,
    })
}

struct Seen {
    before: Metrics,
    after: Metrics,
    printed: Vec<Value>,
}

impl Seen {
    /// Requires that counts and shares agree; whether the means do as well.
    fn agrees(&self, metric: &str, labels: &[(&str, &str)], map: &str, key: &str) -> Result<bool> {
        println!("{metric} {labels:?}");
        let ours = Histogram::ours(&self.before, &self.after, metric, labels)?;
        let shorter = Histogram::theirs(&self.printed, &format!("{map}_shorter"), key)?;
        let longer = Histogram::theirs(&self.printed, &format!("{map}_longer"), key)?;
        ensure!(longer.count() > 10_000.0, "too few: {longer:?}");
        let found = differences(&ours, &shorter, &longer);
        ensure!(
            found.is_empty(),
            "{metric} {labels:?}\n{}",
            found.join("\n")
        );
        Ok(means_agree(&ours, &shorter, &longer))
    }
}

#[test]
fn threads_wait_for_a_cpu_as_long_as_bpftrace_says() -> Result<()> {
    let lab = Lab::open()?;
    let hogs = 2 * thread::available_parallelism()?.get();
    let load = format!("stress-ng --switch 2 --pipe 1 --cpu {hogs} --timeout 5");
    let seen = observe(&lab, &run_queue(), "0", &load)?;
    // The sum, and a mean with it, isn't required to agree: since 6.12 a thread that falls asleep may
    // stay in its queue for a while, and of one that is moved to another CPU there and then the
    // scheduler counts all of its sleep as a wait. One of these in a million is as long as the rest.
    seen.agrees("system_cpu_run_queue_latency_seconds", &[], "waits", "")?;
    Ok(())
}

#[test]
fn block_requests_wait_and_take_as_long_as_bpftrace_says() -> Result<()> {
    let lab = Lab::open()?;
    let disk = Disk::new(&lab)?;
    let number = fs::metadata(disk.path())?.rdev();
    // As the kernel itself packs it.
    let device = u64::from(libc::major(number)) << 20 | u64::from(libc::minor(number));
    let program = block("queue", "block_io_start", "block_rq_issue")
        + &block("device", "block_rq_issue", "block_rq_complete");
    // More than the device takes at once, so that some wait; no two of them adjacent, or they would
    // be merged, under another sector.
    let load = format!(
        "fio --name=load --filename={} --rw=randrw --bs=4k --blockalign=8k --direct=1 \
         --ioengine=libaio --iodepth=256 --ioscheduler=mq-deadline --time_based --runtime=5",
        disk.path().display()
    );
    let seen = observe(&lab, &program, &device.to_string(), &load)?;
    for (direction, key) in [("read", "R"), ("write", "W")] {
        let labels = [
            ("system_device", disk.name()?),
            ("disk_io_direction", direction),
        ];
        let device = "system_disk_operation_latency_seconds";
        ensure!(
            seen.agrees(device, &labels, "device", key)?,
            "{device}: mean"
        );
        let queue = "system_disk_operation_queue_latency_seconds";
        ensure!(seen.agrees(queue, &labels, "queue", key)?, "{queue}: mean");
    }
    Ok(())
}
