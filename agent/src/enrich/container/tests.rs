use proptest::prelude::*;

use super::*;

const ID: &str = "3f4d2b1a9c8e7f605142332415061728394a5b6c7d8e9f00112233445566778f";
const OUTER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const UID: &str = "2c48913c-b29f-11e7-9350-020968147796";

/// Path (ID, OUTER, UID and UID_ stand for the constants), container, runtime, pod class, unit.
type Row = (
    &'static str,
    Option<&'static str>,
    Option<Runtime>,
    Option<Qos>,
    Option<&'static str>,
);

const DOCKER: Option<Runtime> = Some(Runtime::Docker);
const CONTAINERD: Option<Runtime> = Some(Runtime::Containerd);
const CRI_O: Option<Runtime> = Some(Runtime::CriO);
const PODMAN: Option<Runtime> = Some(Runtime::Podman);
const LXC: Option<Runtime> = Some(Runtime::Lxc);
const NSPAWN: Option<Runtime> = Some(Runtime::Nspawn);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Docker: cgroupfs driver, systemd driver, compose with a parent of its own, ECS.
    ("/docker/ID", Some("ID"), DOCKER, None, None),
    ("/docker/ID/user.slice", Some("ID"), DOCKER, None, None),
    ("/system.slice/docker-ID.scope", Some("ID"), DOCKER, None, None),
    ("/system.slice/docker-ID.scope/init", Some("ID"), DOCKER, None, None),
    ("/../docker-ID.scope", Some("ID"), DOCKER, None, None),
    ("/system.slice/docker-ID.scope (deleted)", Some("ID"), DOCKER, None, None),
    ("/my_parent/ID", Some("ID"), None, None, None),
    ("/ecs/prod/0123456789abcdef0123456789abcdef/ID", Some("ID"), None, None, None),
    ("/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-2532581104",
        Some("0123456789abcdef0123456789abcdef-2532581104"), None, None, None),
    // Amazon ECS on cgroup v2, rootless Docker.
    ("/ecs.slice/ecs-0123456789abcdef0123456789abcdef.slice/docker-ID.scope", Some("ID"), DOCKER, None, None),
    ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope", Some("ID"), DOCKER, None, None),
    // containerd without Kubernetes.
    ("/user.slice/user-1000.slice/user@1000.service/user.slice/nerdctl-ID.scope", Some("ID"), CONTAINERD, None, None),
    ("/default/ID", Some("ID"), CONTAINERD, None, None),
    ("/system.slice/nerdctl-ID.scope", Some("ID"), CONTAINERD, None, None),
    // Kubernetes, cgroupfs driver.
    ("/kubepods/podUID/ID", Some("ID"), None, Some(Qos::Guaranteed), None),
    ("/kubepods/burstable/podUID/ID", Some("ID"), None, Some(Qos::Burstable), None),
    ("/kubepods/besteffort/podUID/ID", Some("ID"), None, Some(Qos::BestEffort), None),
    ("/kubepods/besteffort/podUID/crio-ID", Some("ID"), CRI_O, Some(Qos::BestEffort), None),
    ("/kubepods/burstable/pod0123456789abcdef0123456789abcdef/ID", Some("ID"), None, Some(Qos::Burstable), None),
    // Kubernetes, systemd driver.
    ("/kubepods.slice/kubepods-podUID_.slice/cri-containerd-ID.scope", Some("ID"), CONTAINERD, Some(Qos::Guaranteed), None),
    ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/cri-containerd-ID.scope",
        Some("ID"), CONTAINERD, Some(Qos::Burstable), None),
    ("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUID_.slice/crio-ID.scope",
        Some("ID"), CRI_O, Some(Qos::BestEffort), None),
    ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/crio-ID.scope/container",
        Some("ID"), CRI_O, Some(Qos::Burstable), None),
    ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/docker-ID.scope",
        Some("ID"), DOCKER, Some(Qos::Burstable), None),
    ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/crio-conmon-ID.scope",
        None, None, Some(Qos::Burstable), None),
    // A systemd path on a runtime with the cgroupfs driver.
    ("/system.slice/containerd.service/kubepods-burstable-podUID_.slice:cri-containerd:ID",
        Some("ID"), CONTAINERD, Some(Qos::Burstable), None),
    // Nested: kind, k3d, Docker in Docker, Docker in a pod.
    ("/docker/OUTER/kubelet/kubepods/burstable/podUID/ID", Some("ID"), None, Some(Qos::Burstable), None),
    ("/system.slice/docker-OUTER.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podUID_.slice/cri-containerd-ID.scope",
        Some("ID"), CONTAINERD, Some(Qos::BestEffort), None),
    ("/docker/OUTER/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podUID_.slice/cri-containerd-ID.scope",
        Some("ID"), CONTAINERD, Some(Qos::Guaranteed), None),
    ("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podUID_.slice/cri-containerd-ID.scope",
        Some("ID"), CONTAINERD, Some(Qos::Burstable), None),
    ("/machine.slice/libpod-OUTER.scope/container/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podUID_.slice/crio-ID.scope",
        Some("ID"), CRI_O, Some(Qos::Guaranteed), None),
    ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/cri-containerd-OUTER.scope/docker/ID",
        Some("ID"), DOCKER, Some(Qos::Burstable), None),
    // From within a cgroup namespace of its own (the agent's pod).
    ("/../../kubepods-besteffort-podUID_.slice/cri-containerd-ID.scope", Some("ID"), CONTAINERD, Some(Qos::BestEffort), None),
    ("/docker/OUTER/docker/ID", Some("ID"), DOCKER, None, None),
    ("/system.slice/docker-OUTER.scope/docker/ID", Some("ID"), DOCKER, None, None),
    ("/kubepods/burstable/podUID/OUTER/docker/ID", Some("ID"), DOCKER, Some(Qos::Burstable), None),
    ("/system.slice/docker-OUTER.scope/system.slice/kubelet.service", Some("OUTER"), DOCKER, None, Some("kubelet")),
    // Podman: rootful, rootless, split (Quadlet), cgroupfs driver, in a pod, and its monitors.
    ("/machine.slice/libpod-ID.scope", Some("ID"), PODMAN, None, None),
    ("/machine.slice/libpod-ID.scope/container", Some("ID"), PODMAN, None, None),
    ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container", Some("ID"), PODMAN, None, None),
    ("/system.slice/web.service/libpod-payload-ID", Some("ID"), PODMAN, None, Some("web")),
    ("/libpod_parent/libpod-ID", Some("ID"), PODMAN, None, None),
    ("/libpod_parent/OUTER/libpod-ID/ctr", Some("ID"), PODMAN, None, None),
    ("/libpod_parent/OUTER/conmon", None, None, None, None),
    ("/machine.slice/machine-libpod_pod_OUTER.slice/libpod-ID.scope", Some("ID"), PODMAN, None, None),
    ("/machine.slice/libpod-conmon-ID.scope", None, None, None, None),
    ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-ID.scope", None, None, None, None),
    // LXC.
    ("/lxc/web", Some("web"), LXC, None, None),
    ("/lxc.payload.web", Some("web"), LXC, None, None),
    ("/lxc.payload/web", Some("web"), LXC, None, None),
    ("/lxc.payload.web/system.slice/nginx.service", Some("web"), LXC, None, Some("nginx")),
    ("/lxc.monitor.web", None, None, None, None),
    ("/machine.slice/machine-lxc\\x2d1234\\x2dweb\\x2d1.scope", Some("web-1"), LXC, None, None),
    // systemd-nspawn; a virtual machine is no container.
    ("/machine.slice/machine-deb12.scope/payload/init.scope", Some("deb12"), NSPAWN, None, None),
    ("/machine.slice/systemd-nspawn@deb\\x2d12.service/payload/system.slice/ssh.service", Some("deb-12"), NSPAWN, None, Some("ssh")),
    ("/machine.slice/systemd-nspawn@deb12.service/supervisor", None, None, None, Some("systemd-nspawn@deb12")),
    ("/machine.slice/machine-deb12.scope/supervisor", None, None, None, None),
    ("/machine.slice/machine-qemu\\x2d1\\x2dwin.scope/libvirt/emulator", None, None, None, None),
    // Units.
    ("/system.slice/nginx.service", None, None, None, Some("nginx")),
    ("/system.slice/system-postgresql.slice/postgresql@15-main.service", None, None, None, Some("postgresql@15-main")),
    ("/system.slice/docker.service/payload", None, None, None, Some("docker")),
    ("/system.slice/_cpu.load.service", None, None, None, Some("cpu.load")),
    ("/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service", None, None, None, Some("foo")),
    ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4242.scope", None, None, None, None),
    ("/user.slice/user-1000.slice/user@1000.service/init.scope", None, None, None, None),
    ("/user.slice/user-1000.slice/session-3.scope", None, None, None, None),
    ("/system.slice", None, None, None, None),
    ("/init.scope", None, None, None, None),
    ("/", None, None, None, None),
    ("", None, None, None, None),
    // Nearly a container.
    ("/docker/3f4d2b1a9c8e", None, None, None, None),
    ("/docker/ID0", None, None, None, None),
    ("/kubepods/burstable/podUID", None, None, Some(Qos::Burstable), None),
    ("/app/podcast", None, None, None, None),
];

fn fill(text: &str) -> String {
    text.replace("UID_", &UID.replace('-', "_"))
        .replace("UID", UID)
        .replace("OUTER", OUTER)
        .replace("ID", ID)
}

#[test]
fn every_runtimes_paths_are_known() {
    for (path, container, runtime, qos, unit) in ROWS {
        let placement = Placement::of_path(&fill(path));
        let found = placement.container.as_ref();
        let id = found.map(|found| found.id.to_string());
        assert_eq!(id, container.map(fill), "container of {path}");
        assert_eq!(
            found.and_then(|found| found.runtime),
            *runtime,
            "runtime of {path}"
        );
        assert_eq!(
            placement.pod.as_ref().map(|pod| pod.qos),
            *qos,
            "class of {path}"
        );
        assert_eq!(placement.unit.as_deref(), *unit, "unit of {path}");
    }
}

#[test]
fn a_pods_uid_is_the_same_with_both_drivers() {
    for path in [
        "/kubepods/burstable/podUID/ID",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/crio-ID.scope",
    ] {
        let placement = Placement::of_path(&fill(path));
        assert_eq!(
            placement.pod.map(|pod| pod.uid.to_string()).as_deref(),
            Some(UID)
        );
    }
}

fn of_lines(lines: &str) -> Placement {
    use procfs::FromBufRead;
    let cgroups = procfs::ProcessCGroups::from_buf_read(fill(lines).as_bytes()).unwrap();
    Placement::of_cgroups(&cgroups)
}

#[test]
fn fault_27_v1_v2_and_hybrid_tell_the_same_container() {
    for lines in [
        "12:pids:/docker/ID\n4:memory:/docker/ID\n1:name=systemd:/docker/ID\n",
        "0::/system.slice/docker-ID.scope\n",
        "4:memory:/docker/ID\n1:name=systemd:/docker/ID\n0::/system.slice/containerd.service\n",
        "4:memory:/docker/ID\n1:name=systemd:/\n0::/\n",
    ] {
        let placement = of_lines(lines);
        let id = placement
            .container
            .map(|container| container.id.to_string());
        assert_eq!(id.as_deref(), Some(ID), "{lines}");
        assert_eq!(placement.unit, None, "{lines}");
    }
}

#[test]
fn fault_27_a_unit_is_found_in_v1_v2_and_hybrid() {
    for lines in [
        "4:memory:/\n1:name=systemd:/system.slice/nginx.service\n",
        "0::/system.slice/nginx.service\n",
        "4:memory:/system.slice/nginx.service\n1:name=systemd:/system.slice/nginx.service\n0::/system.slice/nginx.service\n",
    ] {
        assert_eq!(of_lines(lines).unit.as_deref(), Some("nginx"), "{lines}");
    }
}

#[test]
fn the_innermost_container_of_all_hierarchies_wins() {
    let placement = of_lines("4:memory:/docker/OUTER/docker/ID\n0::/docker/OUTER\n");
    let id = placement
        .container
        .map(|container| container.id.to_string());
    assert_eq!(id.as_deref(), Some(ID));
}

proptest! {
    #[test]
    fn fault_28_any_path_is_read_without_panic(path in "(/|[a-z]{0,9}|[-._:@\\\\]|\\PC|pod|lxc|machine-|[0-9a-f]{32}|\\.scope|\\.slice|\\.service|supervisor){0,20}") {
        let _ = Placement::of_path(&path);
    }
}
