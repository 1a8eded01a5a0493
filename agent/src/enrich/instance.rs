//! Service instances: one shared [`Resource`] for all processes of a service.
//!
//! # What one instance is
//!
//! All processes with the same identity: `service.name`, `service.namespace`, the container, and
//! `service.instance.id` where a process declares one. These are exactly the labels that tell
//! Prometheus series apart, so that two resources never write the same series. A prefork group, a
//! unit's helpers and all commands in a container are one instance each.
//!
//! `service.instance.id` is the declared one, else that of the container in its pod, else the
//! container's id, else the host's: with name and namespace it is unique, and it stays over
//! restarts of the service.
//!
//! # What it says of processes
//!
//! The identity stays over a restart, so series and counters go on. `process.*` are a description
//! beside it: they are those of the main process, the oldest one. When that one has ended,
//! [`Instances::renew`] gives the instance a new resource: with its successor, once one has run
//! for [`SETTLES`]; until then without a `process.pid`, rather than with that of a process that is
//! gone. Commands that end sooner never lend an instance their number: a service `curl` has none,
//! instead of another one each second.
//!
//! # What is learnt later
//!
//! When more is known of a pod, its instances are described anew ([`Instances::redescribe`]). That
//! may change their identity; where another instance has the new one already, both become one.
//!
//! Nothing changes but in these two, so that series stay with one resource while a snapshot is
//! made.

mod redescribe;
mod succession;

use std::{collections::HashMap, sync::Arc};

use super::{
    counter::{Loss, Losses},
    image::Image,
    start::StartTime,
};
use crate::metric::{Attributes, Resource};

/// Index of an instance; valid while a process or the table of exited ones refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct InstanceId(usize);

/// A process, as far as it makes its instance's resource.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) tgid: u32,
    pub(super) start: StartTime,
    pub(super) image: Arc<Image>,
}

/// A member that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Living<'a> {
    pub(super) tgid: u32,
    pub(super) start: StartTime,
    /// When it began, on the clock of the events; 0 for before the agent.
    pub(super) since: u64,
    pub(super) image: &'a Arc<Image>,
}

/// A resource that another takes the place of: whoever keeps series by resource moves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// What [`super::process::Processes::owner`] gave until now.
    pub old: Arc<Resource>,
    /// What it gives from now on. The identity is the same, unless more has become known of the
    /// service.
    pub new: Arc<Resource>,
    /// Whether `new` was another instance's before: both are one from now on.
    pub merges: bool,
}

impl Renewed {
    /// Whether other labels tell the series apart from now on.
    #[must_use]
    pub fn is_renamed(&self) -> bool {
        self.old.identity != self.new.identity
    }
}

/// The process that `process.*` of an instance's resource is about.
#[derive(Clone, Copy, Debug)]
enum Main {
    /// It runs.
    Runs(u32, StartTime),
    /// It ended, or runs another program. All data is of its time as long as nobody has come.
    Ended(u32, StartTime),
    /// It ended, and others have come.
    Followed(u32, StartTime),
    /// The resource names no process any more.
    Nobody,
}

#[derive(Debug)]
struct Instance {
    resource: Arc<Resource>,
    main: Main,
    /// Of the main process.
    image: Arc<Image>,
    /// Live and lately exited processes that refer to this instance.
    references: usize,
}

#[derive(Debug)]
enum Slot {
    Free,
    Used(Instance),
    /// It has become one with another.
    Merged {
        into: InstanceId,
        references: usize,
    },
}

/// All instances, each identity once.
#[derive(Debug)]
pub(super) struct Instances {
    host: Arc<Resource>,
    capacity: usize,
    slots: Vec<Slot>,
    free: Vec<usize>,
    by_identity: HashMap<Attributes, InstanceId>,
    unknown: Arc<Resource>,
}

impl Instances {
    /// None yet, and room for `capacity`.
    pub(super) fn new(host: Arc<Resource>, capacity: usize) -> Self {
        let unknown = Arc::new(Image::unknown().resource(None, &host));
        Self {
            host,
            capacity,
            slots: Vec::new(),
            free: Vec::new(),
            by_identity: HashMap::new(),
            unknown,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_identity.len()
    }

    /// The resource of processes that nothing is known of.
    pub(super) fn unknown(&self) -> &Arc<Resource> {
        &self.unknown
    }

    /// The instance's resource.
    pub(super) fn resource(&self, id: Option<InstanceId>) -> &Arc<Resource> {
        id.and_then(|id| self.get(id))
            .map_or(&self.unknown, |instance| &instance.resource)
    }

    fn get(&self, id: InstanceId) -> Option<&Instance> {
        match self.slots.get(self.present(id).0)? {
            Slot::Used(instance) => Some(instance),
            Slot::Free | Slot::Merged { .. } => None,
        }
    }

    fn get_mut(&mut self, id: InstanceId) -> Option<&mut Instance> {
        let id = self.present(id);
        match self.slots.get_mut(id.0)? {
            Slot::Used(instance) => Some(instance),
            Slot::Free | Slot::Merged { .. } => None,
        }
    }

    /// The instance that this one has become one with, if it has.
    pub(super) fn present(&self, mut id: InstanceId) -> InstanceId {
        // Each merges into one that is used, so there are no circles.
        while let Some(Slot::Merged { into, .. }) = self.slots.get(id.0) {
            id = *into;
        }
        id
    }

    /// Adds a reference of `member`; `None`, which stands for the unknown service, when the
    /// table is full or nothing is known of the process.
    pub(super) fn join(&mut self, member: &Member, losses: &mut Losses) -> Option<InstanceId> {
        let identity = member.image.identity();
        if *identity == self.unknown.identity {
            return None;
        }
        if let Some(id) = self.by_identity.get(identity).copied() {
            let instance = self.get_mut(id)?;
            instance.references += 1;
            if let Main::Ended(tgid, start) = instance.main {
                instance.main = Main::Followed(tgid, start);
            }
            return Some(id);
        }
        if self.by_identity.len() >= self.capacity {
            losses.add(Loss::InstanceTableFull);
            return None;
        }
        let resource = member.image.resource(Some(member.tgid), &self.host);
        let instance = Instance {
            resource: Arc::new(resource),
            main: Main::Runs(member.tgid, member.start),
            image: Arc::clone(&member.image),
            references: 1,
        };
        let id = self.put(Slot::Used(instance));
        self.by_identity.insert(identity.clone(), id);
        Some(id)
    }

    fn put(&mut self, slot: Slot) -> InstanceId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::Free);
            self.slots.len() - 1
        });
        self.slots[index] = slot;
        InstanceId(index)
    }

    /// A member exited, or runs another program.
    pub(super) fn end(&mut self, id: Option<InstanceId>, tgid: u32, start: StartTime) {
        let instance = id.and_then(|id| self.get_mut(id));
        if let Some(instance) = instance
            && let Main::Runs(main, its_start) = instance.main
            && main == tgid
            && its_start.matches(start)
        {
            instance.main = Main::Ended(tgid, start);
        }
    }

    /// Takes a reference back.
    pub(super) fn leave(&mut self, id: Option<InstanceId>) {
        let Some(slot) = id.and_then(|id| self.slots.get_mut(id.0)) else {
            return;
        };
        match slot {
            Slot::Used(Instance { references, .. }) => *references = references.saturating_sub(1),
            Slot::Merged { into, references } => {
                *references = references.saturating_sub(1);
                if *references == 0 {
                    let into = *into;
                    *slot = Slot::Free;
                    self.free.extend(id.map(|id| id.0));
                    self.leave(Some(into));
                }
            }
            Slot::Free => {}
        }
    }

    /// Frees the instances that nobody refers to: no process, and no series outside either.
    pub(super) fn collect(&mut self) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Slot::Used(instance) = slot else { continue };
            if instance.references == 0 && Arc::strong_count(&instance.resource) == 1 {
                self.by_identity.remove(&instance.resource.identity);
                self.free.push(index);
                *slot = Slot::Free;
            }
        }
    }
}
