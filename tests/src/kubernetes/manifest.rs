//! Objects as a cluster's API server gives them, with much that nobody needs.

use serde_json::{Value, json};

/// The node that they run on.
pub const NODE: &str = "node-1";

/// A pod in the making.
#[derive(Clone, Debug)]
pub struct Pod(Value);

impl Pod {
    /// A running pod of one container `web`, made by nobody. The number is in its uid.
    #[must_use]
    pub fn new(number: u32, name: &str) -> Self {
        let uid = uid(number);
        Self(json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {
                "name": name, "namespace": "shop", "uid": uid,
                "creationTimestamp": "2026-11-20T08:00:00Z",
                "labels": {"app": "any"},
                "annotations": {"kubernetes.io/config.seen": "2026-11-20T08:00:00Z"},
                "managedFields": [{
                    "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1",
                    "time": "2026-11-20T08:00:00Z", "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}}
                }]
            },
            "spec": {
                "volumes": [{"name": "kube-api-access-7x2k9", "projected": {"sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
                ], "defaultMode": 420}}],
                "containers": [{
                    "name": "web", "image": "registry.example/shop/web:1.4",
                    "env": [{"name": "DATABASE_PASSWORD", "value": "hunter2"}],
                    "resources": {"limits": {"memory": "128Mi"}, "requests": {"cpu": "50m"}},
                    "terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent"
                }],
                "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
                "dnsPolicy": "ClusterFirst", "serviceAccountName": "default", "nodeName": NODE,
                "securityContext": {}, "schedulerName": "default-scheduler",
                "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists",
                    "effect": "NoExecute", "tolerationSeconds": 300}],
                "priority": 0, "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority"
            },
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": null,
                    "lastTransitionTime": "2026-11-20T08:00:05Z"}],
                "hostIP": "10.0.0.4", "podIP": "10.244.1.7", "podIPs": [{"ip": "10.244.1.7"}],
                "startTime": "2026-11-20T08:00:00Z", "qosClass": "Burstable"
            }
        }))
    }

    /// With its container's status: `runtime` is `containerd`, `cri-o` or `docker`.
    #[must_use]
    pub fn running(self, runtime: &str, id: &str) -> Self {
        self.status("containerStatuses", "web", runtime, id)
    }

    /// With another container, which ran before or was added: `initContainers` or
    /// `ephemeralContainers`.
    #[must_use]
    pub fn beside(mut self, kind: &str, name: &str, runtime: &str, id: &str) -> Self {
        self.0["spec"][kind] = json!([{"name": name, "image": "busybox:1.37"}]);
        let status = kind.trim_end_matches('s').to_owned() + "Statuses";
        self.status(&status, name, runtime, id)
    }

    fn status(mut self, kind: &str, name: &str, runtime: &str, id: &str) -> Self {
        self.0["status"][kind] = json!([{
            "name": name, "ready": true, "started": true, "restartCount": 0, "lastState": {},
            "image": "registry.example/shop/web:1.4",
            "imageID": "registry.example/shop/web@sha256:7cc4b5aefd1d0cadf8d97d4350462ba51c694ebca145b08d7d41b41acc8db5aa",
            "containerID": format!("{runtime}://{id}"),
            "state": {"running": {"startedAt": "2026-11-20T08:00:04Z"}}
        }]);
        self
    }

    /// Made by a controller.
    #[must_use]
    pub fn owned(mut self, api_version: &str, kind: &str, name: &str) -> Self {
        self.0["metadata"]["ownerReferences"] = json!([{
            "apiVersion": api_version, "kind": kind, "name": name,
            "uid": "9f8e7d6c-0000-4000-8000-000000000001",
            "controller": true, "blockOwnerDeletion": true
        }]);
        self
    }

    /// Of a Deployment: the name of its `ReplicaSet` ends in the hash that is in its labels.
    #[must_use]
    pub fn of_deployment(self, name: &str) -> Self {
        let hash = "5d4f8c7b9";
        let set = format!("{name}-{hash}");
        self.owned("apps/v1", "ReplicaSet", &set)
            .label("pod-template-hash", hash)
    }

    /// The mirror of a static pod, whose cgroup is called after `hash`.
    #[must_use]
    pub fn mirrored(self, hash: &str) -> Self {
        let mut pod = self.owned("v1", "Node", NODE);
        pod.0["metadata"]["annotations"] = json!({
            "kubernetes.io/config.hash": hash, "kubernetes.io/config.mirror": hash,
            "kubernetes.io/config.seen": "2026-11-20T08:00:00Z",
            "kubernetes.io/config.source": "file"
        });
        pod
    }

    /// With a label.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][name] = json!(value);
        self
    }

    /// With an annotation.
    #[must_use]
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][name] = json!(value);
        self
    }

    /// On another node.
    #[must_use]
    pub fn on(mut self, node: &str) -> Self {
        self.0["spec"]["nodeName"] = json!(node);
        self
    }

    /// In another phase of its life.
    #[must_use]
    pub fn phase(mut self, phase: &str) -> Self {
        self.0["status"]["phase"] = json!(phase);
        self
    }

    /// The object.
    #[must_use]
    pub fn json(self) -> Value {
        self.0
    }
}

/// The uid of the pod with this number.
#[must_use]
pub fn uid(number: u32) -> String {
    format!("{number:08x}-b29f-41e7-9350-020968147796")
}

/// A Job that a `CronJob` made.
#[must_use]
pub fn job(name: &str, cron_job: &str) -> Value {
    json!({
        "kind": "Job", "apiVersion": "batch/v1",
        "metadata": {
            "name": name, "namespace": "shop", "uid": "9f8e7d6c-0000-4000-8000-000000000002",
            "resourceVersion": "900", "generation": 1, "creationTimestamp": "2026-11-20T08:00:00Z",
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": cron_job,
                "uid": "9f8e7d6c-0000-4000-8000-000000000003",
                "controller": true, "blockOwnerDeletion": true}]
        },
        "spec": {"parallelism": 1, "completions": 1}, "status": {"active": 1}
    })
}
