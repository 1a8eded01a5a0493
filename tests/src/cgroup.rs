//! Cgroups of the tests' own.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

/// Where hierarchies are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// Has these controllers of version 2 work below its root.
pub fn delegate(controllers: &[&str]) -> Result<()> {
    let root = Path::new(ROOT);
    let offered = fs::read_to_string(root.join("cgroup.controllers"))?;
    for controller in controllers {
        ensure!(offered.split_whitespace().any(|one| one == *controller));
        // Were the file not there, it would be made.
        let mut file = OpenOptions::new()
            .write(true)
            .open(root.join("cgroup.subtree_control"))?;
        file.write_all(format!("+{controller}").as_bytes())?;
    }
    Ok(())
}

/// One whose block I/O can be limited, of either version; removed when dropped.
pub struct Limited(PathBuf);

impl Limited {
    /// Makes it; none where nothing limits block I/O.
    pub fn new(name: &str) -> Result<Option<Self>> {
        let blkio = Path::new(ROOT).join("blkio");
        let v1 = blkio.join("cgroup.procs").exists();
        if !v1 && delegate(&["io"]).is_err() {
            return Ok(None);
        }
        let parent = if v1 { blkio } else { ROOT.into() };
        let group = Self(parent.join(name));
        fs::create_dir(&group.0)?;
        let (file, _) = group.setting(None);
        Ok(file.exists().then_some(group))
    }

    /// Limits reads of a disk to so many in a second.
    pub fn limit(&self, device: u64, rate: Option<u64>) -> Result<()> {
        let device = format!("{}:{}", libc::major(device), libc::minor(device));
        let (file, setting) = self.setting(rate);
        let text = format!("{device} {setting}");
        fs::write(&file, &text).with_context(|| format!("{text} > {}", file.display()))
    }

    /// The file of the version that this is of, and what is written there.
    fn setting(&self, rate: Option<u64>) -> (PathBuf, String) {
        let v1 = self.0.join("blkio.throttle.read_iops_device");
        if v1.exists() {
            return (v1, rate.unwrap_or(0).to_string());
        }
        let rate = rate.map_or("max".to_owned(), |rate| rate.to_string());
        (self.0.join("io.max"), format!("riops={rate}"))
    }

    /// A command that puts itself there before it is what it is.
    #[must_use]
    pub fn inside(&self, command: &std::process::Command) -> std::process::Command {
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
            .arg(self.0.join("cgroup.procs"))
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
