//! Capabilities (capabilities(7)): which the agent needs, what is lost without each, and letting
//! go of those that have done their work.
//!
//! Capabilities belong to threads, and a thread is born with those of the one that spawns it.
//! Hence the order at start: on the main thread bind the listeners (a port below 1024 takes a
//! capability), switch BPF statistics on, load and attach; then [`drop_to`] what
//! [`needed_after_attach`] says; and only then build the async runtime with its workers.
//! [`threads_beyond`] says whether a thread was there too early.

use std::{fmt::Write as _, fs, path::Path};

pub use aya::util::KernelVersion;
use caps::errors::CapsError;
pub use caps::{CapSet, Capability, CapsHashSet as CapabilitySet};

mod drop;

pub use self::drop::{
    Dropped, drop_to, needed_after_attach, needed_to_attach_uprobes, threads_beyond,
};

/// Why capabilities can't be read or dropped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading this thread's capabilities failed.
    #[error("can't read this thread's capabilities")]
    Read(#[source] CapsError),
    /// Setting one of the sets failed.
    #[error("can't drop capabilities from the {set} set")]
    Drop {
        /// Name of the set.
        set: &'static str,
        /// Why.
        source: CapsError,
    },
}

/// Something that the agent does and that takes capabilities.
#[derive(Debug)]
pub struct Need {
    /// Each list by itself is enough; the one to ask for first.
    pub any_of: &'static [&'static [Capability]],
    /// Completes "sonde needs (these) to".
    pub purpose: &'static str,
    /// What there is not without it.
    pub lost: &'static str,
    /// Whether nothing that kernel programs tell can be had without it.
    pub essential: bool,
    /// First kernel that asks for it in this form.
    pub since: Option<KernelVersion>,
    /// First kernel that no longer does.
    pub until: Option<KernelVersion>,
}

const BPF: Capability = Capability::CAP_BPF;
const PERFMON: Capability = Capability::CAP_PERFMON;
const SYS_ADMIN: Capability = Capability::CAP_SYS_ADMIN;
const SYS_PTRACE: Capability = Capability::CAP_SYS_PTRACE;
const DAC_READ_SEARCH: Capability = Capability::CAP_DAC_READ_SEARCH;
const SYS_RESOURCE: Capability = Capability::CAP_SYS_RESOURCE;
const CHECKPOINT_RESTORE: Capability = Capability::CAP_CHECKPOINT_RESTORE;

/// `CAP_BPF` and `CAP_PERFMON` were split off `CAP_SYS_ADMIN` here.
const SPLIT: KernelVersion = KernelVersion::new(5, 8, 0);
/// BPF memory is charged to cgroups instead of `RLIMIT_MEMLOCK` from here.
const NO_MEMLOCK: KernelVersion = KernelVersion::new(5, 11, 0);
/// `CAP_CHECKPOINT_RESTORE` was split off `CAP_SYS_ADMIN` here.
const MAPPED_FILES: KernelVersion = KernelVersion::new(5, 9, 0);
const PROGRAMS: &str = "load its kernel programs";
const PROGRAMS_LOST: &str = "everything that kernel programs tell: HTTP, TCP, syscalls, \
    processes, run-queue and block I/O latency; only what /proc and /sys say remains";

/// Everything that takes capabilities, the essential first.
pub const NEEDS: &[Need] = &[
    Need {
        any_of: &[&[BPF, PERFMON], &[SYS_ADMIN]],
        purpose: PROGRAMS,
        lost: PROGRAMS_LOST,
        essential: true,
        since: Some(SPLIT),
        until: None,
    },
    Need {
        any_of: &[&[SYS_ADMIN]],
        purpose: PROGRAMS,
        lost: PROGRAMS_LOST,
        essential: true,
        since: None,
        until: Some(SPLIT),
    },
    Need {
        any_of: &[&[SYS_RESOURCE]],
        purpose: "raise the limit on locked memory, which holds its maps",
        lost: "probe families whose maps don't fit into the present limit",
        essential: false,
        since: None,
        until: Some(NO_MEMLOCK),
    },
    Need {
        any_of: &[&[SYS_PTRACE]],
        purpose: "read /proc/PID of other users' processes",
        lost: "names that services of other users give themselves, their files and I/O",
        essential: false,
        since: None,
        until: None,
    },
    Need {
        any_of: &[&[DAC_READ_SEARCH]],
        purpose: "read files in /proc and /sys that only their owner may read",
        lost: "environment and descriptors of other users' processes",
        essential: false,
        since: None,
        until: None,
    },
    Need {
        any_of: &[&[CHECKPOINT_RESTORE], &[SYS_ADMIN]],
        purpose: "open files that processes have mapped and whose names are gone",
        lost: "requests inside TLS of processes whose library was replaced before the agent began",
        essential: false,
        since: Some(MAPPED_FILES),
        until: None,
    },
    Need {
        any_of: &[&[SYS_ADMIN]],
        purpose: "switch BPF statistics on",
        lost: "sonde_probe_runs_total and sonde_probe_run_seconds_total",
        essential: false,
        since: None,
        until: None,
    },
];

/// A need that isn't met.
#[derive(Debug)]
pub struct Lack {
    /// Which.
    pub need: &'static Need,
    /// What is missing of the list to ask for first.
    pub missing: Vec<Capability>,
}

/// What this thread may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its effective set.
    pub effective: CapabilitySet,
    /// Whether they are those of a user namespace other than the first: they don't count for
    /// BPF and for other people's processes then.
    pub in_user_namespace: bool,
}

impl Held {
    /// What the calling thread may do. `procfs` is this process's own, not the host's.
    pub fn read(procfs: &Path) -> Result<Self, Error> {
        let effective = caps::read(None, CapSet::Effective).map_err(Error::Read)?;
        let map = fs::read_to_string(procfs.join("self/uid_map")).unwrap_or_default();
        Ok(Self {
            effective,
            in_user_namespace: !map.is_empty() && !is_initial_namespace(&map),
        })
    }

    /// The needs on `kernel` that aren't met.
    #[must_use]
    pub fn lacks(&self, kernel: KernelVersion) -> Vec<Lack> {
        let needs = NEEDS.iter().filter(|need| need.applies_to(kernel));
        needs.filter_map(|need| self.lack(need)).collect()
    }

    fn lack(&self, need: &'static Need) -> Option<Lack> {
        let has = |capability: &Capability| {
            !self.in_user_namespace && self.effective.contains(capability)
        };
        if need.any_of.iter().any(|list| list.iter().all(has)) {
            return None;
        }
        let first = need.any_of.first().copied().unwrap_or_default();
        let missing = first
            .iter()
            .copied()
            .filter(|capability| !has(capability))
            .collect();
        Some(Lack { need, missing })
    }
}

/// Whether `/proc/self/uid_map` (`user_namespaces(7)`) maps every user to itself.
fn is_initial_namespace(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

impl Need {
    fn applies_to(&self, kernel: KernelVersion) -> bool {
        self.since.is_none_or(|since| kernel >= since)
            && self.until.is_none_or(|until| kernel < until)
    }
}

/// One sentence on what is missing and one on what to do, for each essential need; `None` when
/// these are met.
#[must_use]
pub fn explain(held: &Held, lacks: &[Lack]) -> Option<String> {
    let lack = lacks.iter().find(|lack| lack.need.essential)?;
    let mut alternatives = lack.need.any_of.iter().map(|list| names(list, " and "));
    let mut text = format!("sonde needs {}", alternatives.next().unwrap_or_default());
    for alternative in alternatives {
        // Writing to a String can't fail.
        let _ = write!(text, " (or {alternative})");
    }
    let _ = write!(
        text,
        " to {}; missing: {}. ",
        lack.need.purpose,
        names(&lack.missing, ", ")
    );
    text.push_str(if held.in_user_namespace {
        "It runs in a user namespace, whose capabilities don't count here: run it as root of the \
         host (a privileged container, not a rootless one)"
    } else {
        "Run it as root, or give it these (AmbientCapabilities= in a systemd unit, \
         securityContext.capabilities in Kubernetes, setcap on the binary); `sonde check` shows \
         what is lost without each"
    });
    Some(text)
}

/// `CAP_A and CAP_B`.
#[must_use]
pub fn names(capabilities: &[Capability], between: &str) -> String {
    let names: Vec<_> = capabilities.iter().map(ToString::to_string).collect();
    names.join(between)
}

#[cfg(test)]
mod tests;
