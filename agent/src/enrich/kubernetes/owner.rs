//! What made a pod.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::metric::AttributeValue;

/// Label that a Deployment gives the pods of each of its `ReplicaSet`s; the `ReplicaSet`'s name ends
/// in its value (`pkg/controller/deployment/sync.go`).
const TEMPLATE_HASH: &str = "pod-template-hash";

/// The controller that made a pod, and what made that. Others than the built-in ones are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Workload {
    /// `ReplicaSet`, of a Deployment or by itself.
    ReplicaSet {
        name: Arc<str>,
        deployment: Option<Arc<str>>,
    },
    /// `ReplicationController`.
    ReplicationController(Arc<str>),
    /// `StatefulSet`.
    StatefulSet(Arc<str>),
    /// `DaemonSet`.
    DaemonSet(Arc<str>),
    /// Job, of a `CronJob` or by itself.
    Job {
        name: Arc<str>,
        cron_job: Option<Arc<str>>,
    },
}

impl Workload {
    /// What the owner references of a pod say. That a `ReplicaSet` belongs to a Deployment is told
    /// by the pod's labels; the API isn't asked for it.
    pub(super) fn of(metadata: &ObjectMeta) -> Option<Self> {
        let owner = controller(metadata)?;
        let name = Arc::from(owner.name.as_str());
        let group = owner.api_version.split_once('/').map(|(group, _)| group);
        match (group, owner.kind.as_str()) {
            (Some("apps"), "ReplicaSet") => Some(Self::ReplicaSet {
                deployment: deployment(metadata, &owner.name),
                name,
            }),
            (Some("apps"), "StatefulSet") => Some(Self::StatefulSet(name)),
            (Some("apps"), "DaemonSet") => Some(Self::DaemonSet(name)),
            (Some("batch"), "Job") => Some(Self::Job {
                name,
                cron_job: None,
            }),
            (None, "ReplicationController") => Some(Self::ReplicationController(name)),
            _ => None,
        }
    }

    /// Its name in `service.name`: the outermost one's.
    pub(super) fn name(&self) -> &Arc<str> {
        match self {
            Self::ReplicaSet { name, deployment } => deployment.as_ref().unwrap_or(name),
            Self::Job { name, cron_job } => cron_job.as_ref().unwrap_or(name),
            Self::ReplicationController(name) | Self::StatefulSet(name) | Self::DaemonSet(name) => {
                name
            }
        }
    }

    /// `k8s.deployment.name` and its like.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'static str, AttributeValue)> {
        let (own, made_by) = match self {
            Self::ReplicaSet { name, deployment } => (
                ("k8s.replicaset.name", name),
                deployment.as_ref().map(|it| ("k8s.deployment.name", it)),
            ),
            Self::Job { name, cron_job } => (
                ("k8s.job.name", name),
                cron_job.as_ref().map(|it| ("k8s.cronjob.name", it)),
            ),
            Self::ReplicationController(name) => (("k8s.replicationcontroller.name", name), None),
            Self::StatefulSet(name) => (("k8s.statefulset.name", name), None),
            Self::DaemonSet(name) => (("k8s.daemonset.name", name), None),
        };
        std::iter::once(own)
            .chain(made_by)
            .map(|(key, name)| (key, Arc::clone(name).into()))
    }
}

/// The `CronJob` that made a job.
pub(super) fn cron_job(job: &ObjectMeta) -> Option<Arc<str>> {
    let owner = controller(job)?;
    let is_cron_job = owner.kind == "CronJob" && owner.api_version.starts_with("batch/");
    is_cron_job.then(|| owner.name.as_str().into())
}

/// The owner that manages the object; at most one does.
fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    let owners = metadata.owner_references.as_ref()?;
    owners.iter().find(|owner| owner.controller == Some(true))
}

fn deployment(metadata: &ObjectMeta, replica_set: &str) -> Option<Arc<str>> {
    let hash = metadata.labels.as_ref()?.get(TEMPLATE_HASH)?;
    let name = replica_set.strip_suffix(hash.as_str())?.strip_suffix('-')?;
    (!name.is_empty() && !hash.is_empty()).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(api_version: &str, kind: &str, name: &str, hash: Option<&str>) -> ObjectMeta {
        let owner = |controller, kind: &str, name: &str| OwnerReference {
            api_version: api_version.to_owned(),
            controller,
            kind: kind.to_owned(),
            name: name.to_owned(),
            ..OwnerReference::default()
        };
        ObjectMeta {
            labels: hash.map(|hash| [(TEMPLATE_HASH.to_owned(), hash.to_owned())].into()),
            owner_references: Some(vec![
                owner(None, "DaemonSet", "not-this-one"),
                owner(Some(true), kind, name),
            ]),
            ..ObjectMeta::default()
        }
    }

    /// API version, kind, name and template hash of the owner; name of the service; attributes.
    type Row = (
        &'static str,
        &'static str,
        &'static str,
        Option<&'static str>,
        Option<&'static str>,
        &'static [(&'static str, &'static str)],
    );

    #[rustfmt::skip]
    const ROWS: &[Row] = &[
        ("apps/v1", "ReplicaSet", "web-5d4f8c7b9", Some("5d4f8c7b9"), Some("web"),
            &[("k8s.replicaset.name", "web-5d4f8c7b9"), ("k8s.deployment.name", "web")]),
        // By itself, or of something else than a Deployment.
        ("apps/v1", "ReplicaSet", "web-5d4f8c7b9", None, Some("web-5d4f8c7b9"),
            &[("k8s.replicaset.name", "web-5d4f8c7b9")]),
        ("apps/v1", "ReplicaSet", "web", Some("5d4f"), Some("web"), &[("k8s.replicaset.name", "web")]),
        ("apps/v1", "ReplicaSet", "-5d4f", Some("5d4f"), Some("-5d4f"), &[("k8s.replicaset.name", "-5d4f")]),
        ("apps/v1", "StatefulSet", "db", None, Some("db"), &[("k8s.statefulset.name", "db")]),
        ("apps/v1", "DaemonSet", "proxy", None, Some("proxy"), &[("k8s.daemonset.name", "proxy")]),
        ("batch/v1", "Job", "backup-29012345", None, Some("backup-29012345"), &[("k8s.job.name", "backup-29012345")]),
        ("v1", "ReplicationController", "old", None, Some("old"), &[("k8s.replicationcontroller.name", "old")]),
        ("v1", "Node", "node-1", None, None, &[]),
        ("argoproj.io/v1alpha1", "ReplicaSet", "other", None, None, &[]),
    ];

    #[test]
    fn every_controller_is_known() {
        for (version, kind, name, hash, service, attributes) in ROWS {
            let workload = Workload::of(&owned(version, kind, name, *hash));
            let found = workload.as_ref().map(|it| it.name().to_string());
            assert_eq!(found.as_deref(), *service, "{kind} {name}");
            let found: Vec<_> = workload.iter().flat_map(Workload::attributes).collect();
            let expected: Vec<(_, AttributeValue)> = attributes
                .iter()
                .map(|(key, value)| (*key, (*value).into()))
                .collect();
            assert_eq!(found, expected, "{kind} {name}");
        }
        assert_eq!(Workload::of(&ObjectMeta::default()), None);
    }

    #[test]
    fn a_job_tells_its_cron_job() {
        let job = owned("batch/v1", "CronJob", "backup", None);
        assert_eq!(cron_job(&job).as_deref(), Some("backup"));
        assert_eq!(cron_job(&owned("x/v1", "CronJob", "backup", None)), None);
        assert_eq!(cron_job(&ObjectMeta::default()), None);
    }
}
