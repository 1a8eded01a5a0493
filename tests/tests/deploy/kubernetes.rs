//! The manifests, read as the types of the Kubernetes API.

use std::{fs, path::PathBuf};

use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{Container, Namespace, PodSpec, Service, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{deploy, read};

/// Reads a manifest; a field that the type doesn't have would be lost on the way back.
fn manifest<T: DeserializeOwned + Serialize>(file: &str) -> T {
    let text = read(&deploy("kubernetes").join(file));
    let written: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    let typed: T =
        serde_json::from_value(written.clone()).unwrap_or_else(|error| panic!("{file}: {error}"));
    let read_back = serde_json::to_value(&typed).expect("JSON");
    assert_eq!(
        written, read_back,
        "{file} has fields that the API doesn't know"
    );
    typed
}

fn pod(daemon_set: &DaemonSet) -> &PodSpec {
    let spec = daemon_set.spec.as_ref().expect("spec");
    spec.template.spec.as_ref().expect("spec of the pod")
}

fn agent(pod: &PodSpec) -> &Container {
    let [agent] = pod.containers.as_slice() else {
        panic!("one container, not {}", pod.containers.len());
    };
    agent
}

#[test]
fn manifests_fit_the_schema_and_belong_together() {
    let namespace: Namespace = manifest("namespace.yaml");
    let account: ServiceAccount = manifest("serviceaccount.yaml");
    let daemon_set: DaemonSet = manifest("daemonset.yaml");
    let service: Service = manifest("service.yaml");
    let name = namespace.metadata.name.as_deref();
    for metadata in [&account.metadata, &daemon_set.metadata, &service.metadata] {
        assert_eq!(metadata.namespace.as_deref(), name);
    }
    assert_eq!(pod(&daemon_set).service_account_name, account.metadata.name);
    // A selector that misses the template is refused, one that misses the pods finds nothing.
    let spec = daemon_set.spec.as_ref().expect("spec");
    let template = spec
        .template
        .metadata
        .as_ref()
        .expect("metadata of the pod");
    let labels = template.labels.as_ref().expect("labels of the pod");
    let selectors = [
        spec.selector
            .match_labels
            .as_ref()
            .expect("labels to match"),
        service
            .spec
            .as_ref()
            .and_then(|spec| spec.selector.as_ref())
            .expect("selector"),
    ];
    for (label, value) in selectors.into_iter().flatten() {
        assert_eq!(labels.get(label), Some(value));
    }
}

#[test]
fn the_agent_may_ask_for_what_it_asks_for_and_no_more() {
    let role: ClusterRole = manifest("clusterrole.yaml");
    let rules = role.rules.as_ref().expect("rules");
    let granted: Vec<_> = rules
        .iter()
        .map(|rule| {
            let all = |list: &Option<Vec<String>>| list.clone().unwrap_or_default().join(",");
            let verbs = rule.verbs.join(",");
            (all(&rule.api_groups), all(&rule.resources), verbs)
        })
        .collect();
    // As `enrich/kubernetes` asks: a list and a watch of pods, Jobs by name.
    let expected = [("", "pods", "list,watch"), ("batch", "jobs", "get")];
    let owned = |(group, resources, verbs): (&str, &str, &str)| {
        (group.to_owned(), resources.to_owned(), verbs.to_owned())
    };
    assert_eq!(granted, expected.map(owned));
    let binding: ClusterRoleBinding = manifest("clusterrolebinding.yaml");
    assert_eq!(Some(&binding.role_ref.name), role.metadata.name.as_ref());
    let account: ServiceAccount = manifest("serviceaccount.yaml");
    let subjects = binding.subjects.as_ref().expect("subjects");
    let [subject] = subjects.as_slice() else {
        panic!("one subject, not {}", subjects.len());
    };
    assert_eq!(Some(&subject.name), account.metadata.name.as_ref());
    assert_eq!(subject.namespace, account.metadata.namespace);
    let daemon_set: DaemonSet = manifest("daemonset.yaml");
    assert_eq!(pod(&daemon_set).automount_service_account_token, Some(true));
}

#[test]
fn the_agent_knows_its_node() {
    let daemon_set: DaemonSet = manifest("daemonset.yaml");
    let variables = agent(pod(&daemon_set)).env.as_ref().expect("variables");
    let setting = sonde::config::setting::find("kubernetes.node-name").expect("a setting");
    let variable = variables
        .iter()
        .find(|variable| Some(variable.name.as_str()) == setting.otel)
        .expect("the node's name");
    let source = variable.value_from.as_ref().expect("the downward API");
    let field = source.field_ref.as_ref().expect("a field");
    assert_eq!(field.field_path, "spec.nodeName");
}

#[test]
fn every_manifest_is_in_the_kustomization() {
    let text = read(&deploy("kubernetes/kustomization.yaml"));
    let kustomization: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    let resources = kustomization["resources"].as_array().expect("resources");
    let mut listed: Vec<PathBuf> = resources
        .iter()
        .map(|name| PathBuf::from(name.as_str().expect("a name")))
        .collect();
    let files = fs::read_dir(deploy("kubernetes")).expect("the folder");
    let mut present: Vec<PathBuf> = files
        .map(|file| PathBuf::from(file.expect("a file").file_name()))
        .filter(|name| name.as_os_str() != "kustomization.yaml")
        .collect();
    listed.sort();
    present.sort();
    assert_eq!(listed, present);
}

#[test]
fn the_agent_sees_the_host() {
    let daemon_set: DaemonSet = manifest("daemonset.yaml");
    let pod = pod(&daemon_set);
    let agent = agent(pod);
    assert_eq!(pod.host_pid, Some(true));
    let context = agent.security_context.as_ref().expect("security context");
    assert_eq!(context.privileged, Some(true));
    let mounts = agent.volume_mounts.as_ref().expect("mounts");
    let volumes = pod.volumes.as_ref().expect("volumes");
    let arguments = agent.args.as_ref().expect("arguments");
    for (flag, host) in [("procfs", "/proc"), ("sysfs", "/sys"), ("rootfs", "/")] {
        let flag = format!("--path.{flag}=");
        let path = arguments
            .iter()
            .find_map(|argument| argument.strip_prefix(&flag));
        let path = path.unwrap_or_else(|| panic!("no {flag}"));
        let mount = mounts
            .iter()
            .find(|mount| mount.mount_path == path)
            .expect("a mount");
        assert_eq!(mount.read_only, Some(true), "{path}");
        let volume = volumes
            .iter()
            .find(|volume| volume.name == mount.name)
            .expect("a volume");
        let source = volume.host_path.as_ref().expect("a path of the host");
        assert_eq!(source.path, host);
        if host != "/proc" {
            // So that what is mounted on the host later is seen.
            assert_eq!(
                mount.mount_propagation.as_deref(),
                Some("HostToContainer"),
                "{path}"
            );
        }
    }
    assert_eq!(mounts.len(), volumes.len());
}

#[test]
fn the_agent_runs_on_every_node() {
    let daemon_set: DaemonSet = manifest("daemonset.yaml");
    let tolerations = pod(&daemon_set).tolerations.as_ref().expect("tolerations");
    let any = tolerations.iter().any(|toleration| {
        toleration.operator.as_deref() == Some("Exists")
            && toleration.key.is_none()
            && toleration.effect.is_none()
    });
    assert!(any, "every taint is tolerated");
}

#[test]
fn probes_and_scrapes_reach_the_listener() {
    let daemon_set: DaemonSet = manifest("daemonset.yaml");
    let agent = agent(pod(&daemon_set));
    let arguments = agent.args.as_ref().expect("arguments");
    let address = arguments
        .iter()
        .find_map(|one| one.strip_prefix("--web.listen-address="));
    let port = address
        .and_then(|address| address.strip_prefix("0.0.0.0:"))
        .expect("an address");
    let ports = agent.ports.as_ref().expect("ports");
    assert_eq!(ports[0].container_port.to_string(), port);
    let name = ports[0].name.as_deref();
    for (probe, path) in [
        (&agent.liveness_probe, "/-/healthy"),
        (&agent.readiness_probe, "/-/ready"),
    ] {
        let request = probe
            .as_ref()
            .and_then(|probe| probe.http_get.as_ref())
            .expect("a probe");
        assert_eq!(request.path.as_deref(), Some(path));
        assert_eq!(Some(&request.port), name.map(named).as_ref());
    }
    let service: Service = manifest("service.yaml");
    let service = service
        .spec
        .and_then(|spec| spec.ports)
        .expect("ports of the service");
    assert_eq!(service[0].target_port, name.map(named));
    let template = daemon_set
        .spec
        .as_ref()
        .and_then(|spec| spec.template.metadata.as_ref());
    let annotations = template
        .and_then(|it| it.annotations.as_ref())
        .expect("annotations");
    assert_eq!(annotations["prometheus.io/port"], port);
    assert_eq!(annotations["prometheus.io/path"], "/metrics");
}

fn named(port: &str) -> k8s_openapi::apimachinery::pkg::util::intstr::IntOrString {
    k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::String(port.to_owned())
}

#[test]
fn the_agent_has_bounds_and_a_version() {
    let daemon_set: DaemonSet = manifest("daemonset.yaml");
    let agent = agent(pod(&daemon_set));
    let resources = agent.resources.as_ref().expect("resources");
    assert!(
        resources
            .requests
            .as_ref()
            .is_some_and(|some| some.contains_key("memory"))
    );
    assert!(
        resources
            .limits
            .as_ref()
            .is_some_and(|some| some.contains_key("memory"))
    );
    let image = agent.image.as_deref().expect("an image");
    let (_, tag) = image.rsplit_once(':').expect("a tag");
    assert_eq!(
        tag,
        env!("CARGO_PKG_VERSION"),
        "the version of this source tree"
    );
}
