//! OCI bundles of the CRI implementations: the annotations in `config.json`.

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use serde::Deserialize;

use super::{Names, file::json};
use crate::enrich::counter::Losses;

/// Where containerd keeps its state: by itself, within k3s and RKE2, within k0s, within `MicroK8s`.
const STATES: [&str; 4] = [
    "run/containerd",
    "run/k3s/containerd",
    "run/k0s/containerd",
    "var/snap/microk8s/common/run/containerd",
];

/// Where containers/storage keeps what CRI-O gave its runtime.
const STORAGES: [&str; 2] = ["var/lib/containers/storage", "run/containers/storage"];

pub(super) fn containerd(rootfs: &Path, id: &str, losses: &mut Losses) -> Option<Names> {
    STATES.iter().find_map(|state| {
        let tasks = rootfs.join(state).join("io.containerd.runtime.v2.task");
        let namespaces = fs::read_dir(tasks).ok()?.flatten();
        namespaces
            .map(|namespace| namespace.path().join(id).join("config.json"))
            .find_map(|path| names(&path, losses))
    })
}

pub(super) fn cri_o(rootfs: &Path, id: &str, losses: &mut Losses) -> Option<Names> {
    STORAGES.iter().find_map(|storage| {
        let path = rootfs.join(storage).join("overlay-containers").join(id);
        names(&path.join("userdata/config.json"), losses)
    })
}

/// The names in the annotations of a `config.json`.
fn names(path: &Path, losses: &mut Losses) -> Option<Names> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        annotations: HashMap<String, String>,
    }
    let config: Config = json(path, losses)?;
    let first = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| config.annotations.get(*key))
            .filter(|value| !value.is_empty())
            .map(|value| Arc::from(value.as_str()))
    };
    let k8s_container = first(&[
        "io.kubernetes.cri.container-name",
        "io.kubernetes.container.name",
    ]);
    Some(Names {
        container: first(&["nerdctl/name"]).or_else(|| k8s_container.clone()),
        k8s_container,
        pod: first(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]),
        namespace: first(&[
            "io.kubernetes.cri.sandbox-namespace",
            "io.kubernetes.pod.namespace",
        ]),
    })
}
