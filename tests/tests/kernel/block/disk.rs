//! Disks of the tests' own: files as loop devices.

use std::{
    fs::{self, File, OpenOptions},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, bail};

use crate::{harness::Skipped, sys};

/// Requests of `include/uapi/linux/loop.h`.
const LOOP_SET_FD: libc::c_ulong = 0x4c00;
const LOOP_CLR_FD: libc::c_ulong = 0x4c01;
const LOOP_SET_DIRECT_IO: libc::c_ulong = 0x4c08;
const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4c82;

/// Bytes of a disk that no test has a wish for.
const SIZE: u64 = 64 << 20;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A path that no other test has.
pub(crate) fn unique(what: &str) -> PathBuf {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("sonde-{what}-{}-{number}", std::process::id()))
}

/// A loop device; gone, with its file, when it is dropped.
pub(crate) struct Disk {
    device: File,
    pub(crate) path: PathBuf,
    file: Option<PathBuf>,
}

impl Disk {
    /// One over a new file.
    pub(crate) fn new() -> Result<Self> {
        let path = unique("disk");
        File::create(&path)?.set_len(SIZE)?;
        let mut disk = Self::over(&path)?;
        disk.file = Some(path);
        Ok(disk)
    }

    /// One over a file or device that is there.
    pub(crate) fn over(file: &Path) -> Result<Self> {
        const TRIES: u32 = 10;
        let file = OpenOptions::new().read(true).write(true).open(file)?;
        let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path);
        let Ok(control) = open(Path::new("/dev/loop-control")) else {
            bail!(Skipped("there are no loop devices here".to_owned()));
        };
        for _ in 0..TRIES {
            let number = sys::control(control.as_raw_fd(), LOOP_CTL_GET_FREE, 0)?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = open(&path).with_context(|| path.display().to_string())?;
            // Somebody else may have taken it by now.
            if sys::control(device.as_raw_fd(), LOOP_SET_FD, file.as_raw_fd()).is_ok() {
                let file = None;
                return Ok(Self { device, path, file });
            }
        }
        bail!("no loop device is free");
    }

    /// Has its I/O pass the page cache.
    pub(crate) fn pass_caches(self) -> Result<Self> {
        sys::control(self.device.as_raw_fd(), LOOP_SET_DIRECT_IO, 1).context("direct I/O")?;
        Ok(self)
    }

    /// Its path, as an argument of workloads.
    pub(crate) fn argument(&self) -> Result<&str> {
        self.path.to_str().context("a path of text")
    }

    /// Its number, as the kernel side tells it.
    pub(crate) fn number(&self) -> Result<u32> {
        let number = fs::metadata(&self.path)?.rdev();
        Ok((libc::major(number) << 20) | libc::minor(number))
    }

    /// Gives every byte a place on the disk beneath.
    pub(crate) fn fill(&self) -> Result<()> {
        let file = self.file.as_ref().context("no file of its own")?;
        fs::write(file, vec![0x5a; SIZE as usize])?;
        File::open(file)?.sync_all()?;
        Ok(())
    }

    /// The file beneath is cut off: what is behind its end is lost.
    pub(crate) fn lose(&self) -> Result<()> {
        let file = self.file.as_ref().context("no file of its own")?;
        OpenOptions::new().write(true).open(file)?.set_len(0)?;
        Ok(())
    }

    /// Whether the kernel itself knows of no request under way.
    pub(crate) fn is_idle(&self) -> Result<bool> {
        let in_flight = self.told("inflight")?;
        Ok(in_flight.split_whitespace().eq(["0", "0"]))
    }

    /// What the kernel itself has counted.
    pub(crate) fn counted(&self) -> Result<Counted> {
        const SECTOR: u64 = 512;
        let stat = self.told("stat")?;
        let fields: Result<Vec<u64>, _> = stat.split_whitespace().map(str::parse).collect();
        let fields = fields?;
        let direction = |at: usize| Some((*fields.get(at)?, fields.get(at + 2)? * SECTOR));
        Ok(Counted {
            reads: direction(0).context("reads")?,
            writes: direction(4).context("writes")?,
        })
    }

    fn told(&self, file: &str) -> Result<String> {
        let name = self.path.file_name().context("a name")?;
        let path = Path::new("/sys/class/block").join(name).join(file);
        Ok(fs::read_to_string(path)?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = sys::control(self.device.as_raw_fd(), LOOP_CLR_FD, 0);
        if let Some(file) = &self.file {
            let _ = fs::remove_file(file);
        }
    }
}

/// Operations and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) reads: (u64, u64),
    pub(crate) writes: (u64, u64),
}
