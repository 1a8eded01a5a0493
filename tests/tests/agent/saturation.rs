//! Who saturates what: `use_saturation_by_service`, beside the host's own numbers.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use sonde_tests::{
    agent::{Agent, INTERVAL},
    cgroup::Limited,
    exposition::Sample,
    lab::Lab,
    process::Process,
};

use crate::support::{Disk, SERVICE};

const BY_SERVICE: &str = "use_saturation_by_service";
const LATENCY: &str = "system_disk_operation_latency_seconds";
/// Blocks that are read again and again, and how often.
const BLOCKS: u32 = 20_000;
const LOOPS: u32 = 4;
/// By how much the kernel's time in a queue may differ from the services': it ends with the account
/// of a request, before which whoever waited for it may run, so that it grows with what else the
/// CPUs do.
const CLOSE: f64 = 0.25;

/// Reads whose ends were not seen, and whose places had no other read yet.
const FEW: f64 = 2.0;

/// Reads of a disk by fio, past the caches, under a name of its own.
fn fio(lab: &Lab, program: &Path, disk: &Disk, how: &[String]) -> Command {
    let mut command = lab.command(program);
    command
        .args(["--name=reads", "--bs=4k", "--direct=1", "--invalidate=0"])
        .args(["--ioengine=psync", "--thread"])
        .arg(format!("--filename={}", disk.path().display()))
        .args(how);
    command
}

/// What the host says of a disk's queue, and what its services do in sum.
fn queue(agent: &Agent, disk: &str) -> Result<(f64, f64)> {
    let metrics = agent.metrics()?;
    let labels = [
        ("resource", "disk"),
        ("device", disk),
        ("signal", "queue_length"),
    ];
    let host = metrics.sum("use_saturation", &labels).unwrap_or(0.0);
    let services = metrics.sum(BY_SERVICE, &labels).unwrap_or(0.0);
    Ok((host, services))
}

/// Reads that the kernel has merged into others, so far.
fn merged_reads(disk: &str) -> Result<f64> {
    let stat = fs::read_to_string(format!("/sys/block/{disk}/stat"))?;
    let merged = stat.split_whitespace().nth(1).context("short")?;
    Ok(merged.parse()?)
}

#[test]
fn who_keeps_a_disk_busy_is_named_and_the_sum_is_the_hosts() -> Result<()> {
    let lab = Lab::open()?;
    let disk = Disk::new(&lab)?;
    let name = disk.name()?;
    let agent = lab.agent(&[])?;
    let (program, service) = lab.copy("fio")?;
    let all = [
        "--rw=read".to_owned(),
        format!("--size={}k", 4 * BLOCKS),
        format!("--loops={LOOPS}"),
    ];
    let mut sums = (0.0, 0.0);
    let mut readings = 0;
    let merged_before = merged_reads(name)?;
    let mut children = Vec::new();
    for _ in 0..3 {
        children.push(lab.start(&mut fio(&lab, &program, &disk, &all), false)?);
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_mins(1) {
        thread::sleep(INTERVAL);
        let (host, services) = queue(&agent, name)?;
        sums = (sums.0 + host, sums.1 + services);
        readings += 1;
        let mut ended = children.iter_mut().map(Process::ended);
        if ended.all(|status| status.is_ok_and(|status| status.is_some())) {
            break;
        }
    }
    agent.two_snapshots()?;
    let (host, services) = sums;
    let differ = (host - services).abs() / host;
    println!("{host} on the host, {services} in services, over {readings} readings");
    ensure!(host > 0.0 && differ < CLOSE, "{host} and {services}");

    let of = [(SERVICE, &*service), ("system_device", name)];
    let metrics = agent.metrics()?;
    let blocks = f64::from(BLOCKS * LOOPS);
    let lost = metrics.sum("sonde_dropped_total", &[("reason", "block_end_unseen")]);
    let lost = lost.context("no count of the lost")?;
    let counted = |missing: f64| (lost..=lost + FEW).contains(&missing);
    let moved = metrics.sum("block_io_bytes_total", &of);
    let missing = 3.0 * blocks - moved.context("no bytes")? / 4096.0;
    ensure!(counted(missing), "{missing} blocks, {lost} of them counted");
    // Where two of them read neighbouring blocks at once, the kernel may make one request of it.
    let operations = metrics.sum("block_operations_total", &of);
    let merged = merged_reads(name)? - merged_before;
    let missing = 3.0 * blocks - (operations.context("none")? + merged);
    ensure!(
        counted(missing),
        "{operations:?}, {merged} merged, {lost} lost"
    );
    let (host, services) = queue(&agent, name)?;
    ensure!(host == 0.0 && services == 0.0, "quiet: {host}, {services}");
    Ok(())
}

/// Reads that a cgroup may make in a second, and reads that are made.
const RATE: u64 = 10;
const READS: u32 = 30;
/// Longer than a read takes by itself, in seconds; much less than it waits for the limit.
const LONG: f64 = 0.04;

/// Reads of a disk so far: all, and those that took long.
fn reads(agent: &Agent, disk: &str) -> Result<(f64, f64)> {
    agent.two_snapshots()?;
    let metrics = agent.metrics()?;
    let of = [("system_device", disk), ("disk_io_direction", "read")];
    let bound = |sample: &Sample| sample.labels.get("le")?.parse::<f64>().ok();
    let count = metrics.sum(&format!("{LATENCY}_count"), &of).unwrap_or(0.0);
    let short = metrics
        .of(&format!("{LATENCY}_bucket"), &of)
        .filter(|sample| bound(sample).is_some_and(|bound| bound <= LONG))
        .map(|sample| sample.value)
        .fold(0.0, f64::max);
    Ok((count, count - short))
}

/// How long a queue was at most while fio ran.
fn longest(agent: &Agent, fio: &mut Process, queue: &[(&str, &str)]) -> Result<f64> {
    let began = Instant::now();
    let mut longest: f64 = 0.0;
    loop {
        let ended = fio.ended()?;
        let length = agent.metrics()?.sum(BY_SERVICE, queue);
        longest = longest.max(length.unwrap_or(0.0));
        if let Some(status) = ended {
            ensure!(status.success(), "fio: {status}\n{}", fio.log());
            return Ok(longest);
        }
        ensure!(began.elapsed() < Duration::from_mins(2), "{}", fio.log());
        thread::sleep(INTERVAL / 2);
    }
}

/// A loop device's I/O waits for the limit of the disk beneath it at the device: what waits for a
/// limit of its own isn't a request yet. That disk has nothing else, or the pages of fio's own program
/// would be limited, too.
#[test]
fn a_disk_that_a_limit_slows_down_shows_it_and_who_waits() -> Result<()> {
    let lab = Lab::open()?;
    let (disk, beneath) = Disk::on_another(&lab)?;
    let name = disk.name()?;
    let group = Limited::new(lab.namespace())?.context("no cgroups that limit block I/O")?;
    let agent = lab.agent(&[])?;
    let (program, service) = lab.copy("fio")?;
    let some = ["--rw=randread".to_owned(), format!("--number_ios={READS}")];
    let waits = [
        (SERVICE, &*service),
        ("device", name),
        ("signal", "queue_length"),
    ];
    let mut shares = Vec::new();
    for limit in [None, Some(RATE)] {
        group.limit(beneath, limit)?;
        let before = reads(&agent, name)?;
        let mut fio = group.inside(&fio(&lab, &program, &disk, &some));
        let mut fio = lab.start(&mut fio, false)?;
        let longest = longest(&agent, &mut fio, &waits)?;
        ensure!(limit.is_none() || longest > 0.5, "{longest} waited");
        let after = reads(&agent, name)?;
        let made = after.0 - before.0;
        ensure!(made >= f64::from(READS / 2), "{made} reads");
        shares.push((after.1 - before.1) / made);
        let length = agent.metrics()?.sum(BY_SERVICE, &waits);
        ensure!(length.is_none_or(|length| length == 0.0), "{length:?}");
    }
    println!("slow reads without and with the limit: {shares:?}");
    ensure!(shares[0] < 0.1 && shares[1] > 0.5, "{shares:?}");
    Ok(())
}

/// Listens with a backlog of 1 and accepts nobody, until it is told to.
const SLOW: &str = "
import socket, sys
server = socket.socket()
server.bind(('127.0.0.1', 0))
server.listen(1)
print(server.getsockname()[1], flush=True)
sys.stdin.readline()
while True:
    server.accept()
";

#[test]
fn a_server_that_is_slow_to_accept_is_named_and_a_quick_one_is_not() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let script = lab.write("slow_accept.py", SLOW)?;
    let mut command = lab.command("python3");
    command.arg(&script).stdin(Stdio::piped());
    let mut server = command.stdout(Stdio::piped()).spawn()?;
    let result = overflow(&agent, &lab, &mut server);
    let _ = server.kill();
    let _ = server.wait();
    result
}

fn overflow(agent: &Agent, lab: &Lab, server: &mut std::process::Child) -> Result<()> {
    use std::io::{BufRead as _, BufReader, Write as _};

    let mut line = String::new();
    let out = server.stdout.take().context("no output")?;
    BufReader::new(out).read_line(&mut line)?;
    let port = line.trim();
    let address = format!("127.0.0.1:{port}").parse()?;
    let ours = [("service_namespace", lab.namespace())];
    let signal = |signal| [ours[0], ("resource", "tcp"), ("signal", signal)];
    let at = [ours[0], ("server_port", port)];
    agent.eventually("the listener", |metrics| {
        let limit = metrics.sum("tcp_accept_queue_limit", &at)?;
        let length = metrics.sum("tcp_accept_queue_length", &at)?;
        let drops = metrics.sum("tcp_listen_drops_total", &at)?;
        ((limit, length, drops) == (1.0, 0.0, 0.0)).then_some(())
    })?;
    let quick = Duration::from_millis(300);
    let mut open = Vec::new();
    for _ in 0..4 {
        open.extend(std::net::TcpStream::connect_timeout(&address, quick));
    }
    ensure!(open.len() == 2, "{} connections", open.len());
    agent.eventually("the full queue", |metrics| {
        let length = metrics.sum("tcp_accept_queue_length", &at)?;
        let share = metrics.sum(BY_SERVICE, &signal("accept_queue_share"))?;
        let drops = metrics.sum("tcp_listen_drops_total", &at)?;
        (length >= 2.0 && share >= 1.0 && drops >= 2.0).then_some(())
    })?;
    let mut input = server.stdin.take().context("no input")?;
    writeln!(input, "accept")?;
    agent.eventually("the empty queue", |metrics| {
        let length = metrics.sum("tcp_accept_queue_length", &at)?;
        let share = metrics.sum(BY_SERVICE, &signal("accept_queue_share"))?;
        let rate = metrics.sum(BY_SERVICE, &signal("listen_drop_rate"))?;
        (length == 0.0 && share == 0.0 && rate == 0.0).then_some(())
    })?;
    Ok(())
}
