//! What the running kernel offers to the programs.

use std::{fs, path::Path};

use super::{
    btf::{self, Btf},
    uprobe::{self, Pmu},
};
use crate::probe::drop;

/// Where aya looks for tracefs, in its order.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// The kernel, as far as the choice of hooks depends on it.
#[derive(Debug)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// Its types, or why they can't be had.
    pub btf: Result<Btf, btf::Error>,
    /// Lockdown mode when there is one: `integrity` or `confidentiality`.
    pub lockdown: Option<String>,
    /// What uprobes are made with, or why there are none.
    pub uprobes: Result<Pmu, uprobe::Error>,
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
            uprobes: Pmu::read(sysfs),
            older: false,
        }
    }

    /// The same kernel without the socket tracepoints and what else is newer, so that the programs
    /// for kernels before 6.3 can be tried on it.
    #[must_use]
    pub fn without_socket_tracepoints(self) -> Self {
        Self {
            older: true,
            ..self
        }
    }

    /// Whether what is newer than 6.2 is not to be used.
    #[must_use]
    pub fn is_older(&self) -> bool {
        self.older
    }

    /// Whether the kernel has this tracepoint, as far as its types tell.
    pub fn has_tracepoint(&self, name: &str) -> Result<(), String> {
        match &self.btf {
            Err(error) => Err(format!("no kernel types: {error}")),
            Ok(btf) if btf.tracepoint_arguments(name).is_some() => Ok(()),
            Ok(_) => Err(format!("{} has no tracepoint {name}", self.release)),
        }
    }

    /// Whether a task can be preempted within a tracepoint's programs (since 7.0). The kernel then
    /// leaves out the runs of a program for other tasks on that CPU. Perf tracepoints are spared.
    #[must_use]
    pub fn has_preemptible_tracepoints(&self) -> bool {
        !self.older && major(&self.release) >= Some(7)
    }

    /// Whether its release is this or a later one.
    #[must_use]
    pub fn is_at_least(&self, major: u32, minor: u32) -> bool {
        !self.older && version(&self.release) >= Some((major, minor))
    }

    /// Whether programs can keep states on tasks (`BPF_MAP_TYPE_TASK_STORAGE`, since 5.12).
    #[must_use]
    pub fn has_task_storage(&self) -> bool {
        self.is_at_least(5, 12)
    }

    /// How far above the bottom of its kernel stack a task's registers are, where `bpf_task_pt_regs`
    /// (since 5.15) can't be asked; 0 where it can, or it isn't known.
    ///
    /// The stacks of x86-64 have 16 KiB (`THREAD_SIZE`) unless the kernel is built to look for
    /// errors of its own, and the registers are at the top.
    #[must_use]
    pub fn stack_registers(&self) -> u32 {
        const THREAD_SIZE: u32 = 16 * 1024;
        if version(&self.release) >= Some((5, 15)) {
            return 0;
        }
        let size = self.btf.as_ref().ok().and_then(|btf| btf.size("pt_regs"));
        size.map_or(0, |size| THREAD_SIZE - size)
    }

    /// Whether the scheduler adds up how long each task waits for a CPU, and a task leads to its
    /// CPU's clock.
    pub fn has_task_times(&self) -> Result<(), String> {
        const MEMBERS: [(&str, &str, &str); 2] = [
            ("task_struct", "sched_info.run_delay", "CONFIG_SCHED_INFO"),
            ("cfs_rq", "rq", "CONFIG_FAIR_GROUP_SCHED"),
        ];
        let btf = self.btf.as_ref();
        let btf = btf.map_err(|error| format!("no kernel types: {error}"))?;
        for (structure, member, option) in MEMBERS {
            if btf.offset(structure, member).is_none() {
                return Err(format!("the kernel has no {option}"));
            }
        }
        Ok(())
    }

    /// Whether threads that sleep may stand in a CPU's queue, and be moved to another one's (6.12).
    #[must_use]
    pub fn delays_dequeue(&self) -> bool {
        let btf = self.btf.as_ref().ok();
        btf.is_some_and(|btf| btf.offset("task_struct", "se.sched_delayed").is_some())
    }

    /// Number of the first reason for which a packet is dropped; none where the kernel tells no
    /// reasons.
    #[must_use]
    pub fn first_drop(&self) -> Option<u32> {
        let reasons = self.btf.as_ref().ok()?.enumeration(drop::REASONS);
        let first = reasons.iter().find(|(_, name)| name == drop::FIRST_REASON);
        first.map(|(number, _)| *number)
    }

    /// Whether tracefs tells the number of this event, by which a perf tracepoint is attached.
    pub fn has_trace_event(&self, category: &str, name: &str) -> Result<(), String> {
        let tracefs = TRACEFS
            .iter()
            .find(|mount| Path::new(mount).join("events").exists());
        let tracefs = tracefs.ok_or("no tracefs at /sys/kernel/tracing")?;
        let id = Path::new(tracefs)
            .join("events")
            .join(category)
            .join(name)
            .join("id");
        match fs::read(&id) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{}: {error}", id.display())),
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

/// The first two numbers of a release: 6 and 12 of `6.12.94+deb13-cloud-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let (major, rest) = release.split_once('.')?;
    let minor = rest
        .split(|character: char| !character.is_ascii_digit())
        .next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The first number of a release: 6 of `6.12.94+deb13-cloud-amd64`.
fn major(release: &str) -> Option<u32> {
    release.split('.').next()?.parse().ok()
}

/// The bracketed word of `none [integrity] confidentiality`; `None` for `none` and where the
/// file can't be read.
fn lockdown(sysfs: &Path) -> Option<String> {
    let modes = fs::read_to_string(sysfs.join("kernel/security/lockdown")).ok()?;
    let mode = modes.split('[').nth(1)?.split(']').next()?;
    (mode != "none").then(|| mode.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(release: &str) -> Kernel {
        Kernel {
            release: release.to_owned(),
            btf: Btf::read(Path::new("/nowhere")),
            lockdown: None,
            uprobes: Pmu::read(Path::new("/nowhere")),
            older: false,
        }
    }

    #[test]
    fn tracepoints_can_be_preempted_since_7_0() {
        for (release, expected) in [
            ("7.0.0", true),
            ("7.2.13+deb14-cloud-amd64", true),
            ("10.1.0-rc1", true),
            ("6.19.99", false),
            ("5.10.0-46-cloud-amd64", false),
            ("unknown", false),
        ] {
            let kernel = kernel(release);
            assert_eq!(kernel.has_preemptible_tracepoints(), expected, "{release}");
        }
        let older = kernel("7.2.0").without_socket_tracepoints();
        assert!(!older.has_preemptible_tracepoints());
    }
}
