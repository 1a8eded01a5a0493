//! What enrichment gives up, by reason.

/// Why a process's description is missing or poorer than it could be.
///
/// The last part of a series' truth: a request is never lost here, only described less well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The table of live processes is full: the process's data belongs to `unknown`.
    ProcessTableFull,
    /// The table of service instances is full: the process's data belongs to `unknown`.
    InstanceTableFull,
    /// An exited process was forgotten before its time to make room for newer ones.
    ExitedEvicted,
    /// Data of a process that neither the kernel's events nor `/proc` know.
    UnknownProcess,
    /// A `/proc/PID` entry may not be read (`EACCES`, `EPERM`).
    ProcInaccessible,
    /// A `/proc/PID` file has not the form that proc(5) gives.
    ProcMalformed,
    /// A `/proc/PID` file or a container's description is longer than what is read of it.
    TooLong,
    /// `OTEL_RESOURCE_ATTRIBUTES` of a process doesn't parse: ignored as a whole.
    AttributesMalformed,
    /// A container runtime's file may not be read.
    RuntimeFileInaccessible,
    /// A container runtime's file isn't what that runtime writes.
    RuntimeFileMalformed,
    /// A cgroup id that no directory of the cgroup2 mount has (any more).
    CgroupUnresolved,
    /// The walk over the cgroup tree ended at its limit.
    CgroupWalkLimit,
    /// The table of listening sockets is full.
    ListenerTableFull,
}

impl Loss {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 13] = [
        Self::ProcessTableFull,
        Self::InstanceTableFull,
        Self::ExitedEvicted,
        Self::UnknownProcess,
        Self::ProcInaccessible,
        Self::ProcMalformed,
        Self::TooLong,
        Self::AttributesMalformed,
        Self::RuntimeFileInaccessible,
        Self::RuntimeFileMalformed,
        Self::CgroupUnresolved,
        Self::CgroupWalkLimit,
        Self::ListenerTableFull,
    ];

    /// The `reason` label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ProcessTableFull => "process_table_full",
            Self::InstanceTableFull => "instance_table_full",
            Self::ExitedEvicted => "exited_evicted",
            Self::UnknownProcess => "unknown_process",
            Self::ProcInaccessible => "proc_inaccessible",
            Self::ProcMalformed => "proc_malformed",
            Self::TooLong => "too_long",
            Self::AttributesMalformed => "attributes_malformed",
            Self::RuntimeFileInaccessible => "runtime_file_inaccessible",
            Self::RuntimeFileMalformed => "runtime_file_malformed",
            Self::CgroupUnresolved => "cgroup_unresolved",
            Self::CgroupWalkLimit => "cgroup_walk_limit",
            Self::ListenerTableFull => "listener_table_full",
        }
    }
}

/// How often each [`Loss`] happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses([u64; Loss::ALL.len()]);

impl Losses {
    /// Counts one.
    pub fn add(&mut self, loss: Loss) {
        self.0[loss as usize] += 1;
    }

    /// How often `loss` happened.
    #[must_use]
    pub fn get(&self, loss: Loss) -> u64 {
        self.0[loss as usize]
    }

    /// All reasons with their counts, those that never happened too.
    pub fn iter(&self) -> impl Iterator<Item = (Loss, u64)> + '_ {
        Loss::ALL.into_iter().map(|loss| (loss, self.get(loss)))
    }
}

#[cfg(test)]
mod tests {
    use super::Loss;

    #[test]
    fn the_list_is_in_index_order() {
        for (index, loss) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(loss as usize, index);
        }
    }
}
