//! Letting go of capabilities that have done their work.

use std::{fs, io, path::Path};

use super::{
    BPF, CHECKPOINT_RESTORE, CapSet, Capability, CapabilitySet, DAC_READ_SEARCH, Error, Held,
    KernelVersion, PERFMON, SPLIT, SYS_ADMIN, SYS_PTRACE,
};
use crate::kernel::uprobe::Way;

/// From here on `kernel.unprivileged_bpf_disabled` stops making maps and loading programs only;
/// before, it stopped every `bpf(2)` command, reading a map by its descriptor included (kernel
/// commit c8644cd0efe7).
const OPEN_MAPS: KernelVersion = KernelVersion::new(5, 19, 0);

/// What of `held` later work needs once everything is attached: reading /proc always, and reading
/// maps below 5.19.
///
/// Reading ring buffers and iterators takes none: the descriptor is the permission.
#[must_use]
pub fn needed_after_attach(held: &Held, kernel: KernelVersion) -> CapabilitySet {
    let mut kept = CapabilitySet::from([SYS_PTRACE, DAC_READ_SEARCH]);
    if kernel < OPEN_MAPS {
        // CAP_SYS_ADMIN stands for those that the kernel or whoever started the agent doesn't know.
        let split = kernel >= SPLIT && held.effective.contains(&BPF);
        kept.insert(if split { BPF } else { SYS_ADMIN });
    }
    kept.retain(|capability| held.effective.contains(capability));
    kept
}

/// What of `held` the thread needs that attaches uprobes later on: what all need, with
/// `CAP_CHECKPOINT_RESTORE` for `/proc/PID/map_files`, and where they are perf events
/// `CAP_SYS_ADMIN`: `perf_uprobe_event_init` asks for it from 6.16 on and in what was released since
/// then of older kernels, for `CAP_PERFMON` before, and which of the two can't be told.
#[must_use]
pub fn needed_to_attach_uprobes(held: &Held, kernel: KernelVersion, way: Way) -> CapabilitySet {
    let mut kept = needed_after_attach(held, kernel);
    kept.insert(CHECKPOINT_RESTORE);
    if let Way::PerfEvents(_) = way {
        kept.extend([SYS_ADMIN, PERFMON]);
    }
    kept.retain(|capability| held.effective.contains(capability));
    kept
}

/// What [`drop_to`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Capabilities that the thread had and has no more.
    pub capabilities: CapabilitySet,
    /// Whether the bounding set is down too, so that not even a setuid-root program could bring
    /// them back; that takes `CAP_SETPCAP`.
    pub bounding: bool,
}

/// Drops from the calling thread every capability that isn't in `kept`, for good: from the
/// effective and permitted sets, from the bounding set where that is allowed, and inheritable and
/// ambient altogether, since the agent starts no other program.
///
/// Threads that exist already keep theirs, so call it before there are any; see the module.
pub fn drop_to(kept: &CapabilitySet) -> Result<Dropped, Error> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(Error::Read)?;
    let kept: CapabilitySet = permitted.intersection(kept).copied().collect();
    let failed = |set| move |source| Error::Drop { set, source };
    // First the bounding set: it takes CAP_SETPCAP, which goes next.
    let bounding = drop_bounding(&kept)?;
    caps::clear(None, CapSet::Ambient).map_err(failed("ambient"))?;
    caps::clear(None, CapSet::Inheritable).map_err(failed("inheritable"))?;
    // Effective is a subset of permitted at every moment.
    caps::set(None, CapSet::Effective, &kept).map_err(failed("effective"))?;
    caps::set(None, CapSet::Permitted, &kept).map_err(failed("permitted"))?;
    Ok(Dropped {
        capabilities: permitted.difference(&kept).copied().collect(),
        bounding,
    })
}

fn drop_bounding(kept: &CapabilitySet) -> Result<bool, Error> {
    let may = caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP);
    if !may.map_err(Error::Read)? {
        return Ok(false);
    }
    let bounding = caps::read(None, CapSet::Bounding).map_err(Error::Read)?;
    for capability in bounding.difference(kept) {
        caps::drop(None, CapSet::Bounding, *capability).map_err(|source| Error::Drop {
            set: "bounding",
            source,
        })?;
    }
    Ok(true)
}

/// Ids of this process's threads that are permitted more than `kept`, from `CapPrm` in
/// `/proc/self/task/TID/status`. `procfs` is this process's own, not the host's.
pub fn threads_beyond(kept: &CapabilitySet, procfs: &Path) -> io::Result<Vec<u32>> {
    let kept = kept
        .iter()
        .fold(0, |mask, capability| mask | capability.bitmask());
    let mut beyond = Vec::new();
    for entry in fs::read_dir(procfs.join("self/task"))? {
        let entry = entry?;
        let thread = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // A thread that ended in the meantime holds nothing.
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if let (Some(thread), Some(permitted)) = (thread, permitted(&status))
            && permitted & !kept != 0
        {
            beyond.push(thread);
        }
    }
    Ok(beyond)
}

/// `CapPrm` of a `/proc/PID/status`, as a mask.
pub(super) fn permitted(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapPrm:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}
