//! Names of containers, from the files that runtimes keep on the host; no daemon is asked.
//!
//! - Docker: `<data root>/containers/<id>/config.v2.json`, field `Name`.
//! - containerd (CRI, nerdctl) : the OCI bundle's `config.json` below
//!   `/run/containerd/io.containerd.runtime.v2.task/<namespace>/<id>`, its annotations.
//! - CRI-O: the same file in containers/storage, `overlay-containers/<id>/userdata/config.json`.
//! - Podman: containers/storage's `overlay-containers/containers.json`, rootful and per user.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    container::{Container, Runtime},
    counter::{Loss, Losses},
};

/// Most containers whose names are kept.
const CAPACITY: usize = 4096;
/// Longest description that is read.
const FILE_MAX: u64 = 4 * 1024 * 1024;
/// Most users whose Podman storage is looked at.
const HOMES_MAX: usize = 256;

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
        let id = &container.id;
        match container.runtime {
            Some(Runtime::Docker) => self.docker(id, losses),
            Some(Runtime::Containerd) => self.containerd(id, losses),
            Some(Runtime::CriO) => self.cri_o(id, losses),
            Some(Runtime::Podman) => self.podman(id, losses),
            Some(Runtime::Lxc | Runtime::Nspawn) => Some(Names {
                container: Some(Arc::clone(id)),
                ..Names::default()
            }),
            // The kubelet's cgroupfs driver doesn't tell.
            None => self
                .containerd(id, losses)
                .or_else(|| self.docker(id, losses))
                .or_else(|| self.cri_o(id, losses)),
        }
    }

    fn docker(&self, id: &str, losses: &mut Losses) -> Option<Names> {
        #[derive(Deserialize)]
        struct Config {
            #[serde(rename = "Name")]
            name: String,
        }
        let roots = ["var/lib/docker", "var/snap/docker/common/var-lib-docker"];
        roots.iter().find_map(|root| {
            let path = self.rootfs.join(root).join("containers").join(id);
            let config: Config = json(&path.join("config.v2.json"), losses)?;
            let name = config.name.trim_start_matches('/');
            (!name.is_empty()).then(|| Names {
                container: Some(name.into()),
                ..Names::default()
            })
        })
    }

    fn containerd(&self, id: &str, losses: &mut Losses) -> Option<Names> {
        let tasks = self
            .rootfs
            .join("run/containerd/io.containerd.runtime.v2.task");
        fs::read_dir(tasks)
            .ok()?
            .flatten()
            .find_map(|namespace| bundle(&namespace.path().join(id).join("config.json"), losses))
    }

    fn cri_o(&self, id: &str, losses: &mut Losses) -> Option<Names> {
        let storage = self.rootfs.join("var/lib/containers/storage");
        let path = storage.join("overlay-containers").join(id);
        bundle(&path.join("userdata/config.json"), losses)
    }

    fn podman(&self, id: &str, losses: &mut Losses) -> Option<Names> {
        #[derive(Deserialize)]
        struct Entry {
            id: String,
            #[serde(default)]
            names: Vec<String>,
        }
        let system = self.rootfs.join("var/lib/containers/storage");
        let homes = fs::read_dir(self.rootfs.join("home"))
            .into_iter()
            .flatten()
            .flatten()
            .take(HOMES_MAX)
            .map(|home| home.path().join(".local/share/containers/storage"));
        std::iter::once(system).chain(homes).find_map(|storage| {
            let path = storage.join("overlay-containers/containers.json");
            let entries: Vec<Entry> = json(&path, losses)?;
            let entry = entries.into_iter().find(|entry| entry.id == id)?;
            let name = entry.names.into_iter().next()?;
            Some(Names {
                container: Some(name.into()),
                ..Names::default()
            })
        })
    }
}

/// An OCI runtime bundle's `config.json`: the annotations of the CRI implementations.
fn bundle(path: &Path, losses: &mut Losses) -> Option<Names> {
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

/// A JSON file of at most [`FILE_MAX`] bytes; one that is absent is no loss.
fn json<T: DeserializeOwned>(path: &Path, losses: &mut Losses) -> Option<T> {
    let mut content = Vec::new();
    let result = File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut content));
    match result {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length == FILE_MAX) => {
            losses.add(Loss::TooLong);
            None
        }
        Ok(_) => {
            let parsed = serde_json::from_slice(&content).ok();
            if parsed.is_none() {
                losses.add(Loss::RuntimeFileMalformed);
            }
            parsed
        }
        Err(error) => {
            if error.kind() == io::ErrorKind::PermissionDenied {
                losses.add(Loss::RuntimeFileInaccessible);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn find(path: &str, content: &str, runtime: Option<Runtime>) -> (Arc<Names>, Losses) {
        let rootfs = tempfile::tempdir().unwrap();
        let path = rootfs.path().join(path.replace("ID", ID));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content.replace("ID", ID)).unwrap();
        let container = Container {
            id: ID.into(),
            runtime,
        };
        let mut losses = Losses::default();
        let names = ContainerNames::new(rootfs.path()).find(&container, &mut losses);
        (names, losses)
    }

    #[test]
    fn docker_keeps_the_name_with_a_slash() {
        let (names, _) = find(
            "var/lib/docker/containers/ID/config.v2.json",
            r#"{"ID":"ID","Name":"/shop-web-1","Config":{"Env":["TOKEN=x"]}}"#,
            Some(Runtime::Docker),
        );
        assert_eq!(names.container.as_deref(), Some("shop-web-1"));
    }

    #[test]
    fn cri_annotations_tell_container_pod_and_namespace() {
        let containerd = r#"{"annotations":{"io.kubernetes.cri.container-name":"web",
            "io.kubernetes.cri.sandbox-name":"web-5d","io.kubernetes.cri.sandbox-namespace":"shop"}}"#;
        let cri_o = r#"{"annotations":{"io.kubernetes.container.name":"web",
            "io.kubernetes.pod.name":"web-5d","io.kubernetes.pod.namespace":"shop"}}"#;
        let task = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";
        let storage = "var/lib/containers/storage/overlay-containers/ID/userdata/config.json";
        for (path, content, runtime) in [
            (task, containerd, Some(Runtime::Containerd)),
            (task, containerd, None),
            (storage, cri_o, Some(Runtime::CriO)),
        ] {
            let (names, _) = find(path, content, runtime);
            assert_eq!(names.container.as_deref(), Some("web"));
            assert_eq!(names.k8s_container.as_deref(), Some("web"));
            assert_eq!(names.pod.as_deref(), Some("web-5d"));
            assert_eq!(names.namespace.as_deref(), Some("shop"));
        }
    }

    #[test]
    fn podman_lists_its_containers_per_storage() {
        for path in [
            "var/lib/containers/storage/overlay-containers/containers.json",
            "home/ann/.local/share/containers/storage/overlay-containers/containers.json",
        ] {
            let content = r#"[{"id":"other","names":["no"]},{"id":"ID","names":["cache"]}]"#;
            let (names, _) = find(path, content, Some(Runtime::Podman));
            assert_eq!(names.container.as_deref(), Some("cache"), "{path}");
        }
    }

    #[test]
    fn fault_28_a_damaged_file_is_counted_and_names_nothing() {
        for content in ["", "{", "[]", r#"{"Name":5}"#, "\u{0}"] {
            let path = "var/lib/docker/containers/ID/config.v2.json";
            let (names, losses) = find(path, content, Some(Runtime::Docker));
            assert_eq!(*names, Names::default());
            assert_eq!(losses.get(Loss::RuntimeFileMalformed), 1, "{content:?}");
        }
    }
}
