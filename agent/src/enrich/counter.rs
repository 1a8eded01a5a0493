//! What enrichment gives up, by reason.

use crate::reason::reasons;

reasons! {
    /// Why a process's description is missing or poorer than it could be.
    ///
    /// The last part of a series' truth: a request is never lost here, only described less well.
    Loss {
        /// The table of live processes is full: the process's data belongs to `unknown`.
        ProcessTableFull => "process_table_full",
        /// The table of service instances is full: the process's data belongs to `unknown`.
        InstanceTableFull => "instance_table_full",
        /// An exited process was forgotten before its time to make room for newer ones.
        ExitedEvicted => "exited_evicted",
        /// Data of a process that neither the kernel's events nor `/proc` know.
        UnknownProcess => "unknown_process",
        /// A `/proc/PID` entry may not be read (`EACCES`, `EPERM`).
        ProcInaccessible => "proc_inaccessible",
        /// A `/proc/PID` file has not the form that proc(5) gives.
        ProcMalformed => "proc_malformed",
        /// A `/proc/PID` file or a container's description is longer than what is read of it.
        TooLong => "too_long",
        /// `OTEL_RESOURCE_ATTRIBUTES` of a process doesn't parse: ignored as a whole.
        AttributesMalformed => "attributes_malformed",
        /// A container runtime's file may not be read.
        RuntimeFileInaccessible => "runtime_file_inaccessible",
        /// A container runtime's file isn't what that runtime writes.
        RuntimeFileMalformed => "runtime_file_malformed",
        /// A cgroup id that no directory of the cgroup2 mount has (any more).
        CgroupUnresolved => "cgroup_unresolved",
        /// The walk over the cgroup tree ended at its limit.
        CgroupWalkLimit => "cgroup_walk_limit",
        /// The table of listening sockets is full.
        ListenerTableFull => "listener_table_full",
        /// The table of this node's pods is full: the pod's services are described without it.
        PodTableFull => "pod_table_full",
        /// An attribute that a pod's annotation declares: there are too many, or it is too long.
        AnnotationLeftOut => "annotation_left_out",
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
        Loss::ALL.iter().map(|loss| (*loss, self.get(*loss)))
    }
}
