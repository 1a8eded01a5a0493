//! Processes, by id and start time, and the service instance that each belongs to.
//!
//! Fed by the kernel's fork, exec and exit records; `/proc` fills in what was there before the
//! agent ([`Processes::sweep`]) and what a lost record left out (the first time that a process is
//! asked for, and later sweeps). Exited processes are kept for a while, because their last data
//! is read after their end.

mod event;
mod exited;
mod pod;
mod sweep;

use std::{collections::VecDeque, path::PathBuf, sync::Arc, time::Duration};

use exited::Exited;

use super::{
    cgroup::Cgroups,
    container::Placement,
    counter::{Loss, Losses},
    image::{Image, Source},
    instance::{InstanceId, Instances, Living, Member, Renewed},
    kubernetes::{Membership, Pods},
    observe::{self, Observed},
    runtime::{ContainerNames, Names},
    start::StartTime,
};
use crate::{hash::NumberMap, metric::Resource, root::Root};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Live processes.
    pub processes: usize,
    /// Exited processes, and ids that turned out to be nobody's.
    pub exited: usize,
    /// Service instances.
    pub instances: usize,
    /// How long an exited process is kept.
    pub keep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            processes: 65_536,
            exited: 16_384,
            instances: 8_192,
            keep: Duration::from_mins(1),
        }
    }
}

/// Sizes of the tables and what was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Live processes.
    pub processes: usize,
    /// Exited processes that are still kept.
    pub exited: usize,
    /// Service instances.
    pub instances: usize,
    /// Known cgroups.
    pub cgroups: usize,
    /// Pods of this node, as the Kubernetes API tells.
    pub pods: usize,
    /// What was given up, by reason, since the start.
    pub losses: Losses,
}

/// A live process.
#[derive(Debug)]
struct Live {
    start: StartTime,
    /// From when on the number is this process's, on the clock of the events. 0 for one that was
    /// found in `/proc` when nobody had the number before.
    since: u64,
    image: Arc<Image>,
    instance: Option<InstanceId>,
}

/// All processes that had one number, at most one of them alive.
#[derive(Debug, Default)]
struct Slot {
    live: Option<Live>,
    /// Oldest first.
    exited: Vec<Exited>,
}

impl Slot {
    /// Whose the data of the process that had the number last is.
    fn latest(&self) -> Option<InstanceId> {
        match &self.live {
            Some(live) => live.instance,
            None => self.exited.last().and_then(|exited| exited.instance),
        }
    }

    /// Whose the data of this time is.
    fn at(&self, time: u64) -> Option<InstanceId> {
        match &self.live {
            Some(live) if live.since <= time || self.exited.is_empty() => live.instance,
            _ => {
                let began = |exited: &&Exited| exited.since <= time;
                let exited = self.exited.iter().rev().find(began);
                exited
                    .or(self.exited.first())
                    .and_then(|exited| exited.instance)
            }
        }
    }
}

/// The table of processes.
#[derive(Debug)]
pub struct Processes {
    procfs: PathBuf,
    limits: Limits,
    slots: NumberMap<u32, Slot>,
    live: usize,
    /// The exited ones in the order of their end: when, and which number they had.
    ended: VecDeque<(u64, u32)>,
    instances: Instances,
    cgroups: Cgroups,
    names: ContainerNames,
    pods: Pods,
    losses: Losses,
    kernel: Arc<Image>,
    /// The latest time that an event or a caller told.
    now: u64,
    /// What the round of [`Processes::sweep`] under way has yet to look at.
    pending: Vec<u32>,
}

impl Processes {
    /// An empty table; `host` is what [`super::host::resource`] gave.
    #[must_use]
    pub fn new(root: &Root, host: Arc<Resource>, limits: Limits) -> Self {
        Self {
            procfs: root.procfs.clone(),
            limits,
            slots: NumberMap::default(),
            live: 0,
            ended: VecDeque::new(),
            instances: Instances::new(host, limits.instances),
            cgroups: Cgroups::new(&root.sysfs),
            names: ContainerNames::new(&root.rootfs),
            pods: Pods::default(),
            losses: Losses::default(),
            kernel: Arc::new(Image::kernel()),
            now: 0,
            pending: Vec::new(),
        }
    }

    /// Whose data it is: the instance of the live process `tgid`, else of the one that had the
    /// number last. One that is new is looked up in `/proc`; nobody's data (tgid 0, or gone
    /// without a trace) belongs to the service `unknown`.
    ///
    /// One instance always gives the same `Arc`, until [`Self::renew`] says otherwise.
    pub fn owner(&mut self, tgid: u32) -> Arc<Resource> {
        let instance = match self.slots.get(&tgid) {
            Some(slot) => slot.latest(),
            None => self.discover(tgid),
        };
        Arc::clone(self.instances.resource(instance))
    }

    /// Like [`Self::owner`] for data of a known time (`CLOCK_MONOTONIC` nanoseconds, as in the
    /// records): when the number was reused since, the process that had it then. What is older
    /// than every process known with this number is the first one's: a connection that a forking
    /// server accepts begins before the child that serves it.
    pub fn owner_at(&mut self, tgid: u32, time: u64) -> &Arc<Resource> {
        let instance = match self.slots.get(&tgid) {
            Some(slot) => slot.at(time),
            None => self.discover(tgid),
        };
        self.instances.resource(instance)
    }

    /// Gives instances whose main process has ended, but which live on, a resource that tells so,
    /// and those whose pod is better known now one that says what is known. `now` is `CLOCK_MONOTONIC` in nanoseconds. The caller moves what it keeps by resource from
    /// `old` to `new`; a caller that never asks keeps the first main process's description.
    pub fn renew(&mut self, now: u64) -> Vec<Renewed> {
        let mut renewed = self.redescribe();
        let living = self.slots.iter().filter_map(|(tgid, slot)| {
            let live = slot.live.as_ref()?;
            let member = Living {
                tgid: *tgid,
                start: live.start,
                since: live.since,
                image: &live.image,
            };
            Some((live.instance?, member))
        });
        renewed.extend(self.instances.renew(now, living));
        renewed
    }

    /// Resources of the processes that run, each perhaps several times, and that of the processes
    /// of which nothing is known.
    pub fn live_resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        let live = self.slots.values().filter_map(|slot| slot.live.as_ref());
        live.map(|live| self.instances.resource(live.instance))
            .chain([self.instances.unknown()])
    }

    /// Path of the cgroup that the memory of a process is charged to, if it is still there to tell.
    pub fn memory_cgroup(&mut self, tgid: u32) -> Option<String> {
        observe::memory_cgroup(&self.procfs, tgid, &mut self.losses)
    }

    /// Number of processes in the table, with those that have just ended.
    #[must_use]
    pub fn known(&self) -> usize {
        self.slots.len()
    }

    /// Whether a process with this id is known to run.
    #[must_use]
    pub fn is_live(&self, tgid: u32) -> bool {
        self.slots
            .get(&tgid)
            .is_some_and(|slot| slot.live.is_some())
    }

    /// Sizes and losses.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            processes: self.live,
            exited: self.ended.len(),
            instances: self.instances.len(),
            cgroups: self.cgroups.len(),
            pods: self.pods.len(),
            losses: self.losses.clone(),
        }
    }

    /// Looks a process up that no record told about.
    fn discover(&mut self, tgid: u32) -> Option<InstanceId> {
        if tgid == 0 {
            return None;
        }
        if self.look_up(tgid) {
            let live = self.slots.get(&tgid).and_then(|slot| slot.live.as_ref());
            return live.and_then(|live| live.instance);
        }
        if self.live < self.limits.processes {
            self.losses.add(Loss::UnknownProcess);
            // Kept like an exited one, so that each is looked for, and counted, once.
            let nobody = Exited {
                start: StartTime::from_ticks(0),
                since: 0,
                at: self.now,
                instance: None,
            };
            self.keep_exited(tgid, nobody);
        }
        None
    }

    /// Adds a live process that `/proc` knows; `false` when it doesn't, or there is no room.
    fn look_up(&mut self, tgid: u32) -> bool {
        if self.live >= self.limits.processes {
            // Said before /proc is read: a full table must not make every question slow.
            self.losses.add(Loss::ProcessTableFull);
            return false;
        }
        let Some(observed) = observe::observe(&self.procfs, tgid, None, &mut self.losses) else {
            return false;
        };
        let since = self.free_since(tgid);
        let image = self.image_of(&observed);
        self.insert(tgid, observed.stat.start, since, image)
    }

    /// Since when a process that nobody saw starting can have had this number.
    fn free_since(&self, tgid: u32) -> u64 {
        let last = self.slots.get(&tgid).and_then(|slot| slot.exited.last());
        last.map_or(0, |exited| exited.at)
    }

    fn image_of(&mut self, observed: &Observed) -> Arc<Image> {
        if observed.stat.kernel_thread {
            return Arc::clone(&self.kernel);
        }
        let placement = observed.placement.clone().unwrap_or_default();
        let (names, membership) = self.names_of(&placement);
        Arc::new(Image::new(&Source {
            declared: &observed.declared,
            placement: &placement,
            names: &names,
            membership,
            executable: observed.executable.as_deref(),
            args: &observed.args,
            directory: observed.directory.as_deref(),
            comm: &observed.stat.comm,
        }))
    }

    /// What the runtime's files and the Kubernetes API say of what is in `placement`.
    fn names_of(&mut self, placement: &Placement) -> (Arc<Names>, Option<Membership>) {
        let names = match &placement.container {
            Some(container) => self.names.find(container, &mut self.losses),
            None => Arc::default(),
        };
        let membership = self.pods.find(placement, names.k8s_container.as_deref());
        (names, membership)
    }

    /// Makes `tgid` a live process that runs `image`, in the place of what had the number;
    /// `false` when the table is full.
    fn insert(&mut self, tgid: u32, start: StartTime, since: u64, image: Arc<Image>) -> bool {
        self.retire(tgid, since);
        if self.live >= self.limits.processes {
            self.losses.add(Loss::ProcessTableFull);
            return false;
        }
        let member = Member { tgid, start, image };
        let instance = self.instances.join(&member, &mut self.losses);
        self.live += 1;
        self.slots.entry(tgid).or_default().live = Some(Live {
            start,
            since,
            image: member.image,
            instance,
        });
        true
    }
}

#[cfg(test)]
mod tests;
