//! Block I/O: times, bytes, and whose requests they are.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use sonde::kernel::map;
use sonde_common::{
    event::block::{DeviceKey, Latency, Operation, Pending, Usage, UsageKey},
    fault::Fault,
    hist::Log2,
};

use self::disk::Disk;
use crate::{
    child::{Workload, hear, tell},
    harness::{Test, Untold},
    observed::Observed,
};

pub(crate) mod disk;
pub(crate) mod failing;
pub(crate) mod limited;
pub(crate) mod unseen;
pub(crate) mod writeback;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "block::requests_are_counted_by_device_direction_and_process",
        run: requests_are_counted_by_device_direction_and_process,
    },
    Test {
        name: "block::what_is_synced_belongs_to_whoever_syncs",
        run: what_is_synced_belongs_to_whoever_syncs,
    },
    Test {
        name: "block::many_at_once_are_counted_as_the_kernel_does",
        run: many_at_once_are_counted_as_the_kernel_does,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "direct-io",
        run: direct_io,
    },
    Workload {
        name: "buffered-io",
        run: buffered_io,
    },
    Workload {
        name: "parallel-io",
        run: parallel_io,
    },
];

/// Requests under way, by address.
const REQUESTS: &str = "BLOCK_REQUESTS";
const BLOCK: usize = 4096;
/// Bytes between two requests, so that no two are merged.
const APART: u64 = 16 * BLOCK as u64;

/// Writes and reads blocks past the page cache: one request each.
fn direct_io(arguments: &[&str]) -> Result<()> {
    let [device, writes, reads] = arguments else {
        bail!("device and two counts");
    };
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(device)?;
    // Aligned as O_DIRECT wants it.
    let mut buffer = vec![0u8; 2 * BLOCK];
    let start = buffer.as_ptr().align_offset(BLOCK);
    let block = &mut buffer[start..start + BLOCK];
    for index in 0..writes.parse::<u64>()? {
        file.write_all_at(block, index * APART)?;
    }
    for index in 0..reads.parse::<u64>()? {
        file.read_exact_at(block, index * APART)?;
    }
    Ok(())
}

/// Writes bytes through the page cache, in one go; then has them written back, or says so and
/// leaves that to others.
fn buffered_io(arguments: &[&str]) -> Result<()> {
    let [device, bytes, sync] = arguments else {
        bail!("device, bytes, and sync or leave");
    };
    let mut file = OpenOptions::new().write(true).open(device)?;
    file.write_all(&vec![0x5a; bytes.parse()?])?;
    if *sync == "sync" {
        file.sync_all()?;
        return Ok(());
    }
    tell("written")?;
    hear()?;
    Ok(())
}

/// Several threads that write and read blocks at the same time.
fn parallel_io(arguments: &[&str]) -> Result<()> {
    let [device, threads, each] = arguments else {
        bail!("device and two counts");
    };
    let threads: Vec<_> = (0..threads.parse::<u32>()?)
        .map(|_| {
            let arguments = [*device, *each, *each].map(str::to_owned);
            std::thread::spawn(move || direct_io(&arguments.each_ref().map(String::as_str)))
        })
        .collect();
    for thread in threads {
        match thread.join() {
            Ok(result) => result?,
            Err(_) => bail!("a thread panicked"),
        }
    }
    Ok(())
}

/// What came to a histogram between two readings.
fn since(before: &Log2, after: &Log2) -> Log2 {
    let mut grown = *after;
    grown.count -= before.count;
    grown.sum -= before.sum;
    for (bucket, earlier) in grown.buckets.iter_mut().zip(before.buckets) {
        *bucket -= earlier;
    }
    grown
}

/// Times of a disk's requests.
fn latency(observed: &Observed, device: u32, operation: Operation) -> Result<Latency> {
    let all = map::entries::<DeviceKey, Latency>(observed.programs.ebpf(), "BLOCK_LATENCY")?;
    let found = all
        .iter()
        .find(|(of, _)| of.device == device && of.operation == operation as u32);
    Ok(found.map_or(Latency::EMPTY, |(_, latency)| *latency))
}

/// What the owners' requests to a disk came to.
fn usage(
    observed: &Observed,
    device: u32,
    operation: Operation,
    is_owner: impl Fn(&UsageKey) -> bool,
) -> Result<Usage> {
    let all = map::entries::<UsageKey, Usage>(observed.programs.ebpf(), "BLOCK_USAGE")?;
    let mut sum = Usage::EMPTY;
    for (_, usage) in all.iter().filter(|(key, _)| {
        key.of.device == device && key.of.operation == operation as u32 && is_owner(key)
    }) {
        sum.operations += usage.operations;
        sum.bytes += usage.bytes;
        sum.queue_time += usage.queue_time;
        sum.device_time += usage.device_time;
    }
    Ok(sum)
}

/// What one process's requests came to.
fn usage_of(observed: &Observed, device: u32, operation: Operation, tgid: u32) -> Result<Usage> {
    usage(observed, device, operation, |key| key.owner.tgid == tgid)
}

/// What has come to it. Other tests had disks of this number before.
fn more(before: &Usage, after: &Usage) -> Usage {
    Usage {
        operations: after.operations - before.operations,
        bytes: after.bytes - before.bytes,
        queue_time: after.queue_time - before.queue_time,
        device_time: after.device_time - before.device_time,
    }
}

/// A disk's requests under way, by address.
fn pending(observed: &Observed, device: u32) -> Result<BTreeMap<u64, Pending>> {
    let all = map::entries::<u64, Pending>(observed.programs.ebpf(), REQUESTS)?;
    let here = |(_, pending): &(u64, Pending)| pending.key.of.device == device;
    Ok(all.into_iter().filter(here).collect())
}

/// Waits until a disk has no request under way.
fn settle(observed: &mut Observed, disk: &Disk) -> Result<()> {
    let device = disk.number()?;
    // What isn't issued yet isn't in the kernel's own count everywhere.
    let left = observed.until("the end of all requests", |observed| {
        let is_idle = disk.is_idle().ok()?;
        let left = pending(observed, device).ok()?;
        let all_issued = left.values().all(|pending| pending.issued != 0);
        (is_idle && all_issued).then_some(left)
    })?;
    if left.is_empty() {
        return Ok(());
    }
    map::remove::<u64, Pending>(observed.programs.ebpf_mut(), REQUESTS, left.into_keys())?;
    bail!(Untold("the end of a request"));
}

fn requests_are_counted_by_device_direction_and_process(observed: &mut Observed) -> Result<()> {
    const QUICK: u64 = 2_000_000;
    let disk = Disk::new()?;
    let device = disk.number()?;
    // The first user of a device may read its partition table; not counted with the rest.
    observed.run("direct-io", &[disk.argument()?, "1", "1"])?;
    std::thread::sleep(Duration::from_millis(200));
    let both = [(Operation::Write, 100), (Operation::Read, 60)];
    let mut before = Vec::new();
    for (operation, _) in both {
        before.push(latency(observed, device, operation)?);
    }
    let start = Instant::now();
    let tgid = observed.run("direct-io", &[disk.argument()?, "100", "60"])?;
    let wall = start.elapsed().as_nanos();
    for ((operation, expected), before) in both.into_iter().zip(&before) {
        let after = latency(observed, device, operation)?;
        let [queue, at_device] = [
            since(&before.queue, &after.queue),
            since(&before.device, &after.device),
        ];
        let counts = (queue.count, at_device.count);
        ensure!(counts == (expected, expected), "{operation:?}: {counts:?}");
        let spent = at_device.sum + queue.sum;
        ensure!(
            at_device.sum > 0 && u128::from(spent) < wall,
            "{} ns queued and {} ns at the device in {wall} ns: {queue:?}",
            queue.sum,
            at_device.sum
        );
        // Issued as soon as they are made.
        let wait = queue.sum / expected;
        ensure!(wait < QUICK, "{operation:?} waited for {wait} ns");
        let usage = usage_of(observed, device, operation, tgid)?;
        let told = (usage.operations, usage.bytes);
        ensure!(told == (expected, expected * BLOCK as u64), "{usage:?}");
        let times = (usage.queue_time, usage.device_time);
        ensure!(times == (queue.sum, at_device.sum), "{times:?}");
    }
    settle(observed, &disk)
}

fn what_is_synced_belongs_to_whoever_syncs(observed: &mut Observed) -> Result<()> {
    const BYTES: u64 = 3 << 20;
    let disk = Disk::new()?;
    let device = disk.number()?;
    let bytes = BYTES.to_string();
    let before = disk.counted()?;
    let tgid = observed.run("buffered-io", &[disk.argument()?, &bytes, "sync"])?;
    settle(observed, &disk)?;
    let after = disk.counted()?;
    let usage = usage_of(observed, device, Operation::Write, tgid)?;
    ensure!(usage.bytes == BYTES, "{usage:?}");
    ensure!(after.writes.1 - before.writes.1 == BYTES, "{after:?}");
    let written = after.writes.0 - before.writes.0;
    ensure!((1..=written).contains(&usage.operations), "{usage:?}");
    let flush = usage_of(observed, device, Operation::Flush, tgid)?;
    if observed.programs.is_attached("block_start") {
        ensure!((flush.operations, flush.bytes) == (1, 0), "{flush:?}");
        ensure!(flush.device_time == 0 && flush.queue_time > 0, "{flush:?}");
    } else {
        ensure!(flush == Usage::EMPTY, "{flush:?}");
    }
    Ok(())
}

/// What all owners have, what the disk has, and what the kernel counts itself are the same.
fn many_at_once_are_counted_as_the_kernel_does(observed: &mut Observed) -> Result<()> {
    const THREADS: u64 = 8;
    const EACH: u64 = 200;
    let disk = Disk::new()?;
    let device = disk.number()?;
    let told = |observed: &Observed| -> Result<[(Usage, Latency); 2]> {
        let all = |operation| {
            let usage = usage(observed, device, operation, |_| true)?;
            anyhow::Ok((usage, latency(observed, device, operation)?))
        };
        Ok([all(Operation::Read)?, all(Operation::Write)?])
    };
    let (before, counted_before) = (told(observed)?, disk.counted()?);
    let lost = observed.faults(Fault::BlockEndUnseen)?;
    let arguments = [THREADS, EACH].map(|count| count.to_string());
    observed.run(
        "parallel-io",
        &[disk.argument()?, &arguments[0], &arguments[1]],
    )?;
    settle(observed, &disk)?;
    if observed.faults(Fault::BlockEndUnseen)? != lost {
        bail!(Untold("the end of a request"));
    }
    let (after, counted) = (told(observed)?, disk.counted()?);
    let counted = [
        (counted.reads, counted_before.reads),
        (counted.writes, counted_before.writes),
    ];
    for ((before, after), (counted, counted_before)) in before.iter().zip(&after).zip(counted) {
        let usage = more(&before.0, &after.0);
        let expected = (counted.0 - counted_before.0, counted.1 - counted_before.1);
        let told = (usage.operations, usage.bytes);
        ensure!(told == expected, "{told:?}, not {expected:?}");
        ensure!(usage.operations >= THREADS * EACH, "{usage:?}");
        let queue = since(&before.1.queue, &after.1.queue);
        let at_device = since(&before.1.device, &after.1.device);
        ensure!(queue.count == usage.operations, "{queue:?}, {usage:?}");
        ensure!(queue.sum == usage.queue_time, "{queue:?}, {usage:?}");
        ensure!(
            at_device.sum == usage.device_time,
            "{at_device:?}, {usage:?}"
        );
    }
    Ok(())
}
