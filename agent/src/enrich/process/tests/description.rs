//! What is told of a process and its service.

use std::os::unix::fs::symlink;

use super::*;

#[test]
fn a_process_from_before_the_agent_is_found_at_first_sight() {
    let host = Host::new();
    host.add(42, &PLAIN);
    let mut table = host.table(Limits::default());
    let owner = table.owner(42);
    assert_eq!(service(&owner), "server");
    assert_eq!(get(&owner, "process.pid").as_deref(), Some("42"));
    assert_eq!(
        get(&owner, "process.command").as_deref(),
        Some("/usr/bin/server")
    );
    assert_eq!(get(&owner, "host.name").as_deref(), Some("node"));
    assert_eq!(get(&owner, "service.instance.id").as_deref(), Some("node"));
    assert_eq!(
        owner.identity,
        Attributes::from([("service.name", "server".into())])
    );
    assert!(Arc::ptr_eq(&owner, &table.owner(42)));
}

#[test]
fn nothing_secret_is_kept() {
    let host = Host::new();
    let environ = b"OTEL_RESOURCE_ATTRIBUTES=service.namespace=shop,api.key=secret\0TOKEN=secret\0";
    host.add(42, &Entry { environ, ..PLAIN });
    let mut table = host.table(Limits::default());
    table.owner(42);
    let kept = format!("{table:?}");
    assert!(kept.contains("shop"));
    assert!(!kept.contains("secret") && !kept.contains("hunter2"));
}

#[test]
fn the_environment_declares_name_namespace_and_instance() {
    let host = Host::new();
    let environ = b"OTEL_SERVICE_NAME=cart\0OTEL_RESOURCE_ATTRIBUTES=service.namespace=shop,service.instance.id=c1,service.version=7,deployment.environment.name=prod\0";
    host.add(42, &Entry { environ, ..PLAIN });
    let owner = host.table(Limits::default()).owner(42);
    let expected = Attributes::from([
        ("service.name", "cart".into()),
        ("service.namespace", "shop".into()),
        ("service.instance.id", "c1".into()),
    ]);
    assert_eq!(owner.identity, expected);
    assert_eq!(get(&owner, "service.version").as_deref(), Some("7"));
    assert_eq!(
        get(&owner, "deployment.environment.name").as_deref(),
        Some("prod")
    );
}

#[test]
fn a_containers_processes_are_one_instance_with_its_name() {
    let host = Host::new();
    let cgroup = format!("0::/system.slice/docker-{ID}.scope\n");
    for tgid in [42, 43] {
        host.add(
            tgid,
            &Entry {
                cgroup: &cgroup,
                ..PLAIN
            },
        );
    }
    let config = host
        .root()
        .rootfs
        .join("var/lib/docker/containers")
        .join(ID);
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.v2.json"), r#"{"Name":"/shop-web-1"}"#).unwrap();
    let mut table = host.table(Limits::default());
    let owner = table.owner(42);
    assert_eq!(service(&owner), "shop-web-1");
    assert_eq!(get(&owner, "container.id").as_deref(), Some(ID));
    assert_eq!(
        get(&owner, "container.runtime.name").as_deref(),
        Some("docker")
    );
    assert_eq!(get(&owner, "service.instance.id").as_deref(), Some(ID));
    // By its name it is the same container after it was made anew.
    assert_eq!(
        owner.identity.get("container.name"),
        Some(&"shop-web-1".into())
    );
    assert_eq!(owner.identity.get("container.id"), None);
    assert!(Arc::ptr_eq(&owner, &table.owner(43)));
    assert_eq!(table.counters().instances, 1);
}

#[test]
fn a_living_process_adds_its_environment_and_long_arguments_to_its_record() {
    let host = Host::new();
    let mut args = b"java\0-Dlong=".to_vec();
    args.resize(ARGS, b'x');
    let record = exec(10, 500, SECOND, &args);
    let mut whole = args.clone();
    whole.extend_from_slice(b"\0-jar\0/srv/shop-1.0.jar\0");
    host.add(
        10,
        &Entry {
            args: &whole,
            ..PLAIN
        },
    );
    symlink("/usr/lib/jvm/bin/java", host.path(10).join("exe")).unwrap();
    let mut table = host.table(Limits::default());
    table.exec(&record);
    assert_eq!(service(&table.owner(10)), "shop");
}

#[test]
fn a_real_childs_environment_names_its_service() {
    let mut child = std::process::Command::new("sleep")
        .arg("30")
        .env("OTEL_SERVICE_NAME", "sleeper")
        .spawn()
        .unwrap();
    // spawn() returns in the middle of execve(2), before the new environment can be read.
    let environ = format!("/proc/{}/environ", child.id());
    while fs::read(&environ).unwrap().is_empty() {
        std::thread::yield_now();
    }
    let root = Root::default();
    let host = crate::enrich::host::resource(&root);
    let owner = Processes::new(&root, host, Limits::default()).owner(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(service(&owner), "sleeper");
    let executable = get(&owner, "process.executable.name");
    assert!(executable.is_some_and(|name| !name.is_empty()));
}

#[test]
fn the_agents_own_process_is_described_from_the_real_proc() {
    let root = Root::default();
    let mut table = Processes::new(
        &root,
        crate::enrich::host::resource(&root),
        Limits::default(),
    );
    let owner = table.owner(std::process::id());
    assert!(get(&owner, "process.executable.name").is_some_and(|name| name.starts_with("sonde")));
}
