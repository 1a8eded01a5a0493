//! Services in pods, known from the start or only later.

use serde_json::{Value, json};

use super::*;
use crate::enrich::kubernetes::{
    Update,
    pod::tests::{deployment_pod, pod},
};

const UID: &str = "2c48913c-b29f-11e7-9350-020968147796";

fn cgroup(id: &str) -> String {
    format!(
        "0::/kubepods.slice/kubepods-pod{}.slice/cri-containerd-{id}.scope\n",
        UID.replace('-', "_")
    )
}

fn add(host: &Host, tgid: u32, id: &str, comm: &str, environ: &[u8]) {
    host.add(
        tgid,
        &Entry {
            comm,
            cgroup: &cgroup(id),
            environ,
            args: format!("/bin/{comm}\0").as_bytes(),
            ..PLAIN
        },
    );
}

fn told(object: &Value) -> Update {
    Update::Applied(Arc::new(pod(object).unwrap()))
}

fn identity(resource: &Resource) -> Vec<(&'static str, String)> {
    let pairs = resource.identity.iter();
    pairs
        .map(|(key, value)| (*key, value.to_string()))
        .collect()
}

/// Labels of the fixture's container, whose service is called so.
fn of_cart(name: &str) -> Vec<(&'static str, String)> {
    [
        ("container.name", "web"),
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.name", "cart-5d4f8c7b9-x2x9k"),
        ("service.name", name),
        ("service.namespace", "shop"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .to_vec()
}

#[test]
fn a_pod_that_is_known_names_its_services() {
    let host = Host::new();
    add(&host, 10, ID, "server", b"");
    let mut table = host.table(Limits::default());
    table.pods(told(&deployment_pod()));
    let owner = table.owner(10);
    assert_eq!(identity(&owner), of_cart("cart"));
    for (name, value) in [
        ("container.id", ID),
        ("container.runtime.name", "containerd"),
        ("k8s.container.name", "web"),
        ("k8s.deployment.name", "cart"),
        ("k8s.node.name", "node-1"),
        ("k8s.pod.uid", UID),
        ("service.instance.id", "shop.cart-5d4f8c7b9-x2x9k.web"),
        ("service.version", "1.4"),
    ] {
        assert_eq!(get(&owner, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(table.renew(SECOND), []);
}

#[test]
fn the_environment_goes_before_annotations_and_these_before_labels() {
    let host = Host::new();
    let declared = b"OTEL_SERVICE_NAME=env\0OTEL_RESOURCE_ATTRIBUTES=service.version=e1\0";
    add(&host, 10, ID, "server", declared);
    add(&host, 11, ID, "server", b"");
    let mut object = deployment_pod();
    let annotation = |name| format!("resource.opentelemetry.io/{name}");
    object["metadata"]["annotations"] = json!({
        annotation("service.name"): "annotated", annotation("service.namespace"): "ns",
        annotation("service.version"): "a1", annotation("service.instance.id"): "i1",
        annotation("team"): "blue"
    });
    object["metadata"]["labels"]["app.kubernetes.io/name"] = json!("label");
    let mut table = host.table(Limits::default());
    table.pods(told(&object));
    for (tgid, name, version) in [(10, "env", "e1"), (11, "annotated", "a1")] {
        let owner = table.owner(tgid);
        assert_eq!(service(&owner), name);
        assert_eq!(get(&owner, "service.version").as_deref(), Some(version));
        assert_eq!(get(&owner, "service.namespace").as_deref(), Some("ns"));
        assert_eq!(get(&owner, "service.instance.id").as_deref(), Some("i1"));
        assert_eq!(get(&owner, "team").as_deref(), Some("blue"));
    }
}

#[test]
fn a_pod_that_becomes_known_later_renames_its_service() {
    let host = Host::new();
    add(&host, 10, ID, "server", b"");
    let mut table = host.table(Limits::default());
    let old = table.owner(10);
    assert_eq!(service(&old), "server");
    assert_eq!(get(&old, "container.id").as_deref(), Some(ID));
    table.pods(told(&deployment_pod()));
    assert!(
        Arc::ptr_eq(&old, &table.owner(10)),
        "nothing has been asked"
    );
    let renewed = table.renew(SECOND);
    let [renewed] = renewed.as_slice() else {
        panic!("{renewed:?}");
    };
    assert!(renewed.is_renamed() && !renewed.merges);
    assert!(Arc::ptr_eq(&renewed.old, &old));
    let new = table.owner(10);
    assert!(Arc::ptr_eq(&renewed.new, &new));
    assert_eq!(identity(&new), of_cart("cart"));
    assert_eq!(get(&new, "process.pid").as_deref(), Some("10"));
    assert_eq!(table.counters().instances, 1);
    // Told once more, nothing changes.
    table.pods(told(&deployment_pod()));
    assert_eq!(table.renew(2 * SECOND), []);
}

#[test]
fn services_that_turn_out_to_be_one_become_one() {
    let host = Host::new();
    for (tgid, comm) in [(10, "server"), (11, "helper"), (12, "helper")] {
        add(&host, tgid, ID, comm, b"");
    }
    let mut table = host.table(Limits::default());
    let old = [10, 11].map(|tgid| table.owner(tgid));
    assert!(Arc::ptr_eq(&old[1], &table.owner(12)));
    table.exit(&exit(12, 500, SECOND));
    table.pods(told(&deployment_pod()));
    let renewed = table.renew(2 * SECOND);
    assert_eq!(renewed.len(), 2);
    assert_eq!(renewed.iter().filter(|one| one.merges).count(), 1);
    let new = table.owner(10);
    for tgid in [11, 12] {
        assert!(Arc::ptr_eq(&new, &table.owner(tgid)), "{tgid}");
    }
    assert_eq!(table.counters().instances, 1);
    // The one that is left describes the service; the exited one's data follows.
    table.exit(&exit(10, 500, 10 * SECOND));
    assert_eq!(table.renew(11 * SECOND).len(), 1);
    let after = table.owner(11);
    assert_eq!(get(&after, "process.pid").as_deref(), Some("11"));
    assert!(Arc::ptr_eq(&after, &table.owner(12)));
    // Nothing is left of any when all are gone.
    table.exit(&exit(11, 500, 12 * SECOND));
    drop((old, new, after, renewed));
    table.expire(500 * SECOND);
    assert_eq!(table.counters().instances, 0);
    assert_eq!(table.counters().exited, 0);
}

#[test]
fn a_container_that_is_made_anew_goes_on_with_its_series() {
    let host = Host::new();
    let other = ID.replace('3', "4");
    let mut object = deployment_pod();
    add(&host, 10, ID, "server", b"");
    let mut table = host.table(Limits::default());
    table.pods(told(&object));
    let first = table.owner(10);
    host.remove(10);
    table.exit(&exit(10, 500, SECOND));
    // Its process is there before the API tells of the container's new id.
    add(&host, 20, &other, "server", b"");
    let early = table.owner(20);
    assert_eq!(service(&early), "cart");
    assert_eq!(get(&early, "container.name"), None);
    object["status"]["containerStatuses"][0]["containerID"] =
        json!(format!("containerd://{other}"));
    object["status"]["containerStatuses"][0]["restartCount"] = json!(3);
    table.pods(told(&object));
    let renewed = table.renew(20 * SECOND);
    assert!(renewed.iter().any(|one| one.merges), "{renewed:?}");
    let second = table.owner(20);
    assert_eq!(second.identity, first.identity);
    assert_eq!(get(&second, "container.id").as_deref(), Some(&*other));
    assert_eq!(
        get(&second, "k8s.container.restart_count").as_deref(),
        Some("3")
    );
    assert_eq!(get(&second, "process.pid").as_deref(), Some("20"));
}

#[test]
fn a_pod_that_is_gone_still_describes_what_it_was() {
    let host = Host::new();
    add(&host, 10, ID, "server", b"");
    let mut table = host.table(Limits::default());
    table.pods(told(&deployment_pod()));
    let owner = table.owner(10);
    table.pods(Update::Deleted(UID.into()));
    assert_eq!(table.renew(SECOND), []);
    assert!(Arc::ptr_eq(&owner, &table.owner(10)));
}

#[test]
fn without_the_api_the_runtimes_files_tell_the_pod() {
    let host = Host::new();
    add(&host, 10, ID, "server", b"");
    let bundle = host.root().rootfs.join(format!(
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}"
    ));
    fs::create_dir_all(&bundle).unwrap();
    let annotations = r#"{"annotations":{"io.kubernetes.cri.container-name":"web",
        "io.kubernetes.cri.sandbox-name":"cart-5d4f8c7b9-x2x9k",
        "io.kubernetes.cri.sandbox-namespace":"shop"}}"#;
    fs::write(bundle.join("config.json"), annotations).unwrap();
    let mut table = host.table(Limits::default());
    let owner = table.owner(10);
    assert_eq!(identity(&owner), of_cart("web"));
    assert_eq!(
        get(&owner, "service.instance.id").as_deref(),
        Some("shop.cart-5d4f8c7b9-x2x9k.web")
    );
    table.pods(told(&deployment_pod()));
    assert_eq!(table.renew(SECOND).len(), 1);
    assert_eq!(identity(&table.owner(10)), of_cart("cart"));
}
