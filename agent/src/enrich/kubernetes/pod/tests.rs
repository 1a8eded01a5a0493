//! What is kept of the manifests that a cluster gives.

use serde_json::{Value, json};

use super::*;

pub(in crate::enrich) const ID: &str =
    "3f4d2b1a9c8e7f605142332415061728394a5b6c7d8e9f00112233445566778f";

/// A pod of a Deployment as the API server tells it, with what isn't kept.
pub(in crate::enrich) fn deployment_pod() -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": "cart-5d4f8c7b9-x2x9k", "generateName": "cart-5d4f8c7b9-", "namespace": "shop",
            "uid": "2c48913c-b29f-11e7-9350-020968147796", "resourceVersion": "4711",
            "creationTimestamp": "2026-11-20T08:00:00Z",
            "labels": {"app": "cart", "pod-template-hash": "5d4f8c7b9"},
            "annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-20T08:00:00Z"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-5d4f8c7b9",
                "uid": "9f8e7d6c-0000-4000-8000-000000000001",
                "controller": true, "blockOwnerDeletion": true
            }],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "apiVersion": "v1",
                "time": "2026-11-20T08:00:05Z", "fieldsType": "FieldsV1", "fieldsV1": {}}]
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{
                "name": "web", "image": "registry.example:5000/shop/cart:1.4",
                "env": [{"name": "TOKEN", "value": "hunter2"}],
                "volumeMounts": [{"name": "secret-volume", "mountPath": "/secret"}]
            }],
            "initContainers": [{"name": "migrate", "image": "registry.example:5000/shop/cart:1.4"}],
            "ephemeralContainers": [{"name": "debugger-7x2", "image": "busybox"}]
        },
        "status": {
            "phase": "Running", "podIP": "10.1.0.7",
            "containerStatuses": [{
                "name": "web", "ready": true, "restartCount": 2, "started": true,
                "image": "registry.example:5000/shop/cart:1.4",
                "imageID": "registry.example:5000/shop/cart@sha256:00",
                "containerID": format!("containerd://{ID}"),
                "state": {"running": {"startedAt": "2026-11-20T08:00:05Z"}}
            }],
            "initContainerStatuses": [{
                "name": "migrate", "restartCount": 0, "containerID": "containerd://aa",
                "state": {"terminated": {"exitCode": 0}}
            }],
            "ephemeralContainerStatuses": [{"name": "debugger-7x2", "containerID": "cri-o://bb"}]
        }
    })
}

pub(in crate::enrich) fn pod(object: &Value) -> Option<Pod> {
    Pod::of(&serde_json::from_value(object.clone()).unwrap())
}

fn with(path: &str, value: Value) -> Value {
    let mut object = deployment_pod();
    *object.pointer_mut(path).unwrap() = value;
    object
}

fn get(member: &Membership, name: &str) -> Option<String> {
    let attributes = member.attributes();
    let found = attributes.iter().rfind(|(key, _)| *key == name);
    found.map(|(_, value)| value.to_string())
}

fn member(object: &Value, id: &str) -> Membership {
    let pod = Arc::new(pod(object).unwrap());
    let container = pod.container(Some(id), None);
    Membership { pod, container }
}

#[test]
fn a_pod_of_a_deployment_is_known_with_its_containers() {
    let object = deployment_pod();
    let web = member(&object, ID);
    assert_eq!(&**web.pod.service_name(), "cart");
    assert_eq!(web.container().map(|name| &**name), Some("web"));
    assert_eq!(web.version().as_deref(), Some("1.4"));
    for (name, value) in [
        ("k8s.pod.uid", "2c48913c-b29f-11e7-9350-020968147796"),
        ("k8s.node.name", "node-1"),
        ("k8s.deployment.name", "cart"),
        ("k8s.replicaset.name", "cart-5d4f8c7b9"),
        ("k8s.container.restart_count", "2"),
        ("container.image.name", "registry.example:5000/shop/cart"),
        ("container.image.tags", "1.4"),
    ] {
        assert_eq!(get(&web, name).as_deref(), Some(value), "{name}");
    }
    for (id, name) in [("aa", "migrate"), ("bb", "debugger-7x2")] {
        assert_eq!(member(&object, id).container().map(|it| &**it), Some(name));
    }
    assert_eq!(
        member(&object, "cc").container(),
        None,
        "the pause container"
    );
}

#[test]
fn nothing_else_of_a_manifest_is_kept() {
    let kept = format!("{:?}", pod(&deployment_pod()).unwrap());
    for secret in ["hunter2", "TOKEN", "secret-volume", "restartedAt"] {
        assert!(!kept.contains(secret), "{secret} in {kept}");
    }
}

#[test]
fn the_name_is_a_label_before_the_workload_before_the_pod() {
    let name = |object: &Value| pod(object).unwrap().service_name().to_string();
    let labels = json!({"app.kubernetes.io/name": "n", "app.kubernetes.io/instance": "i"});
    let object = with("/metadata/labels", labels);
    assert_eq!(name(&object), "i");
    let object = with("/metadata/labels", json!({"app.kubernetes.io/name": "n"}));
    assert_eq!(name(&object), "n");
    assert_eq!(name(&deployment_pod()), "cart");
    let object = with("/metadata/ownerReferences", json!([]));
    assert_eq!(name(&object), "cart-5d4f8c7b9-x2x9k");
}

#[test]
fn the_version_is_a_label_before_the_image() {
    let labels = json!({"app.kubernetes.io/version": "7"});
    let object = with("/metadata/labels", labels);
    assert_eq!(member(&object, ID).version().as_deref(), Some("7"));
    let object = with("/spec/containers/0/image", json!(format!("sha256:{ID}")));
    assert_eq!(member(&object, ID).version(), None);
}

#[test]
fn a_static_pod_has_its_cgroup_by_another_uid() {
    let hash = "0123456789abcdef0123456789abcdef";
    let annotations = json!({
        "kubernetes.io/config.hash": hash, "kubernetes.io/config.mirror": hash,
        "kubernetes.io/config.source": "file"
    });
    let pod = pod(&with("/metadata/annotations", annotations)).unwrap();
    assert_eq!(&*pod.cgroup_uid, hash);
    assert_ne!(pod.uid, pod.cgroup_uid);
}

#[test]
fn a_pod_that_has_ended_is_none() {
    for phase in ["Succeeded", "Failed"] {
        assert_eq!(pod(&with("/status/phase", json!(phase))), None);
    }
}

#[test]
fn a_pod_that_has_only_been_scheduled_is_known_without_containers_ids() {
    let mut object = with(
        "/status",
        json!({"phase": "Pending", "containerStatuses": null}),
    );
    object["spec"]["initContainers"] = Value::Null;
    let pod = pod(&object).unwrap();
    assert_eq!(pod.container_ids().count(), 0);
    assert_eq!(pod.container(None, Some("web")), Some(0));
}

#[test]
fn fault_28_a_pod_without_a_name_or_uid_is_none() {
    for path in ["/metadata/uid", "/metadata/name", "/metadata/namespace"] {
        for value in [Value::Null, json!(""), json!(" \n")] {
            assert_eq!(pod(&with(path, value)), None, "{path}");
        }
    }
    let many: Vec<_> = (0..1000)
        .map(|n| json!({"name": format!("c{n}")}))
        .collect();
    let pod = pod(&with("/spec/containers", json!(many))).unwrap();
    assert_eq!(pod.containers.len(), CONTAINERS);
}
