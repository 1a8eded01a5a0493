//! cgroups in both versions: the same numbers, and nothing misleading.

use super::{
    hosts::{self, container_host, kubernetes_v1, kubernetes_v2},
    *,
};

const API: &str = "aaaa0123456789abcdef0123456789abcdef0123456789abcdef0123456789aa";
const WORKER: &str = "bbbb0123456789abcdef0123456789abcdef0123456789abcdef0123456789bb";
const DOCKER: &str = "cccc0123456789abcdef0123456789abcdef0123456789abcdef0123456789cc";

/// The number of the only series of `metric` with all of `labels`.
pub(super) fn find(rendered: &str, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let mut found = rendered.lines().filter(|line| {
        let is_metric = line
            .strip_prefix(metric)
            .is_some_and(|it| it.starts_with('{'));
        let has = |(name, value): &(&str, &str)| line.contains(&format!("{name}={value:?}"));
        is_metric && labels.iter().all(has)
    });
    let line = found.next()?;
    assert_eq!(
        found.next(),
        None,
        "{metric} {labels:?} stands more than once"
    );
    line.rsplit(' ').next()?.parse().ok()
}

fn close(measured: Option<f64>, expected: f64) -> bool {
    measured.is_some_and(|measured| (measured - expected).abs() < 1e-9)
}

/// By hand from `hosts/kubernetes.rs`: 15 CPU seconds in ten seconds of a quota of 2 CPUs; 25 of
/// 100 periods throttled; 900 - 132 MiB of 1024; 64 of 256 threads.
#[test]
fn a_pods_container_tells_the_same_in_both_versions() -> io::Result<()> {
    const MIB: f64 = 1_048_576.0;
    for host in [kubernetes_v1, kubernetes_v2] as [hosts::Host; 2] {
        let [first, second] = hosts::two_snapshots(host)?;
        let of = |metric: &str, more: &[(&str, &str)]| {
            find(&second, metric, &[more, &[("container.id", API)]].concat())
        };
        let expected: [(_, &[(&str, &str)], _); _] = [
            ("use.utilization", &[("signal", "cpu_quota")], 0.75),
            ("use.utilization", &[("signal", "memory_limit")], 0.75),
            ("use.utilization", &[("signal", "thread_limit")], 0.25),
            ("use.saturation", &[("signal", "cpu_throttled_share")], 0.25),
            ("use.saturation", &[("signal", "memory_limit_rate")], 3.0),
            ("use.saturation", &[("signal", "fork_refused_rate")], 2.0),
            ("use.errors", &[("signal", "fork_refused")], 23.0),
            ("use.errors", &[("signal", "oom_kill")], 0.0),
            ("container.cpu.time", &[("cpu.mode", "user")], 62.0),
            ("container.cpu.time", &[("cpu.mode", "system")], 23.0),
            ("system.cgroup.cpu.limit", &[], 2.0),
            ("system.cgroup.cpu.throttled.time", &[], 5.5),
            ("system.cgroup.cpu.throttled.periods", &[], 125.0),
            ("container.memory.usage", &[], 900.0 * MIB),
            ("container.memory.working_set", &[], 768.0 * MIB),
            ("container.memory.rss", &[], 700.0 * MIB),
            ("system.cgroup.memory.limit", &[], 1024.0 * MIB),
            (
                "container.paging.faults",
                &[("system.paging.fault.type", "minor")],
                501_946.0,
            ),
            ("system.cgroup.thread.limit", &[], 256.0),
            // vda by its number in /proc/diskstats.
            (
                "container.disk.io",
                &[("system.device", "vda"), ("disk.io.direction", "write")],
                1_114_112.0,
            ),
            (
                "system.cgroup.disk.operations",
                &[("system.device", "vda"), ("disk.io.direction", "read")],
                2.0,
            ),
            // One that has no name there.
            (
                "container.disk.io",
                &[("system.device", "259:7"), ("disk.io.direction", "read")],
                512.0,
            ),
        ];
        for (metric, labels, expected) in expected {
            let measured = of(metric, labels);
            assert!(
                close(measured, expected),
                "{metric} {labels:?}: {measured:?}, not {expected}"
            );
        }
        assert_eq!(
            of("system.cgroup.memory.usage", &[]),
            None,
            "a container's is container.*"
        );
        let quota = [("signal", "cpu_quota")];
        assert_eq!(
            find(&first, "use.utilization", &quota),
            None,
            "a rate needs two samples"
        );
    }
    Ok(())
}

#[test]
fn the_lowest_limit_on_the_way_up_counts() -> io::Result<()> {
    for host in [kubernetes_v1, kubernetes_v2] as [hosts::Host; 2] {
        let [_, second] = hosts::two_snapshots(host)?;
        // 300 - 44 MiB, no limit of its own, 512 MiB of the pod's, 30 GiB of all pods'.
        let labels = [("container.id", WORKER), ("signal", "memory_limit")];
        assert!(
            close(find(&second, "use.utilization", &labels), 0.5),
            "{second}"
        );
        // Nothing limits system services: no ratio rather than one of 2^63 bytes.
        let unit = [("systemd.unit", "kubelet.service")];
        assert_eq!(find(&second, "system.cgroup.memory.limit", &unit), None);
        assert!(find(&second, "system.cgroup.memory.usage", &unit).is_some());
    }
    Ok(())
}

#[test]
fn pressure_is_version_2s_alone_and_hybrid_has_it_beside_version_1() -> io::Result<()> {
    let pressure = |rendered: &str, id| {
        let labels = [("container.id", id), ("signal", "cpu_pressure_some_share")];
        find(rendered, "use.saturation", &labels)
    };
    let [_, v1] = hosts::two_snapshots(kubernetes_v1)?;
    assert_eq!(pressure(&v1, API), None);
    let [_, v2] = hosts::two_snapshots(kubernetes_v2)?;
    assert!(close(pressure(&v2, API), 0.25));
    let [_, hybrid] = hosts::two_snapshots(container_host)?;
    assert!(close(pressure(&hybrid, DOCKER), 0.9));
    for (rendered, version) in [(&v1, "v1"), (&v2, "v2"), (&hybrid, "hybrid")] {
        let labels = [
            ("system.cgroup.version", version),
            ("system.cgroup.scope", "host"),
        ];
        assert!(
            find(rendered, "system.cgroup.visible", &labels).is_some(),
            "{version}"
        );
    }
    Ok(())
}

/// Half a CPU of quota, used up in every period.
#[test]
fn a_docker_container_on_a_hybrid_host_is_throttled_all_the_time() -> io::Result<()> {
    let [_, second] = hosts::two_snapshots(container_host)?;
    let of = |metric, signal| {
        let labels = [("container.id", DOCKER), ("signal", signal)];
        find(&second, metric, &labels)
    };
    assert!(close(of("use.utilization", "cpu_quota"), 1.0));
    assert!(close(of("use.saturation", "cpu_throttled_share"), 1.0));
    assert!(close(of("use.utilization", "memory_limit"), 0.75));
    assert!(second.contains(r#"container.runtime.name="docker""#));
    assert!(second.contains(r#"container.runtime.name="podman""#));
    assert!(
        !second.contains("session-2.scope"),
        "a session is told by its user's slice"
    );
    assert!(
        !second.contains("conmon"),
        "a runtime's helper is no container"
    );
    Ok(())
}

/// A container's own cgroup is the top of what its namespace shows.
#[test]
fn fault_27_in_a_cgroup_namespace_the_top_is_told_and_said_to_be_a_part() -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let top = directory.path().join("sys/fs/cgroup");
    fs::create_dir_all(top.join("worker"))?;
    for (name, text) in [
        ("cgroup.controllers", "cpu memory pids\n"),
        ("cgroup.type", "domain\n"),
        ("memory.current", "1048576\n"),
        ("memory.max", "4194304\n"),
        ("memory.stat", "anon 1\ninactive_file 0\n"),
        ("worker/memory.current", "524288\n"),
        ("worker/memory.max", "max\n"),
        ("worker/memory.stat", "anon 1\ninactive_file 0\n"),
    ] {
        fs::write(top.join(name), text)?;
    }
    let mut resources = Resources::new(root(directory.path()), |name| name == "cgroup");
    let rendered = render(&snapshot(&mut resources, Instant::now()));
    let scope = [("system.cgroup.scope", "namespace")];
    assert_eq!(find(&rendered, "system.cgroup.visible", &scope), Some(1.0));
    let top = [("device", "/"), ("signal", "memory_limit")];
    assert_eq!(find(&rendered, "use.utilization", &top), Some(0.25));
    let below = [("device", "/worker"), ("signal", "memory_limit")];
    assert_eq!(find(&rendered, "use.utilization", &below), Some(0.125));
    Ok(())
}

/// A service that was restarted has the same path and counters that begin again.
#[test]
fn fault_16_a_cgroup_of_the_same_name_is_another_one() -> io::Result<()> {
    let directory = hosts::directory_of(kubernetes_v2)?;
    let service = directory
        .path()
        .join("sys/fs/cgroup/system.slice/kubelet.service");
    let mut resources = Resources::new(root(directory.path()), |name| name == "cgroup");
    let now = Instant::now();
    let rate = |rendered: &str| {
        let labels = [
            ("systemd.unit", "kubelet.service"),
            ("signal", "fork_refused_rate"),
        ];
        find(rendered, "use.saturation", &labels)
    };
    snapshot(&mut resources, now);
    let rendered = render(&snapshot(&mut resources, now + LATER));
    assert_eq!(rate(&rendered), Some(0.0));
    fs::rename(&service, directory.path().join("gone"))?;
    fs::create_dir(&service)?;
    fs::write(service.join("pids.events"), "max 900\n")?;
    let rendered = render(&snapshot(&mut resources, now + 2 * LATER));
    assert_eq!(rate(&rendered), None);
    let errors = [
        ("systemd.unit", "kubelet.service"),
        ("signal", "fork_refused"),
    ];
    assert_eq!(find(&rendered, "use.errors", &errors), Some(900.0));
    Ok(())
}
