//! The whole machine's histograms: waiting for a CPU, block I/O.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use sonde::kernel::map;
use sonde_common::{
    event::block::{LatencyKey, Operation},
    hist::{Log2, upper_bound},
};

use crate::{
    child::{Child, Workload},
    harness::{Skipped, Test},
    observed::Observed,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "sched::waiting_tasks_are_counted_and_wait_longer_under_load",
        run: waiting_tasks_are_counted_and_wait_longer_under_load,
    },
    Test {
        name: "block::requests_are_counted_by_device_and_direction",
        run: requests_are_counted_by_device_and_direction,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "spin",
        run: spin,
    },
    Workload {
        name: "direct-io",
        run: direct_io,
    },
];

/// Keeps a CPU busy.
fn spin(arguments: &[&str]) -> Result<()> {
    let end = Instant::now() + Duration::from_millis(arguments[0].parse()?);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    Ok(())
}

fn run_queue(observed: &Observed) -> Result<Log2> {
    let mut all = Log2::EMPTY;
    for copies in map::per_cpu::<Log2>(observed.programs.ebpf(), "RUN_QUEUE_LATENCY", 1)? {
        copies.iter().for_each(|copy| all.merge(copy));
    }
    Ok(all)
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

/// Upper bound of the bucket that holds the given share of the time waited.
fn waited_beyond(histogram: &Log2, nanoseconds: u64) -> u64 {
    let long = histogram.buckets.iter().enumerate();
    let long =
        long.filter(|(index, _)| upper_bound(*index).is_none_or(|upper| upper > nanoseconds));
    long.map(|(_, count)| count).sum()
}

/// More tasks that never rest than CPUs: each waits for a whole time slice, again and again.
fn waiting_tasks_are_counted_and_wait_longer_under_load(observed: &mut Observed) -> Result<()> {
    const SLICE: u64 = 1 << 20;
    let start = run_queue(observed)?;
    observed.run("sleeps", &["200", "1"])?;
    let quiet = run_queue(observed)?;
    let idle = since(&start, &quiet);
    ensure!(idle.count >= 200, "{} waits for 200 sleeps", idle.count);
    ensure!(idle.buckets.iter().sum::<u64>() == idle.count);
    let cpus = std::thread::available_parallelism()?.get();
    let spinning: Result<Vec<_>> = (0..2 * cpus)
        .map(|_| Child::start("spin", &["1000"]))
        .collect();
    for child in spinning? {
        ensure!(observed.finish(child)?.success());
    }
    let busy = since(&quiet, &run_queue(observed)?);
    // Each spinning task shares its CPU for about a second, in slices of a few milliseconds.
    let long = waited_beyond(&busy, SLICE);
    let expected = 20 * cpus as u64;
    ensure!(
        long >= expected,
        "{long} of {} waits were long, not {expected}",
        busy.count
    );
    ensure!(
        busy.sum > idle.sum,
        "{} ns waited, {} when idle",
        busy.sum,
        idle.sum
    );
    Ok(())
}

const BLOCK: usize = 4096;

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
        // Far apart, so that no two are merged.
        file.write_all_at(block, index * 16 * BLOCK as u64)?;
    }
    for index in 0..reads.parse::<u64>()? {
        file.read_exact_at(block, index * 16 * BLOCK as u64)?;
    }
    Ok(())
}

/// A disk of the test's own: the virtual machine's, else a file as a loop device.
struct Disk {
    path: PathBuf,
    file: Option<PathBuf>,
}

impl Disk {
    fn find() -> Result<Self> {
        let scratch = Path::new("/dev/vda");
        if std::env::var_os("SONDE_VM").is_some() {
            ensure!(scratch.exists(), "the machine has no scratch disk");
            return Ok(Self {
                path: scratch.to_owned(),
                file: None,
            });
        }
        let file = std::env::temp_dir().join(format!("sonde-disk-{}", std::process::id()));
        File::create(&file)?.set_len(64 << 20)?;
        let output = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(&file)
            .output();
        let device = output.ok().filter(|output| output.status.success());
        let Some(device) = device else {
            fs::remove_file(&file)?;
            bail!(Skipped("no loop device can be set up".to_owned()));
        };
        Ok(Self {
            path: String::from_utf8(device.stdout)?.trim().into(),
            file: Some(file),
        })
    }

    /// As the kernel side tells it.
    fn number(&self) -> Result<u32> {
        let number = fs::metadata(&self.path)?.rdev();
        let (major, minor) = (libc::major(number), libc::minor(number));
        Ok((major << 20) | minor)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = Command::new("losetup")
                .arg("--detach")
                .arg(&self.path)
                .status();
            let _ = fs::remove_file(file);
        }
    }
}

fn completed(observed: &Observed, device: u32, operation: Operation) -> Result<Log2> {
    let all = map::entries::<LatencyKey, Log2>(observed.programs.ebpf(), "BLOCK_LATENCY")?;
    let found = all
        .iter()
        .find(|(key, _)| key.device == device && key.operation == operation as u32);
    Ok(found.map_or(Log2::EMPTY, |(_, histogram)| *histogram))
}

fn requests_are_counted_by_device_and_direction(observed: &mut Observed) -> Result<()> {
    let disk = Disk::find()?;
    let (device, path) = (disk.number()?, disk.path.to_str().context("path")?);
    let both = |observed: &Observed| -> Result<[Log2; 2]> {
        Ok([
            completed(observed, device, Operation::Write)?,
            completed(observed, device, Operation::Read)?,
        ])
    };
    // The first user of a device reads its partition table; not counted with the rest.
    observed.run("direct-io", &[path, "1", "1"])?;
    std::thread::sleep(Duration::from_millis(200));
    let before = both(observed)?;
    let start = Instant::now();
    observed.run("direct-io", &[path, "100", "60"])?;
    let wall = start.elapsed();
    let after = both(observed)?;
    for (index, expected) in [100, 60].into_iter().enumerate() {
        let grown = since(&before[index], &after[index]);
        ensure!(
            grown.count == expected,
            "{} of {expected} ({index})",
            grown.count
        );
        ensure!(grown.sum > 0 && u128::from(grown.sum) < wall.as_nanos());
    }
    Ok(())
}
