//! Where the host's file systems are mounted, as the agent sees them.

use std::path::PathBuf;

/// Mount points that every reader of host files starts from, so that the agent works in a
/// container (`--path.procfs` and its kin) and tests run on fixture trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// procfs, usually `/proc`.
    pub procfs: PathBuf,
    /// sysfs, usually `/sys`.
    pub sysfs: PathBuf,
    /// The host's root file system, usually `/`.
    pub rootfs: PathBuf,
}

impl Default for Root {
    fn default() -> Self {
        Self {
            procfs: PathBuf::from("/proc"),
            sysfs: PathBuf::from("/sys"),
            rootfs: PathBuf::from("/"),
        }
    }
}
