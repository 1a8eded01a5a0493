//! Which process a resource is about, when its main process ends.

use std::{collections::HashMap, sync::Arc};

use super::{Instance, InstanceId, Instances, Living, Main, Renewed, Slot};
use crate::metric::Resource;

/// How long a process must have run to take the place of a main process that ended, nanoseconds.
const SETTLES: u64 = 5_000_000_000;

impl Instances {
    /// Gives instances whose main process has ended, but which live on, another resource: see the
    /// module. `now` is on the clock of the events.
    pub(in crate::enrich) fn renew<'a>(
        &mut self,
        now: u64,
        living: impl Iterator<Item = (InstanceId, Living<'a>)>,
    ) -> Vec<Renewed> {
        let mut orphaned: HashMap<InstanceId, Option<Living<'a>>> = HashMap::new();
        for (id, member) in living {
            let Some(instance) = self.get(id) else {
                continue;
            };
            if matches!(instance.main, Main::Runs(..)) {
                continue;
            }
            let successor = orphaned.entry(id).or_default();
            if instance.may_follow(&member, now)
                && successor.is_none_or(|other| member.start.is_before(other.start))
            {
                *successor = Some(member);
            }
        }
        for (index, slot) in self.slots.iter().enumerate() {
            if let Slot::Used(instance) = slot
                && matches!(instance.main, Main::Followed(..))
            {
                orphaned.entry(InstanceId(index)).or_default();
            }
        }
        orphaned
            .into_iter()
            .filter_map(|(id, successor)| {
                let Slot::Used(instance) = self.slots.get_mut(id.0)? else {
                    return None;
                };
                instance.succeed(successor, &self.host)
            })
            .collect()
    }
}

impl Instance {
    /// Whether a living member may be the next main process: it has run for a while, or it is the
    /// last one, which runs another program.
    fn may_follow(&self, member: &Living<'_>, now: u64) -> bool {
        let is_same = match self.main {
            Main::Ended(tgid, start) | Main::Followed(tgid, start) => {
                tgid == member.tgid && start.matches(member.start)
            }
            Main::Runs(..) | Main::Nobody => false,
        };
        is_same || now.saturating_sub(member.since) >= SETTLES
    }

    /// Makes `successor`, or nobody, the main process; `None` when that changes nothing.
    fn succeed(&mut self, successor: Option<Living<'_>>, host: &Resource) -> Option<Renewed> {
        let new = if let Some(member) = successor {
            self.main = Main::Runs(member.tgid, member.start);
            self.image = Arc::clone(member.image);
            member.image.resource(Some(member.tgid), host)
        } else if let Main::Nobody = self.main {
            return None;
        } else {
            self.main = Main::Nobody;
            without_process(&self.resource)
        };
        if new == *self.resource {
            return None;
        }
        let new = Arc::new(new);
        let old = std::mem::replace(&mut self.resource, Arc::clone(&new));
        Some(Renewed {
            old,
            new,
            merges: false,
        })
    }
}

/// The same instance, none of its processes named. The program stays: the next one runs it, too.
fn without_process(resource: &Resource) -> Resource {
    let attributes = resource.attributes.iter();
    Resource {
        attributes: attributes
            .filter(|(key, _)| *key != "process.pid")
            .cloned()
            .collect(),
        identity: resource.identity.clone(),
    }
}
