//! A Kubernetes node: the kubelet's systemd driver on version 2, its cgroupfs driver on version 1.
//! The pods do the same on both.

use super::{
    Layout, Moment, Tree,
    cgroups::{self, Cgroup},
    machine::Machine,
};

/// Requests equal limits: 2 CPUs and 1 GiB, in a container that is held back.
const API: &str = "11111111-2222-3333-4444-555555555555";
const API_CONTAINER: &str = "aaaa0123456789abcdef0123456789abcdef0123456789abcdef0123456789aa";
/// Burstable, without a limit of the container's own: the pod's counts.
const WORKER: &str = "66666666-7777-8888-9999-000000000000";
const WORKER_CONTAINER: &str = "bbbb0123456789abcdef0123456789abcdef0123456789abcdef0123456789bb";

pub(in super::super) fn kubernetes_v2(moment: Moment) -> Tree {
    node(Layout::V2, moment)
}

pub(in super::super) fn kubernetes_v1(moment: Moment) -> Tree {
    node(Layout::V1, moment)
}

fn node(layout: Layout, moment: Moment) -> Tree {
    let mut tree = Tree::default();
    let machine = Machine {
        cpus: 8,
        memory_kib: 32 << 20,
        disks: &["vda", "vdb"],
        interfaces: &[
            ("lo", None),
            ("eth0", Some(10_000)),
            ("cali0a1b2c3d4e5", None),
        ],
        pressure: layout == Layout::V2,
        swap: false,
        conntrack: true,
    };
    machine.add(&mut tree, moment);
    cgroups::mount(&mut tree, layout);
    for cgroup in cgroups_of(layout) {
        cgroups::add(&mut tree, layout, &cgroup, moment);
    }
    tree
}

fn cgroups_of(layout: Layout) -> Vec<Cgroup> {
    let [api_pod, api, worker_pod, worker] = paths(layout);
    let groups = match layout {
        Layout::V1 => ["/kubepods", "/kubepods/burstable"],
        _ => [
            "/kubepods.slice",
            "/kubepods.slice/kubepods-burstable.slice",
        ],
    };
    let [all, burstable] = groups.map(Cgroup::idle);
    vec![
        Cgroup {
            memory: 4096,
            memory_limit: Some(30 * 1024),
            disks: vec![(
                "254:0",
                [(8192, 4096), (2, 1), (2 << 20, 1 << 16), (40, 10)],
            )],
            ..all
        },
        Cgroup {
            effective_limit: Some(30 * 1024),
            ..burstable
        },
        Cgroup {
            quota: Some(200_000),
            memory_limit: Some(1024),
            ..Cgroup::idle(api_pod)
        },
        busy(api),
        Cgroup {
            memory_limit: Some(512),
            ..Cgroup::idle(worker_pod)
        },
        Cgroup {
            effective_limit: Some(512),
            memory: 300,
            inactive_file: 44,
            oom_kills: (2, 1),
            ..Cgroup::idle(worker)
        },
        Cgroup::idle("/system.slice"),
        Cgroup {
            thread_limit: Some(4915),
            threads: 40,
            ..Cgroup::idle("/system.slice/kubelet.service")
        },
    ]
}

/// 15 of 20 CPU seconds used, 25 of 100 periods throttled, 768 of 1024 MiB without what could be
/// had back.
fn busy(path: String) -> Cgroup {
    Cgroup {
        user: (50_000_000, 12_000_000),
        system: (20_000_000, 3_000_000),
        quota: Some(200_000),
        periods: (1_000, 100),
        throttled_periods: (100, 25),
        throttled: (4_000_000, 1_500_000),
        memory: 900,
        inactive_file: 132,
        anonymous: 700,
        memory_limit: Some(1024),
        at_limit: (7, 30),
        faults: (500_000, 2_000),
        major_faults: (50, 4),
        threads: 64,
        thread_limit: Some(256),
        refused: (3, 20),
        pressure: [
            (8_000_000, 2_500_000),
            (100_000, 1_000_000),
            (50_000, 400_000),
        ],
        disks: vec![
            (
                "254:0",
                [(4096, 4096), (1, 1), (1 << 20, 1 << 16), (20, 10)],
            ),
            ("259:7", [(512, 0), (1, 0), (0, 0), (0, 0)]),
        ],
        ..Cgroup::idle(path)
    }
}

/// The first pod, its container, the second and its.
fn paths(layout: Layout) -> [String; 4] {
    if layout == Layout::V1 {
        let api = format!("/kubepods/pod{API}");
        let worker = format!("/kubepods/burstable/pod{WORKER}");
        return [
            api.clone(),
            format!("{api}/{API_CONTAINER}"),
            worker.clone(),
            format!("{worker}/{WORKER_CONTAINER}"),
        ];
    }
    let [api, worker] = [API, WORKER].map(|uid| uid.replace('-', "_"));
    let api = format!("/kubepods.slice/kubepods-pod{api}.slice");
    let worker =
        format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{worker}.slice");
    [
        api.clone(),
        format!("{api}/cri-containerd-{API_CONTAINER}.scope"),
        worker.clone(),
        format!("{worker}/cri-containerd-{WORKER_CONTAINER}.scope"),
    ]
}
