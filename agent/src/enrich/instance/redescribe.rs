//! Instances of which more has become known.

use std::sync::Arc;

use super::{Instance, InstanceId, Instances, Main, Renewed, Slot};
use crate::enrich::image::Image;

impl Instances {
    /// Describes all instances anew. `describe` gives an image with what is known by now, or
    /// nothing where that is no more than before. A caller that keeps ids of instances asks
    /// [`Self::present`] for them afterwards.
    pub(in crate::enrich) fn redescribe(
        &mut self,
        mut describe: impl FnMut(&Arc<Image>) -> Option<Arc<Image>>,
    ) -> Vec<Renewed> {
        let mut renewed = Vec::new();
        for index in 0..self.slots.len() {
            let Some(Slot::Used(instance)) = self.slots.get(index) else {
                continue;
            };
            if let Some(image) = describe(&instance.image) {
                renewed.extend(self.change(InstanceId(index), image));
            }
        }
        renewed
    }

    /// The instance that a member of `id` belongs to by now; when that is another one, with a
    /// reference of the member's.
    pub(in crate::enrich) fn stay(&mut self, id: InstanceId) -> Option<InstanceId> {
        let present = self.present(id);
        if present != id {
            self.get_mut(present)?.references += 1;
        }
        Some(present)
    }

    /// Describes one instance by `image`; `None` when that changes nothing of its resource.
    fn change(&mut self, id: InstanceId, image: Arc<Image>) -> Option<Renewed> {
        let Slot::Used(instance) = self.slots.get_mut(id.0)? else {
            return None;
        };
        let old = Arc::clone(&instance.resource);
        if *image.identity() != old.identity {
            self.by_identity.remove(&old.identity);
            if let Some(into) = self.by_identity.get(image.identity()).copied() {
                return self.merge(id, into);
            }
            self.by_identity.insert(image.identity().clone(), id);
        }
        let new = Arc::new(image.resource(instance.named(), &self.host));
        instance.image = image;
        if new == old {
            return None;
        }
        instance.resource = Arc::clone(&new);
        Some(Renewed {
            old,
            new,
            merges: false,
        })
    }

    /// Makes an instance part of another one, which has the identity that it turned out to have.
    fn merge(&mut self, id: InstanceId, into: InstanceId) -> Option<Renewed> {
        let new = Arc::clone(&self.get(into)?.resource);
        let slot = self.slots.get_mut(id.0)?;
        let Slot::Used(instance) = slot else {
            return None;
        };
        let (old, references) = (Arc::clone(&instance.resource), instance.references);
        if references == 0 {
            // Nobody's id; only series are left.
            *slot = Slot::Free;
            self.free.push(id.0);
        } else {
            *slot = Slot::Merged { into, references };
            self.get_mut(into)?.references += 1;
        }
        Some(Renewed {
            old,
            new,
            merges: true,
        })
    }
}

impl Instance {
    /// The process that the resource names.
    fn named(&self) -> Option<u32> {
        match self.main {
            Main::Runs(tgid, _) | Main::Ended(tgid, _) | Main::Followed(tgid, _) => Some(tgid),
            Main::Nobody => None,
        }
    }
}
