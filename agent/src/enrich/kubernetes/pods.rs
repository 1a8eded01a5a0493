//! The pods of this node, as the thread that watches them has told.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Update,
    pod::{Membership, Pod},
};
use crate::enrich::{
    container::Placement,
    counter::{Loss, Losses},
};

/// Most pods that are kept; a kubelet takes 110 unless it is told otherwise.
pub(super) const CAPACITY: usize = 2048;

/// Pods by the ids that stand in cgroup paths.
#[derive(Debug, Default)]
pub(in crate::enrich) struct Pods {
    by_uid: HashMap<Arc<str>, Arc<Pod>>,
    by_container: HashMap<Arc<str>, Arc<Pod>>,
    has_changed: bool,
}

impl Pods {
    /// How many there are.
    pub(in crate::enrich) fn len(&self) -> usize {
        self.by_uid.len()
    }

    /// Takes in what has been told.
    pub(in crate::enrich) fn apply(&mut self, update: Update, losses: &mut Losses) {
        match update {
            Update::Listed(pods) => {
                let present: HashSet<Arc<str>> =
                    pods.iter().map(|pod| Arc::clone(&pod.cgroup_uid)).collect();
                let mut gone: Vec<_> = self.by_uid.keys().cloned().collect();
                gone.retain(|uid| !present.contains(uid));
                for uid in gone {
                    self.remove(&uid);
                }
                for pod in pods {
                    self.insert(pod, losses);
                }
            }
            Update::Applied(pod) => self.insert(pod, losses),
            Update::Deleted(uid) => {
                let found = self.by_uid.values().find(|pod| pod.uid == uid);
                if let Some(uid) = found.map(|pod| Arc::clone(&pod.cgroup_uid)) {
                    self.remove(&uid);
                }
            }
        }
    }

    fn insert(&mut self, pod: Arc<Pod>, losses: &mut Losses) {
        let before = self.by_uid.get(&pod.cgroup_uid);
        if before == Some(&pod) {
            return;
        }
        if before.is_none() && self.by_uid.len() >= CAPACITY {
            losses.add(Loss::PodTableFull);
            return;
        }
        for _ in 0..pod.annotated.left_out {
            losses.add(Loss::AnnotationLeftOut);
        }
        let uid = Arc::clone(&pod.cgroup_uid);
        self.remove(&uid);
        for id in pod.container_ids() {
            self.by_container.insert(Arc::clone(id), Arc::clone(&pod));
        }
        self.has_changed = true;
        self.by_uid.insert(uid, pod);
    }

    fn remove(&mut self, uid: &str) {
        if let Some(pod) = self.by_uid.remove(uid) {
            for id in pod.container_ids() {
                self.by_container.remove(id);
            }
        }
    }

    /// The pod that a process in `placement` belongs to; `name` is its container's as the
    /// runtime's files tell it.
    pub(in crate::enrich) fn find(
        &self,
        placement: &Placement,
        name: Option<&str>,
    ) -> Option<Membership> {
        let by_container = || {
            let container = placement.container.as_ref()?;
            self.by_container.get(&container.id)
        };
        let pod = match &placement.pod {
            Some(pod) => self.by_uid.get(&pod.uid),
            None => by_container(),
        };
        pod.map(|pod| Membership::new(pod, placement, name))
    }

    /// Whether pods have come or changed since the last time that this was asked.
    pub(in crate::enrich) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }
}

#[cfg(test)]
mod tests;
