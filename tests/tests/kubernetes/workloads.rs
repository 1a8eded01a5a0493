//! Services of every kind of workload.

use sonde_tests::kubernetes::{
    Asked, Fault,
    manifest::{Pod, job, uid},
};

use crate::scene::{Scene, cgroup, get, id};

/// The attributes of a service whose process is in the container of the only pod.
fn described(pod: Pod, expected: &[(&str, Option<&str>)]) {
    let mut scene = Scene::begin(|api| {
        api.add_job(job("backup-29012345", "backup"));
        api.apply(pod.running("containerd", &id(1)).json());
    });
    scene.process(10, &cgroup(&uid(1), &id(1)));
    scene.until_pods(1);
    let owner = scene.owner(10);
    for (name, value) in expected {
        assert_eq!(get(&owner, name).as_deref(), *value, "{name} of {owner:#?}");
    }
    let everything = format!("{:?}{:?}", scene.processes, scene.updates);
    assert!(!everything.contains("hunter2") && !everything.contains("PASSWORD"));
}

#[test]
fn a_deployment_names_the_services_of_its_pods() {
    described(
        Pod::new(1, "cart-5d4f8c7b9-x2x9k").of_deployment("cart"),
        &[
            ("service.name", Some("cart")),
            ("service.namespace", Some("shop")),
            ("service.version", Some("1.4")),
            ("service.instance.id", Some("shop.cart-5d4f8c7b9-x2x9k.web")),
            ("k8s.deployment.name", Some("cart")),
            ("k8s.replicaset.name", Some("cart-5d4f8c7b9")),
            ("k8s.pod.name", Some("cart-5d4f8c7b9-x2x9k")),
            ("k8s.pod.uid", Some("00000001-b29f-41e7-9350-020968147796")),
            ("k8s.namespace.name", Some("shop")),
            ("k8s.node.name", Some("node-1")),
            ("k8s.container.name", Some("web")),
            ("k8s.container.restart_count", Some("0")),
            ("container.image.name", Some("registry.example/shop/web")),
            ("container.image.tags", Some("1.4")),
        ],
    );
}

#[test]
fn so_do_stateful_sets_and_daemon_sets() {
    described(
        Pod::new(1, "db-0").owned("apps/v1", "StatefulSet", "db"),
        &[
            ("service.name", Some("db")),
            ("k8s.statefulset.name", Some("db")),
            ("k8s.deployment.name", None),
        ],
    );
    described(
        Pod::new(1, "proxy-x7k2d").owned("apps/v1", "DaemonSet", "proxy"),
        &[
            ("service.name", Some("proxy")),
            ("k8s.daemonset.name", Some("proxy")),
        ],
    );
}

#[test]
fn labels_go_before_workloads_and_annotations_before_labels() {
    let labelled = |pod: Pod| pod.label("app.kubernetes.io/name", "labelled");
    let pod = || labelled(Pod::new(1, "cart-5d4f8c7b9-x2x9k").of_deployment("cart"));
    described(pod(), &[("service.name", Some("labelled"))]);
    described(
        pod().label("app.kubernetes.io/instance", "instance"),
        &[("service.name", Some("instance"))],
    );
    described(
        pod()
            .annotation("resource.opentelemetry.io/service.name", "annotated")
            .annotation("resource.opentelemetry.io/team", "blue"),
        &[("service.name", Some("annotated")), ("team", Some("blue"))],
    );
}

#[test]
fn a_cron_job_names_the_services_of_its_jobs_pods() {
    described(
        Pod::new(1, "backup-29012345-8x2vf").owned("batch/v1", "Job", "backup-29012345"),
        &[
            ("service.name", Some("backup")),
            ("k8s.cronjob.name", Some("backup")),
            ("k8s.job.name", Some("backup-29012345")),
        ],
    );
    // By itself, or gone already.
    described(
        Pod::new(1, "import-8x2vf").owned("batch/v1", "Job", "import"),
        &[
            ("service.name", Some("import")),
            ("k8s.job.name", Some("import")),
            ("k8s.cronjob.name", None),
        ],
    );
}

#[test]
fn a_job_is_asked_for_once() {
    let mut scene = Scene::begin(|api| {
        api.add_job(job("backup-29012345", "backup"));
        for number in 0..5 {
            let pod = Pod::new(number, &format!("backup-29012345-{number}"));
            api.apply(pod.owned("batch/v1", "Job", "backup-29012345").json());
        }
    });
    scene.until_pods(5);
    assert_eq!(scene.api.asked(Asked::Job).len(), 1);
}

#[test]
fn without_the_role_to_read_jobs_a_pod_stays_one_of_its_job() {
    let backup = |number: u32| {
        let pod = Pod::new(number, "backup-29012345-8x2vf");
        let name = format!("backup-{number}");
        pod.owned("batch/v1", "Job", &name)
            .running("containerd", &id(number))
            .json()
    };
    let mut scene = Scene::begin(|api| {
        api.fail(Asked::Job, Fault::Status(403, 0));
        api.apply(backup(1));
        api.apply(backup(2));
    });
    scene.process(10, &cgroup(&uid(1), &id(1)));
    scene.until_pods(2);
    assert_eq!(
        get(&scene.owner(10), "service.name").as_deref(),
        Some("backup-1")
    );
    assert_eq!(
        scene.api.asked(Asked::Job).len(),
        1,
        "not asked again for a while"
    );
    scene.until_up();
}

#[test]
fn a_job_that_cannot_be_read_for_the_moment_is_asked_for_again() {
    let mut scene = Scene::begin(|api| {
        api.add_job(job("backup-29012345", "backup"));
        api.fail(Asked::Job, Fault::Status(500, 0));
    });
    scene.until_up();
    let pod = Pod::new(1, "backup-29012345-8x2vf").owned("batch/v1", "Job", "backup-29012345");
    scene.api.apply(pod.running("containerd", &id(1)).json());
    scene.process(10, &cgroup(&uid(1), &id(1)));
    scene.until_pods(1);
    assert_eq!(
        get(&scene.owner(10), "service.name").as_deref(),
        Some("backup")
    );
    assert_eq!((scene.failures("server_error"), scene.lists()), (1, 1));
}

#[test]
fn a_static_pod_is_known_by_the_hash_in_its_cgroup() {
    let hash = "0123456789abcdef0123456789abcdef";
    let mut scene = Scene::begin(|api| {
        let pod = Pod::new(1, "etcd-node-1").mirrored(hash);
        api.apply(pod.running("containerd", &id(1)).json());
    });
    scene.process(10, &cgroup(hash, &id(1)));
    scene.until_pods(1);
    let owner = scene.owner(10);
    assert_eq!(get(&owner, "service.name").as_deref(), Some("etcd-node-1"));
    assert_eq!(get(&owner, "k8s.pod.uid").as_deref(), Some(&*uid(1)));
}

#[test]
fn init_and_ephemeral_containers_of_every_runtime_are_known() {
    for runtime in ["containerd", "cri-o", "docker"] {
        for (kind, name) in [
            ("initContainers", "migrate"),
            ("ephemeralContainers", "debugger"),
        ] {
            let mut scene = Scene::begin(|api| {
                let pod = Pod::new(1, "cart-5d4f8c7b9-x2x9k").of_deployment("cart");
                let pod = pod.running(runtime, &id(1));
                api.apply(pod.beside(kind, name, runtime, &id(2)).json());
            });
            scene.process(10, &cgroup(&uid(1), &id(1)));
            scene.process(20, &cgroup(&uid(1), &id(2)));
            scene.until_pods(1);
            for (tgid, container) in [(10, "web"), (20, name)] {
                let owner = scene.owner(tgid);
                assert_eq!(get(&owner, "service.name").as_deref(), Some("cart"));
                assert_eq!(
                    get(&owner, "k8s.container.name").as_deref(),
                    Some(container)
                );
            }
        }
    }
}
