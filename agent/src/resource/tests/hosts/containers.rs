//! A host with Docker and Podman in a hybrid set-up: controllers in version 1, pressure in
//! version 2.

use super::{
    Layout, Moment, Tree,
    cgroups::{self, Cgroup},
    machine::Machine,
};

const DOCKER: &str = "cccc0123456789abcdef0123456789abcdef0123456789abcdef0123456789cc";
const PODMAN: &str = "dddd0123456789abcdef0123456789abcdef0123456789abcdef0123456789dd";

pub(in super::super) fn container_host(moment: Moment) -> Tree {
    let mut tree = Tree::default();
    let machine = Machine {
        cpus: 4,
        memory_kib: 8 << 20,
        disks: &["sda"],
        interfaces: &[("lo", None), ("enp3s0", Some(1000)), ("docker0", None)],
        pressure: true,
        swap: true,
        conntrack: true,
    };
    machine.add(&mut tree, moment);
    cgroups::mount(&mut tree, Layout::Hybrid);
    let groups = [
        Cgroup::idle("/system.slice"),
        Cgroup::idle("/user.slice"),
        Cgroup::idle("/user.slice/user-1000.slice"),
        Cgroup::idle("/user.slice/user-1000.slice/session-2.scope"),
        Cgroup::idle("/system.slice/docker.service"),
        Cgroup {
            user: (9_000_000, 4_000_000),
            system: (1_000_000, 1_000_000),
            quota: Some(50_000),
            periods: (400, 100),
            throttled_periods: (40, 100),
            throttled: (2_000_000, 5_000_000),
            memory: 200,
            inactive_file: 8,
            memory_limit: Some(256),
            pressure: [(1_000_000, 9_000_000), (0, 0), (0, 0)],
            disks: vec![("8:0", [(0, 8192), (0, 2), (0, 1 << 20), (0, 256)])],
            ..Cgroup::idle(format!("/system.slice/docker-{DOCKER}.scope"))
        },
        Cgroup::idle("/machine.slice"),
        Cgroup {
            threads: 12,
            thread_limit: Some(2048),
            ..Cgroup::idle(format!("/machine.slice/libpod-{PODMAN}.scope"))
        },
        Cgroup::idle(format!("/machine.slice/libpod-conmon-{PODMAN}.scope")),
    ];
    for cgroup in groups {
        cgroups::add(&mut tree, Layout::Hybrid, &cgroup, moment);
    }
    tree
}
