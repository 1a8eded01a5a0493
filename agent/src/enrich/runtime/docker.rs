//! Docker's description of a container.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;

use super::{Names, file::json, podman::homes};
use crate::enrich::counter::Losses;

/// `config.v2.json`
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    name: String,
    #[serde(default)]
    config: Config,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    labels: Option<HashMap<String, String>>,
}

/// `daemon.json`
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Daemon {
    data_root: Option<PathBuf>,
}

/// Containers of a kubelet have labels (cri-dockerd); what Docker calls them is made up of those.
pub(super) fn names(rootfs: &Path, id: &str, losses: &mut Losses) -> Option<Names> {
    let description: Description = roots(rootfs, losses).into_iter().find_map(|root| {
        let path = root.join("containers").join(id).join("config.v2.json");
        json(&path, losses)
    })?;
    let labels = description.config.labels.unwrap_or_default();
    let label = |name: &str| {
        let value = labels.get(name).filter(|value| !value.is_empty());
        value.map(|value| Arc::from(value.as_str()))
    };
    let name = description.name.trim_start_matches('/');
    let name = (!name.is_empty()).then(|| Arc::from(name));
    let k8s_container = label("io.kubernetes.container.name");
    Some(Names {
        container: k8s_container.clone().or(name),
        k8s_container,
        pod: label("io.kubernetes.pod.name"),
        namespace: label("io.kubernetes.pod.namespace"),
    })
}

/// Where Docker may keep its data: where its configuration says, by default, as a snap, rootless.
fn roots(rootfs: &Path, losses: &mut Losses) -> Vec<PathBuf> {
    let daemon: Option<Daemon> = json(&rootfs.join("etc/docker/daemon.json"), losses);
    let configured = daemon.and_then(|daemon| daemon.data_root);
    let configured = configured.and_then(|root| root.strip_prefix("/").map(Path::to_owned).ok());
    let fixed = ["var/lib/docker", "var/snap/docker/common/var-lib-docker"];
    configured
        .into_iter()
        .chain(fixed.map(PathBuf::from))
        .map(|root| rootfs.join(root))
        .chain(homes(rootfs).map(|home| home.join(".local/share/docker")))
        .collect()
}
