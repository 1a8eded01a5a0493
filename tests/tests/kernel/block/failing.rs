//! Requests that fail.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use sonde::{aggregate::block::Numbers, kernel::map};
use sonde_common::event::block::{ErrorKey, Operation};

use super::{
    disk::{Disk, unique},
    settle,
};
use crate::{
    child::Child,
    harness::{Skipped, Test},
    observed::Observed,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "block::failing::reads_of_lost_data_are_io_errors_of_the_reader",
        run: reads_of_lost_data_are_io_errors_of_the_reader,
    },
    Test {
        name: "block::failing::writes_without_space_say_so",
        run: writes_without_space_say_so,
    },
];

/// Failures of a disk: operation, process, status and how many.
fn failures(observed: &Observed, device: u32) -> Result<Vec<(u32, u32, String, u64)>> {
    let all = map::entries::<ErrorKey, u64>(observed.programs.ebpf(), "BLOCK_ERRORS")?;
    let here = all
        .into_iter()
        .filter(|(key, _)| key.usage.of.device == device);
    // The failures here have the same name in both numberings.
    let told = here.map(|(key, count)| {
        let status = Numbers::WithoutZoneResource.name(key.status).into_owned();
        (key.usage.of.operation, key.usage.owner.tgid, status, count)
    });
    Ok(told.collect())
}

/// Writes and reads blocks; whose they were, and whether that failed.
fn fails(observed: &mut Observed, disk: &Disk, writes: &str, reads: &str) -> Result<(u32, bool)> {
    let child = Child::start("direct-io", &[disk.argument()?, writes, reads])?;
    let tgid = child.pid();
    Ok((tgid, !observed.finish(child)?.success()))
}

fn reads_of_lost_data_are_io_errors_of_the_reader(observed: &mut Observed) -> Result<()> {
    let disk = Disk::new()?;
    let device = disk.number()?;
    observed.run("direct-io", &[disk.argument()?, "10", "10"])?;
    settle(observed, &disk)?;
    let quiet = failures(observed, device)?;
    disk.lose()?;
    let (tgid, failed) = fails(observed, &disk, "0", "1")?;
    if !failed {
        bail!(Skipped("loop devices read zeros there".to_owned()));
    }
    settle(observed, &disk)?;
    let mut told = failures(observed, device)?;
    told.retain(|failure| !quiet.contains(failure));
    let expected = (Operation::Read as u32, tgid, "IOERR".to_owned(), 1);
    ensure!(told == [expected], "{told:?}");
    Ok(())
}

fn writes_without_space_say_so(observed: &mut Observed) -> Result<()> {
    let small = Small::mount()?;
    let file = small.0.join("file");
    fs::File::create(&file)?.set_len(64 << 20)?;
    let disk = Disk::over(&file)?;
    let device = disk.number()?;
    // Past the first megabyte there is no page for the file.
    let (tgid, failed) = fails(observed, &disk, "1000", "0")?;
    ensure!(failed, "everything was written");
    settle(observed, &disk)?;
    let told: Vec<_> = failures(observed, device)?
        .into_iter()
        .filter(|(_, owner, ..)| *owner == tgid)
        .collect();
    let [(operation, owner, status, count)] = told.as_slice() else {
        bail!("{told:?}");
    };
    ensure!((*operation, *owner, *count) == (Operation::Write as u32, tgid, 1));
    ensure!(["NOSPC", "IOERR"].contains(&status.as_str()), "{status}");
    Ok(())
}

/// A file system with room for a megabyte.
struct Small(std::path::PathBuf);

impl Small {
    fn mount() -> Result<Self> {
        let small = Self(unique("small"));
        fs::create_dir(&small.0)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(&small.0)
            .status()
            .context("mount")?;
        ensure!(mounted.success(), "mount: {mounted}");
        Ok(small)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}
