//! A disk that a cgroup's limit slows down.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, process};

use anyhow::{Result, bail, ensure};
use sonde_common::{
    event::block::Operation,
    hist::{Log2, upper_bound},
};
use sonde_tests::cgroup::Limited;

use super::{disk::Disk, latency, settle, since, usage_of};
use crate::{
    child::Child,
    harness::{Skipped, Test},
    observed::Observed,
};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "block::limited::the_histogram_shows_what_a_cgroup_is_made_to_wait_for",
    run: the_histogram_shows_what_a_cgroup_is_made_to_wait_for,
}];

/// Reads that the cgroup may make in a second: one in each of the kernel's slices of 100 ms, for
/// what is over is let go together with the next slice's. And reads that are made.
const RATE: u64 = 10;
const READS: u64 = 20;
/// Longer than a read takes by itself, nanoseconds; much less than it waits for the limit.
const LONG: u64 = 40_000_000;

/// The disk beneath is limited, not the loop device: what waits for a limit isn't made a request
/// before, so the wait shows where requests depend on it, as on a virtual machine's disk whose host
/// is limited.
fn the_histogram_shows_what_a_cgroup_is_made_to_wait_for(observed: &mut Observed) -> Result<()> {
    let Some(group) = Limited::new(&format!("sonde-limited-{}", process::id()))? else {
        bail!(Skipped("no cgroups that limit block I/O".to_owned()));
    };
    let (disk, beneath) = over_a_real_disk()?;
    let device = disk.number()?;
    let reads = READS.to_string();
    let arguments = [disk.argument()?, "0", &reads];
    let mut slow = Vec::new();
    for limit in [None, Some(RATE)] {
        group.limit(beneath, limit)?;
        let before = latency(observed, device, Operation::Read)?;
        let workload = crate::child::command("direct-io", &arguments)?;
        let child = Child::of(&mut group.inside(&workload))?;
        let tgid = child.pid();
        ensure!(observed.finish(child)?.success());
        settle(observed, &disk)?;
        let after = latency(observed, device, Operation::Read)?;
        let [queue, at_device] = [
            since(&before.queue, &after.queue),
            since(&before.device, &after.device),
        ];
        ensure!(at_device.count == READS, "{} reads", at_device.count);
        let usage = usage_of(observed, device, Operation::Read, tgid)?;
        ensure!(usage.operations == READS, "{usage:?}");
        ensure!(usage.device_time == at_device.sum, "{usage:?}");
        slow.push((long(&queue) + long(&at_device), usage.device_time));
    }
    let [(quiet, _), (limited, time)] = slow[..] else {
        bail!("two rounds");
    };
    ensure!(
        quiet < READS / 10,
        "{quiet} of {READS} were slow without a limit"
    );
    ensure!(
        limited > READS / 2,
        "{limited} of {READS} were slow with it"
    );
    // The first of a period may go at once.
    let expected = READS / 2 * 1_000_000_000 / RATE;
    ensure!(time > expected, "{time} ns at the device");
    Ok(())
}

/// Values that may be more than [`LONG`].
fn long(histogram: &Log2) -> u64 {
    let buckets = histogram.buckets.iter().enumerate();
    let long = buckets.filter(|(index, _)| upper_bound(*index).is_none_or(|upper| upper > LONG));
    long.map(|(_, count)| count).sum()
}

/// A loop device, and the number of the disk beneath it.
fn over_a_real_disk() -> Result<(Disk, u64)> {
    let scratch = Path::new("/dev/vda");
    if std::env::var_os("SONDE_VM").is_some() {
        let beneath = fs::metadata(scratch)?.rdev();
        return Ok((Disk::over(scratch)?.pass_caches()?, beneath));
    }
    let disk = Disk::new()?;
    disk.fill()?;
    let Ok(disk) = disk.pass_caches() else {
        bail!(Skipped(
            "the files beneath loop devices are cached".to_owned()
        ));
    };
    let beneath = fs::metadata(std::env::temp_dir())?.dev();
    Ok((disk, beneath))
}
