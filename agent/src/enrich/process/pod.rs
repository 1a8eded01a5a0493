//! What the Kubernetes API tells of the pods that processes belong to.

use std::{collections::HashMap, sync::Arc};

use super::Processes;
use crate::enrich::{
    image::Image,
    instance::{Member, Renewed},
    kubernetes::{Pods, Update},
};

impl Processes {
    /// Takes in what has become known of pods. It counts for processes that begin from now on; of
    /// those that are there, [`Self::renew`] tells.
    pub fn pods(&mut self, update: Update) {
        self.pods.apply(update, &mut self.losses);
    }

    /// Describes all instances by what is known of their pods now.
    pub(super) fn redescribe(&mut self) -> Vec<Renewed> {
        if !self.pods.take_changed() {
            return Vec::new();
        }
        // Forked processes share their parent's image, and go on doing so.
        let mut known: HashMap<usize, (Arc<Image>, Option<Arc<Image>>)> = HashMap::new();
        let pods = &self.pods;
        let mut describe = |image: &Arc<Image>| {
            let (_, new) = known
                .entry(Arc::as_ptr(image).addr())
                .or_insert_with(|| (Arc::clone(image), better_known(image, pods)));
            new.clone()
        };
        let renewed = self.instances.redescribe(&mut describe);
        for (tgid, slot) in &mut self.slots {
            let Some(live) = &mut slot.live else { continue };
            live.image = describe(&live.image).unwrap_or_else(|| Arc::clone(&live.image));
            let Some(id) = live.instance else { continue };
            let belongs = self.instances.resource(Some(id)).identity == *live.image.identity();
            let present = if belongs {
                self.instances.stay(id)
            } else {
                // It was one of a group whose others were put elsewhere.
                let member = Member {
                    tgid: *tgid,
                    start: live.start,
                    image: Arc::clone(&live.image),
                };
                let joined = self.instances.join(&member, &mut self.losses);
                self.instances.end(Some(id), *tgid, live.start);
                joined
            };
            if present != Some(id) {
                self.instances.leave(Some(id));
                live.instance = present;
            }
        }
        renewed
    }
}

/// The image with what is known of its pod by now, where that is more than before.
fn better_known(image: &Arc<Image>, pods: &Pods) -> Option<Arc<Image>> {
    let before = image.membership();
    // A container that has been made anew isn't known by its old id any more.
    let name = image
        .names()
        .k8s_container
        .as_ref()
        .or_else(|| before?.container())
        .map(|name| &**name);
    let membership = pods.find(image.placement(), name)?;
    (image.membership() != Some(&membership)).then(|| Arc::new(image.in_pod(membership)))
}
