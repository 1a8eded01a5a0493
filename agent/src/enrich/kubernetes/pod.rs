//! What is kept of a pod.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{
    annotation::Annotated,
    object::{ContainerSpec, ContainerStatus, PodObject},
    owner::Workload,
    reference::Reference,
};
use crate::{
    enrich::{container::Placement, declared::Declared, service},
    metric::AttributeValue,
};

/// Annotation of the pod that stands in the API for a static pod: the uid that the kubelet gave
/// it, and its cgroup (`pkg/kubelet/types/pod_update.go`).
const STATIC_UID: &str = "kubernetes.io/config.hash";
/// Most containers of one pod.
const CONTAINERS: usize = 64;

/// A pod, as far as services are described by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.uid`
    pub(in crate::enrich) uid: Arc<str>,
    /// The uid in its cgroup's path: another one for a static pod.
    pub(in crate::enrich) cgroup_uid: Arc<str>,
    pub(in crate::enrich) name: Arc<str>,
    pub(in crate::enrich) namespace: Arc<str>,
    pub(in crate::enrich) node: Option<Arc<str>>,
    pub(super) workload: Option<Workload>,
    /// Labels `app.kubernetes.io/instance` and `app.kubernetes.io/name`, the first that there is.
    label: Option<Arc<str>>,
    /// Label `app.kubernetes.io/version`.
    version: Option<Arc<str>>,
    pub(super) annotated: Annotated,
    containers: Vec<Container>,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Container {
    name: Arc<str>,
    image: Option<Arc<str>>,
    /// The runtime's id of its present run.
    id: Option<Arc<str>>,
    restarts: Option<i64>,
}

/// Which container of a pod a process runs in, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::enrich) struct Membership {
    pub(in crate::enrich) pod: Arc<Pod>,
    container: Option<usize>,
}

impl Pod {
    /// What is kept of `object`; `None` where it has no uid, name or namespace, or has come to its
    /// end.
    pub(super) fn of(object: &PodObject) -> Option<Self> {
        let metadata = &object.metadata;
        let text = |text: &Option<String>| text.as_deref().and_then(service::tidy).map(Arc::from);
        let phase = object.status.as_ref().and_then(|it| it.phase.as_deref());
        if matches!(phase, Some("Succeeded" | "Failed")) {
            return None;
        }
        let uid: Arc<str> = text(&metadata.uid)?;
        let node = object.spec.as_ref().and_then(|spec| text(&spec.node_name));
        Some(Self {
            cgroup_uid: static_uid(metadata).unwrap_or_else(|| Arc::clone(&uid)),
            uid,
            name: text(&metadata.name)?,
            namespace: text(&metadata.namespace)?,
            node,
            workload: Workload::of(metadata),
            label: label(metadata, "instance").or_else(|| label(metadata, "name")),
            version: label(metadata, "version"),
            annotated: Annotated::of(metadata.annotations.as_ref()),
            containers: containers(object),
        })
    }

    /// The ids of its containers' present runs.
    pub(super) fn container_ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.containers.iter().filter_map(|one| one.id.as_ref())
    }

    /// What it declares of its services.
    pub(in crate::enrich) fn declared(&self) -> &Declared {
        &self.annotated.declared
    }

    /// `service.name` by OpenTelemetry's rules for Kubernetes, behind the annotation: labels, what
    /// made the pod, the pod.
    pub(in crate::enrich) fn service_name(&self) -> &Arc<str> {
        let workload = || self.workload.as_ref().map(Workload::name);
        self.label.as_ref().or_else(workload).unwrap_or(&self.name)
    }

    /// Number of the container with this id, else with this name.
    fn container(&self, id: Option<&str>, name: Option<&str>) -> Option<usize> {
        let by_id = |one: &Container| id.is_some() && one.id.as_deref() == id;
        let by_name = |one: &Container| Some(&*one.name) == name;
        let containers = &self.containers;
        containers
            .iter()
            .position(by_id)
            .or_else(|| containers.iter().position(by_name))
    }
}

impl Membership {
    /// A process of `pod` in `placement`; `name` is the container's as its runtime's files tell it.
    pub(super) fn new(pod: &Arc<Pod>, placement: &Placement, name: Option<&str>) -> Self {
        let id = placement.container.as_ref().map(|one| &*one.id);
        Self {
            pod: Arc::clone(pod),
            container: pod.container(id, name),
        }
    }

    fn get(&self) -> Option<&Container> {
        self.pod.containers.get(self.container?)
    }

    /// `k8s.container.name`
    pub(in crate::enrich) fn container(&self) -> Option<&Arc<str>> {
        self.get().map(|one| &one.name)
    }

    fn image(&self) -> Option<Reference<'_>> {
        Reference::parse(self.get()?.image.as_deref()?)
    }

    /// `service.version` by the same rules, behind the annotation: the label, the image.
    pub(in crate::enrich) fn version(&self) -> Option<Arc<str>> {
        let of_image = || Some(self.image()?.version()?.into());
        self.pod.version.clone().or_else(of_image)
    }

    /// Attributes of the pod and its container, besides those that are in a service's identity.
    pub(in crate::enrich) fn attributes(&self) -> Vec<(&'static str, AttributeValue)> {
        let pod = &*self.pod;
        let image = self.image();
        let tag = image.and_then(|image| image.tag);
        let tags = tag.map(|tag| Arc::<[Arc<str>]>::from([Arc::from(tag)]).into());
        let restarts = self.get().and_then(|one| one.restarts);
        let known = [
            ("k8s.pod.uid", Some(Arc::clone(&pod.uid).into())),
            ("k8s.node.name", pod.node.clone().map(AttributeValue::from)),
            (
                "container.image.name",
                image.map(|image| AttributeValue::from(image.name)),
            ),
            ("container.image.tags", tags),
            (
                "k8s.container.restart_count",
                restarts.map(AttributeValue::from),
            ),
        ];
        pod.annotated
            .attributes
            .iter()
            .cloned()
            .chain(pod.workload.iter().flat_map(Workload::attributes))
            .chain(
                known
                    .into_iter()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
            .collect()
    }
}

fn static_uid(metadata: &ObjectMeta) -> Option<Arc<str>> {
    let uid = metadata.annotations.as_ref()?.get(STATIC_UID)?;
    service::tidy(uid).map(Arc::from)
}

/// A label of the recommended set, `app.kubernetes.io/...`.
fn label(metadata: &ObjectMeta, name: &str) -> Option<Arc<str>> {
    let labels = metadata.labels.as_ref()?;
    let value = labels.get(&format!("app.kubernetes.io/{name}"))?;
    service::tidy(value).map(Arc::from)
}

/// All kinds of containers: those of the application, those that ran before them, those that were
/// added to look into it.
fn containers(object: &PodObject) -> Vec<Container> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let kinds = [
        (spec.containers, status.container_statuses),
        (spec.init_containers, status.init_container_statuses),
        (
            spec.ephemeral_containers,
            status.ephemeral_container_statuses,
        ),
    ];
    kinds
        .into_iter()
        .flat_map(|(specs, statuses)| {
            let statuses = statuses.unwrap_or_default();
            let specs = specs.unwrap_or_default();
            specs
                .into_iter()
                .filter_map(move |spec| container(&spec, &statuses))
        })
        .take(CONTAINERS)
        .collect()
}

fn container(spec: &ContainerSpec, statuses: &[ContainerStatus]) -> Option<Container> {
    let status = statuses.iter().find(|status| status.name == spec.name);
    let id = status.and_then(|status| {
        let (_, id) = status.container_id.as_deref()?.split_once("://")?;
        service::tidy(id)
    });
    Some(Container {
        name: service::tidy(&spec.name)?.into(),
        image: spec.image.as_deref().map(Arc::from),
        id: id.map(Arc::from),
        restarts: status.and_then(|status| status.restart_count),
    })
}

#[cfg(test)]
pub(in crate::enrich) mod tests;
