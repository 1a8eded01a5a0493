//! What the kernel writes back later, on behalf of others.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, Result, bail, ensure};
use sonde::kernel::map;
use sonde_common::event::block::{DeviceKey, Operation, Owner, Usage, UsageKey};
use sonde_tests::cgroup::delegate;

use super::{disk::Disk, settle};
use crate::{
    child::{Child, command},
    harness::{Skipped, Test},
    observed::Observed,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "block::writeback::is_told_with_the_cgroup_that_it_is_charged_to",
        run: is_told_with_the_cgroup_that_it_is_charged_to,
    },
    Test {
        name: "block::writeback::is_the_kernels_where_cgroups_arent_charged",
        run: is_the_kernels_where_cgroups_arent_charged,
    },
];

const BYTES: u64 = 2 << 20;

/// Devices that others have written to: the first one in other tests.
static USED: AtomicUsize = AtomicUsize::new(1);

/// A process writes and leaves the rest to the kernel's flusher threads.
fn write_back(observed: &mut Observed, group: Option<&Path>) -> Result<Vec<(Owner, u64)>> {
    // A device is charged to whoever wrote to it first, so one that nobody has written to.
    let number = USED.fetch_add(1, Ordering::Relaxed);
    let mut disks = (0..=number)
        .map(|_| Disk::new())
        .collect::<Result<Vec<_>>>()?;
    let disk = disks.pop().context("a disk")?;
    let device = disk.number()?;
    let before = written(observed, device)?;
    let bytes = BYTES.to_string();
    let arguments = [disk.argument()?, &bytes, "leave"];
    let workload = command("buffered-io", &arguments)?;
    let mut shell = process::Command::new("sh");
    shell.args(["-c", "[ -z \"$0\" ] || echo $$ > \"$0\"; exec \"$@\""]);
    shell.arg(group.map_or(PathBuf::new(), |group| group.join("cgroup.procs")));
    shell.arg(workload.get_program()).args(workload.get_args());
    let mut child = Child::of(&mut shell)?;
    child.line()?;
    let _soon = Soon::begin()?;
    observed.until("the kernel to write back", |observed| {
        let now = written(observed, device).ok()?;
        (total(&now) - total(&before) >= BYTES).then_some(())
    })?;
    settle(observed, &disk)?;
    let mut owners = written(observed, device)?;
    let bytes = total(&owners) - total(&before);
    ensure!(bytes == BYTES, "{bytes} bytes");
    owners.retain(|owner, bytes| {
        *bytes -= before.get(owner).copied().unwrap_or(0);
        *bytes > 0
    });
    child.say("end")?;
    ensure!(observed.finish(child)?.success());
    Ok(owners.into_iter().collect())
}

/// Bytes written to a disk, by owner.
fn written(observed: &Observed, device: u32) -> Result<HashMap<Owner, u64>> {
    let all = map::entries::<UsageKey, Usage>(observed.programs.ebpf(), "BLOCK_USAGE")?;
    let of = DeviceKey {
        device,
        operation: Operation::Write as u32,
    };
    let here = all.into_iter().filter(|(key, _)| key.of == of);
    Ok(here.map(|(key, usage)| (key.owner, usage.bytes)).collect())
}

fn total(written: &HashMap<Owner, u64>) -> u64 {
    written.values().sum()
}

fn is_told_with_the_cgroup_that_it_is_charged_to(observed: &mut Observed) -> Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    // Pages are charged for writeback where memory and io are both of v2.
    if delegate(&["memory", "io"]).is_err() {
        bail!(Skipped("memory and io aren't controlled by v2".to_owned()));
    }
    let group = Group(root.join(format!("sonde-writeback-{}", process::id())));
    fs::create_dir(&group.0)?;
    let owners = write_back(observed, Some(&group.0))?;
    let expected = Owner {
        tgid: 0,
        hierarchy: 0,
        cgroup: fs::metadata(&group.0)?.ino(),
    };
    ensure!(owners == [(expected, BYTES)], "{owners:?}");
    Ok(())
}

fn is_the_kernels_where_cgroups_arent_charged(observed: &mut Observed) -> Result<()> {
    let owners = write_back(observed, None)?;
    let is_kernels = |owner: &Owner| owner.tgid == 0 && owner.cgroup <= 1;
    ensure!(
        owners.iter().all(|(owner, _)| is_kernels(owner)),
        "{owners:?}"
    );
    Ok(())
}

struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Has the kernel write back within tenths of a second, for as long as this lives.
struct Soon(Vec<(&'static str, String)>);

impl Soon {
    fn begin() -> Result<Self> {
        let mut before = Vec::new();
        for file in [
            "/proc/sys/vm/dirty_expire_centisecs",
            "/proc/sys/vm/dirty_writeback_centisecs",
        ] {
            before.push((file, fs::read_to_string(file)?));
            fs::write(file, "10")?;
        }
        Ok(Self(before))
    }
}

impl Drop for Soon {
    fn drop(&mut self) {
        for (file, text) in &self.0 {
            let _ = fs::write(file, text);
        }
    }
}
