//! Service instances: one shared [`Resource`] for all processes of a service.
//!
//! # What one instance is
//!
//! All processes with the same identity: `service.name`, `service.namespace`, the container, and
//! `service.instance.id` where a process declares one. These are exactly the labels that tell
//! Prometheus series apart, so that two resources never write the same series. A prefork group, a
//! unit's helpers and all commands in a container are one instance each.
//!
//! `service.instance.id` is the declared one, else the container's id, else the host's: with name
//! and namespace it is unique, and it stays over restarts of the service.
//!
//! `process.*` describe the oldest process. When it ends while others go on or come (a restart),
//! [`Instances::renew`] tells which resource takes whose place; until then nothing changes, so
//! that series stay with one resource while a snapshot is made.

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

/// A resource that another takes the place of: whoever keeps series by resource moves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// What [`super::process::Processes::owner`] gave until now.
    pub old: Arc<Resource>,
    /// What it gives from now on; the identity is the same.
    pub new: Arc<Resource>,
}

#[derive(Debug)]
struct Instance {
    resource: Arc<Resource>,
    /// The process that `process.*` of the resource is about; `None` when it is gone.
    main: Option<(u32, StartTime)>,
    /// Live and lately exited processes that refer to this instance.
    references: usize,
}

/// All instances, each identity once.
#[derive(Debug)]
pub(super) struct Instances {
    host: Arc<Resource>,
    capacity: usize,
    slots: Vec<Option<Instance>>,
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
        id.and_then(|id| self.slots.get(id.0)?.as_ref())
            .map_or(&self.unknown, |instance| &instance.resource)
    }

    /// Adds a reference of `member`; `None`, which stands for the unknown service, when the
    /// table is full or nothing is known of the process.
    pub(super) fn join(&mut self, member: &Member, losses: &mut Losses) -> Option<InstanceId> {
        let identity = member.image.identity();
        if *identity == self.unknown.identity {
            return None;
        }
        if let Some(id) = self.by_identity.get(identity).copied() {
            let instance = self.slots.get_mut(id.0)?.as_mut()?;
            instance.references += 1;
            return Some(id);
        }
        if self.by_identity.len() >= self.capacity {
            losses.add(Loss::InstanceTableFull);
            return None;
        }
        let resource = member.image.resource(Some(member.tgid), &self.host);
        let instance = Instance {
            resource: Arc::new(resource),
            main: Some((member.tgid, member.start)),
            references: 1,
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[index] = Some(instance);
        let id = InstanceId(index);
        self.by_identity.insert(identity.clone(), id);
        Some(id)
    }

    /// A member exited, or runs another program.
    pub(super) fn end(&mut self, id: Option<InstanceId>, tgid: u32, start: StartTime) {
        let instance = id.and_then(|id| self.slots.get_mut(id.0)?.as_mut());
        if let Some(instance) = instance
            && instance
                .main
                .is_some_and(|(main, its_start)| main == tgid && its_start.matches(start))
        {
            instance.main = None;
        }
    }

    /// Takes a reference back.
    pub(super) fn leave(&mut self, id: Option<InstanceId>) {
        if let Some(instance) = id.and_then(|id| self.slots.get_mut(id.0)?.as_mut()) {
            instance.references = instance.references.saturating_sub(1);
        }
    }

    /// Frees the instances that nobody refers to: no process, and no series outside either.
    pub(super) fn collect(&mut self) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let unused = slot.as_ref().is_some_and(|instance| {
                instance.references == 0 && Arc::strong_count(&instance.resource) == 1
            });
            if unused && let Some(instance) = slot.take() {
                self.by_identity.remove(&instance.resource.identity);
                self.free.push(index);
            }
        }
    }

    /// Gives instances whose main process is gone the oldest of `living` as the new one.
    pub(super) fn renew<'a>(
        &mut self,
        living: impl Iterator<Item = (InstanceId, Member)> + 'a,
    ) -> Vec<Renewed> {
        if !self.slots.iter().flatten().any(|one| one.main.is_none()) {
            return Vec::new();
        }
        let mut oldest: HashMap<InstanceId, Member> = HashMap::new();
        for (id, member) in living {
            let orphaned = self
                .slots
                .get(id.0)
                .and_then(Option::as_ref)
                .is_some_and(|instance| instance.main.is_none());
            if !orphaned {
                continue;
            }
            match oldest.get(&id) {
                Some(other) if !member.start.is_before(other.start) => {}
                _ => {
                    oldest.insert(id, member);
                }
            }
        }
        let mut renewed = Vec::new();
        for (id, member) in oldest {
            let Some(instance) = self.slots.get_mut(id.0).and_then(Option::as_mut) else {
                continue;
            };
            instance.main = Some((member.tgid, member.start));
            let new = Arc::new(member.image.resource(Some(member.tgid), &self.host));
            if *new != *instance.resource {
                let old = std::mem::replace(&mut instance.resource, Arc::clone(&new));
                renewed.push(Renewed { old, new });
            }
        }
        renewed
    }
}
