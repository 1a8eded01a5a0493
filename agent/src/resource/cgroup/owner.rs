//! Which cgroups are worth telling, and whose they are.

use std::sync::Arc;

use crate::{
    enrich::container::Placement,
    metric::{AttributeValue, Attributes},
};

/// What a cgroup was made for, those that are wanted most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A container.
    Container,
    /// A Kubernetes pod.
    Pod,
    /// A systemd service.
    Service,
    /// A systemd slice, or Kubernetes' twin of one (`kubepods/burstable`).
    Slice,
    /// Something else right below the top: what sets a limit there is meant.
    Top,
}

/// Whose a cgroup is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) kind: Kind,
    /// The path, and the container, pod or unit where it is one's.
    labels: Arc<[(&'static str, AttributeValue)]>,
}

impl Owner {
    /// Of the cgroup with this path; `None` for those that are no thing's own: scopes of
    /// sessions, subgroups of containers and services.
    pub(super) fn of(path: &str) -> Option<Self> {
        let (parent, name) = path.rsplit_once('/')?;
        let placement = Placement::of_path(path);
        let outer = Placement::of_path(parent);
        let kind = if placement.container.is_some() && placement.container != outer.container {
            Kind::Container
        } else if placement.pod.is_some() && placement.pod != outer.pod {
            Kind::Pod
        } else if placement.unit.is_some() && name.strip_suffix(".service").is_some() {
            Kind::Service
        } else if name.strip_suffix(".slice").is_some() || is_quality_of_service(parent, name) {
            Kind::Slice
        } else if parent.is_empty() {
            Kind::Top
        } else {
            return None;
        };
        let path = if name.is_empty() { "/" } else { path };
        Some(Self {
            kind,
            labels: labels(path, &placement).collect(),
        })
    }

    /// Attributes of a raw metric: whose it is, and those in `more`.
    pub(super) fn with<const N: usize>(
        &self,
        more: [(&'static str, AttributeValue); N],
    ) -> Attributes {
        self.labels.iter().cloned().chain(more).collect()
    }

    /// Attributes of a metric of the method, where the path is the device.
    pub(super) fn of_method(&self, resource: &'static str, signal: &str) -> Attributes {
        self.labels
            .iter()
            .map(|(name, value)| match *name {
                PATH => ("device", value.clone()),
                name => (name, value.clone()),
            })
            .chain([("resource", resource.into()), ("signal", signal.into())])
            .collect()
    }
}

const PATH: &str = "system.cgroup.path";

fn labels(
    path: &str,
    placement: &Placement,
) -> impl Iterator<Item = (&'static str, AttributeValue)> {
    let container = placement.container.as_ref();
    let runtime = container.and_then(|container| container.runtime);
    let unit = placement.unit.as_ref();
    let optional = [
        (
            "container.id",
            container.map(|container| Arc::clone(&container.id).into()),
        ),
        (
            "container.runtime.name",
            runtime.map(|runtime| runtime.as_str().into()),
        ),
        (
            "k8s.pod.uid",
            placement
                .pod
                .as_ref()
                .map(|pod| Arc::clone(&pod.uid).into()),
        ),
        (
            "systemd.unit",
            unit.map(|unit| format!("{unit}.service").into()),
        ),
    ];
    let known = optional
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    [(PATH, path.into())].into_iter().chain(known)
}

/// The directories of the kubelet's cgroupfs driver above the pods.
fn is_quality_of_service(parent: &str, name: &str) -> bool {
    name == "kubepods"
        || matches!(name, "burstable" | "besteffort") && parent.ends_with("/kubepods")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f8a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8";
    const POD: &str = "0d1f2a3b-4c5d-6e7f-8091-a2b3c4d5e6f7";

    fn kind(path: &str) -> Option<Kind> {
        Owner::of(path).map(|owner| owner.kind)
    }

    fn label(path: &str, name: &str) -> Option<String> {
        let owner = Owner::of(path)?;
        owner.with([]).get(name).map(ToString::to_string)
    }

    #[test]
    fn containers_pods_services_and_slices_are_told_and_their_subgroups_are_not() {
        let slice = "/kubepods.slice/kubepods-burstable.slice";
        let pod = format!(
            "{slice}/kubepods-burstable-pod{}.slice",
            POD.replace('-', "_")
        );
        let container = format!("{pod}/cri-containerd-{ID}.scope");
        let cases = [
            (container.as_str(), Some(Kind::Container)),
            (&format!("{container}/init"), None),
            (
                &format!("{container}/system.slice/nginx.service"),
                Some(Kind::Service),
            ),
            (&pod, Some(Kind::Pod)),
            (slice, Some(Kind::Slice)),
            ("/system.slice/nginx.service", Some(Kind::Service)),
            ("/system.slice/nginx.service/worker", None),
            ("/user.slice/user-1000.slice/session-3.scope", None),
            ("/kubepods/burstable", Some(Kind::Slice)),
            ("/elsewhere/burstable", None),
            ("/batch", Some(Kind::Top)),
            ("/batch/job", None),
            ("/", Some(Kind::Top)),
        ];
        for (path, expected) in cases {
            assert_eq!(kind(path), expected, "{path}");
        }
    }

    #[test]
    fn labels_say_which_container_pod_and_unit() {
        let path = format!("/kubepods/burstable/pod{POD}/{ID}");
        assert_eq!(label(&path, "container.id").as_deref(), Some(ID));
        assert_eq!(label(&path, "k8s.pod.uid").as_deref(), Some(POD));
        assert_eq!(label(&path, "systemd.unit"), None);
        assert_eq!(label(&path, PATH), Some(path));
        let docker = format!("/system.slice/docker-{ID}.scope");
        assert_eq!(
            label(&docker, "container.runtime.name").as_deref(),
            Some("docker")
        );
        assert_eq!(
            label("/system.slice/ssh.service", "systemd.unit").as_deref(),
            Some("ssh.service")
        );
    }

    #[test]
    fn the_path_is_the_device_of_the_method() {
        let owner = Owner::of("/system.slice").expect("a slice");
        let attributes = owner.of_method("cgroup", "cpu_quota");
        assert_eq!(attributes.get("device"), Some(&"/system.slice".into()));
        assert_eq!(attributes.get(PATH), None);
    }
}
