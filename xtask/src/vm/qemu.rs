//! One run of one virtual machine.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// What the kernel says, on the first serial port.
pub(super) const CONSOLE_LOG: &str = "console.log";

/// What the programs say, on the second: the kernel's messages can't fall into their lines.
pub(super) const PROGRAMS_LOG: &str = "programs.log";

/// Size of the disk, which the tests write to.
const DISK: u64 = 64 << 20;

/// A machine that is ready to be started.
pub(super) struct Machine<'a> {
    pub(super) kernel: &'a Path,
    pub(super) initramfs: &'a Path,
    /// As QEMU's option `-accel` takes it.
    pub(super) accel: &'a str,
    /// Where the disk and the logs are put.
    pub(super) directory: &'a Path,
}

/// What came of a machine.
pub(super) struct Run {
    pub(super) console: String,
    pub(super) programs: String,
    pub(super) took: Duration,
    /// Whether it had to be stopped.
    pub(super) hung: bool,
}

impl Machine<'_> {
    /// Runs until the guest shuts down, or for the given time.
    pub(super) fn run(&self, timeout: Duration) -> Result<Run> {
        let start = Instant::now();
        let [console, programs, errors] =
            [CONSOLE_LOG, PROGRAMS_LOG, "qemu.log"].map(|name| self.directory.join(name));
        let mut qemu = self.command(&console, &programs)?;
        qemu.stderr(File::create(&errors).context("making a log")?);
        let mut qemu = qemu.spawn().context("starting qemu-system-x86_64")?;
        let ended = wait(&mut qemu, start + timeout)?;
        let read = |log: &PathBuf| {
            let log = fs::read(log).with_context(|| format!("reading {}", log.display()))?;
            anyhow::Ok(String::from_utf8_lossy(&log).replace('\r', ""))
        };
        if ended == Some(false) {
            bail!("QEMU failed: {}", read(&errors)?);
        }
        Ok(Run {
            console: read(&console)?,
            programs: read(&programs)?,
            took: start.elapsed(),
            hung: ended.is_none(),
        })
    }

    fn command(&self, console: &Path, programs: &Path) -> Result<Command> {
        let disk = self.directory.join("disk");
        File::create(&disk)
            .and_then(|file| file.set_len(DISK))
            .context("making the disk")?;
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
        ])
        // Five-level page tables would only make the emulation slower.
        .args(["-machine", "q35", "-accel", self.accel])
        .args(["-cpu", "max,la57=off"])
        .args(["-smp", "2", "-m", "1024"])
        .args(["-append", "console=ttyS0 loglevel=5 panic=-1"])
        .arg("-kernel")
        .arg(self.kernel)
        .arg("-initrd")
        .arg(self.initramfs)
        .arg("-drive")
        .arg(format!(
            "file={},if=virtio,format=raw,cache=unsafe",
            disk.display()
        ));
        for log in [console, programs] {
            qemu.arg("-serial").arg(format!("file:{}", log.display()));
        }
        Ok(qemu)
    }
}

/// Whether the process ended well; none when it was still running at the deadline and was killed.
fn wait(process: &mut Child, deadline: Instant) -> Result<Option<bool>> {
    while Instant::now() < deadline {
        if let Some(status) = process.try_wait().context("waiting for QEMU")? {
            return Ok(Some(status.success()));
        }
        thread::sleep(Duration::from_millis(20));
    }
    process
        .kill()
        .and_then(|()| process.wait())
        .context("stopping QEMU")?;
    Ok(None)
}
