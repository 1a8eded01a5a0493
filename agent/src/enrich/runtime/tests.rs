//! The files of each runtime.

use std::fs;

use super::*;
use crate::enrich::counter::Loss;

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
fn containerd_is_found_wherever_a_distribution_puts_it() {
    for state in [
        "run/k3s/containerd",
        "run/k0s/containerd",
        "var/snap/microk8s/common/run/containerd",
    ] {
        let path = format!("{state}/io.containerd.runtime.v2.task/k8s.io/ID/config.json");
        let content = r#"{"annotations":{"io.kubernetes.cri.container-name":"web"}}"#;
        let (names, _) = find(&path, content, Some(Runtime::Containerd));
        assert_eq!(names.k8s_container.as_deref(), Some("web"), "{state}");
    }
}

#[test]
fn nerdctl_names_its_containers_in_an_annotation() {
    let path = "run/containerd/io.containerd.runtime.v2.task/default/ID/config.json";
    let content = r#"{"annotations":{"nerdctl/name":"cache","nerdctl/namespace":"default"}}"#;
    let (names, _) = find(path, content, Some(Runtime::Containerd));
    assert_eq!(names.container.as_deref(), Some("cache"));
    assert_eq!(names.k8s_container, None);
}

#[test]
fn docker_tells_what_a_kubelet_asked_it_for() {
    let content = r#"{"Name":"/k8s_web_web-5d_shop_2c48913c-b29f-11e7-9350-020968147796_0",
        "Config":{"Labels":{"io.kubernetes.container.name":"web","io.kubernetes.pod.name":"web-5d",
        "io.kubernetes.pod.namespace":"shop"}}}"#;
    let path = "var/lib/docker/containers/ID/config.v2.json";
    for runtime in [Some(Runtime::Docker), None] {
        let (names, _) = find(path, content, runtime);
        assert_eq!(names.container.as_deref(), Some("web"));
        assert_eq!(names.k8s_container.as_deref(), Some("web"));
        assert_eq!(names.pod.as_deref(), Some("web-5d"));
        assert_eq!(names.namespace.as_deref(), Some("shop"));
    }
}

#[test]
fn dockers_data_may_be_elsewhere() {
    let rootless = "home/ann/.local/share/docker/containers/ID/config.v2.json";
    let (names, _) = find(rootless, r#"{"Name":"/web"}"#, Some(Runtime::Docker));
    assert_eq!(names.container.as_deref(), Some("web"));
    let rootfs = tempfile::tempdir().unwrap();
    let container = rootfs.path().join("data/docker/containers").join(ID);
    fs::create_dir_all(&container).unwrap();
    fs::write(container.join("config.v2.json"), r#"{"Name":"/web"}"#).unwrap();
    let configuration = rootfs.path().join("etc/docker");
    fs::create_dir_all(&configuration).unwrap();
    let daemon = configuration.join("daemon.json");
    for (content, found) in [
        (r#"{"data-root":"/data/docker","debug":true}"#, Some("web")),
        (r#"{"data-root":"data/docker"}"#, None),
        ("{", None),
    ] {
        fs::write(&daemon, content).unwrap();
        let container = Container {
            id: ID.into(),
            runtime: Some(Runtime::Docker),
        };
        let mut names = ContainerNames::new(rootfs.path());
        let names = names.find(&container, &mut Losses::default());
        assert_eq!(names.container.as_deref(), found, "{content}");
    }
}

#[test]
fn the_kubelets_links_to_logs_tell_what_no_runtime_does() {
    for runtime in [None, Some(Runtime::Containerd), Some(Runtime::CriO)] {
        let link = "var/log/containers/web-5d_shop_web-ID.log";
        let (names, losses) = find(link, "", runtime);
        assert_eq!(names.k8s_container.as_deref(), Some("web"));
        assert_eq!(names.pod.as_deref(), Some("web-5d"));
        assert_eq!(names.namespace.as_deref(), Some("shop"));
        assert_eq!(losses, Losses::default());
    }
}

#[test]
fn podman_lists_its_containers_per_storage() {
    for path in [
        "var/lib/containers/storage/overlay-containers/containers.json",
        "home/ann/.local/share/containers/storage/overlay-containers/containers.json",
        "home/ann/.local/share/containers/storage/vfs-containers/containers.json",
        "var/lib/containers/storage/overlay-containers/volatile-containers.json",
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
