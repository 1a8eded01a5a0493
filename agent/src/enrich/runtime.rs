//! Names of containers, from the files that runtimes keep on the host; no daemon is asked.
//!
//! - Docker: `<data root>/containers/<id>/config.v2.json`, its name and the labels of cri-dockerd.
//! - containerd (CRI, nerdctl): the OCI bundle's `config.json` below
//!   `<state>/io.containerd.runtime.v2.task/<namespace>/<id>`, its annotations.
//! - CRI-O: the same file in containers/storage, `overlay-containers/<id>/userdata/config.json`.
//! - Podman: containers/storage's `containers.json`, rootful and per user.
//! - of a pod, where none of them says anything: the kubelet's links to logs, `/var/log/containers`.

mod bundle;
mod docker;
mod file;
mod logs;
mod podman;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    container::{Container, Runtime},
    counter::Losses,
};

/// Most containers whose names are kept.
const CAPACITY: usize = 4096;
/// What the host's files tell about a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// `container.name`
    pub(super) container: Option<Arc<str>>,
    /// `k8s.container.name`, of the CRI annotations.
    pub(super) k8s_container: Option<Arc<str>>,
    /// `k8s.pod.name`
    pub(super) pod: Option<Arc<str>>,
    /// `k8s.namespace.name`
    pub(super) namespace: Option<Arc<str>>,
}

/// Finds and keeps containers' names. Names that aren't found are looked for again.
#[derive(Debug)]
pub(super) struct ContainerNames {
    rootfs: PathBuf,
    known: HashMap<Arc<str>, Arc<Names>>,
}

impl ContainerNames {
    pub(super) fn new(rootfs: &Path) -> Self {
        Self {
            rootfs: rootfs.to_owned(),
            known: HashMap::new(),
        }
    }

    /// The names of `container`; empty where no file tells them.
    pub(super) fn find(&mut self, container: &Container, losses: &mut Losses) -> Arc<Names> {
        if let Some(names) = self.known.get(&container.id) {
            return Arc::clone(names);
        }
        let Some(names) = self.look_up(container, losses) else {
            return Arc::default();
        };
        if self.known.len() >= CAPACITY {
            // Only a cache: those still in use come back at their next sight.
            self.known.clear();
        }
        let names = Arc::new(names);
        self.known
            .insert(Arc::clone(&container.id), Arc::clone(&names));
        names
    }

    fn look_up(&self, container: &Container, losses: &mut Losses) -> Option<Names> {
        let (rootfs, id) = (&*self.rootfs, &*container.id);
        let found = match container.runtime {
            Some(Runtime::Docker) => docker::names(rootfs, id, losses),
            Some(Runtime::Containerd) => bundle::containerd(rootfs, id, losses),
            Some(Runtime::CriO) => bundle::cri_o(rootfs, id, losses),
            Some(Runtime::Podman) => return podman::names(rootfs, id, losses),
            Some(Runtime::Lxc | Runtime::Nspawn) => {
                return Some(Names {
                    container: Some(Arc::clone(&container.id)),
                    ..Names::default()
                });
            }
            // The kubelet's cgroupfs driver doesn't tell.
            None => bundle::containerd(rootfs, id, losses)
                .or_else(|| docker::names(rootfs, id, losses))
                .or_else(|| bundle::cri_o(rootfs, id, losses)),
        };
        found.or_else(|| logs::names(rootfs, id))
    }
}

#[cfg(test)]
mod tests;
