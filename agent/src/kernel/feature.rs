//! What the running kernel offers to the programs.

use std::{fs, path::Path};

use super::btf::{self, Btf};

/// The kernel, as far as the choice of hooks depends on it.
#[derive(Debug)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// Its types, or why they can't be had.
    pub btf: Result<Btf, btf::Error>,
    /// Lockdown mode when there is one: `integrity` or `confidentiality`.
    pub lockdown: Option<String>,
    /// The socket tracepoints are not to be used.
    older: bool,
}

impl Kernel {
    /// Looks at the running kernel.
    #[must_use]
    pub fn probe(procfs: &Path, sysfs: &Path) -> Self {
        Self {
            release: fs::read_to_string(procfs.join("sys/kernel/osrelease")).map_or_else(
                |_| "unknown".to_owned(),
                |release| release.trim().to_owned(),
            ),
            btf: Btf::read(sysfs),
            lockdown: lockdown(sysfs),
            older: false,
        }
    }

    /// The same kernel without the socket tracepoints, so that the programs for kernels before
    /// 6.3 can be tried on a newer one.
    #[must_use]
    pub fn without_socket_tracepoints(self) -> Self {
        Self {
            older: true,
            ..self
        }
    }

    /// Whether the kernel has this tracepoint, as far as its types tell.
    pub fn has_tracepoint(&self, name: &str) -> Result<(), String> {
        match &self.btf {
            Err(error) => Err(format!("no kernel types: {error}")),
            Ok(btf) if btf.tracepoint_arguments(name).is_some() => Ok(()),
            Ok(_) => Err(format!("{} has no tracepoint {name}", self.release)),
        }
    }

    /// Whether the socket tracepoints of kernel 6.3 are there: connection states then live on
    /// the sockets, and reads and writes are seen there rather than at the end of system calls.
    #[must_use]
    pub fn has_socket_tracepoints(&self) -> bool {
        !self.older
            && self.has_tracepoint("sock_recv_length").is_ok()
            && self.has_tracepoint("sock_send_length").is_ok()
    }
}

/// The bracketed word of `none [integrity] confidentiality`; `None` for `none` and where the
/// file can't be read.
fn lockdown(sysfs: &Path) -> Option<String> {
    let modes = fs::read_to_string(sysfs.join("kernel/security/lockdown")).ok()?;
    let mode = modes.split('[').nth(1)?.split(']').next()?;
    (mode != "none").then(|| mode.to_owned())
}
