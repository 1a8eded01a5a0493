//! Row 28 for cgroups and hardware: what exactly stands beside a damaged file.

use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
};

use super::{cgroups::find, *};

const CONTAINER: &str = "aaaa0123456789abcdef0123456789abcdef0123456789abcdef0123456789aa";
const NEIGHBOUR: &str = "bbbb0123456789abcdef0123456789abcdef0123456789abcdef0123456789bb";

/// Two snapshots of one resource with the tree in `directory`, ten seconds apart.
fn read_twice(directory: &Path, resource: &str) -> String {
    let mut resources = Resources::new(root(directory), |name| name == resource);
    let now = Instant::now();
    snapshot(&mut resources, now);
    render(&snapshot(&mut resources, now + LATER))
}

fn skipped(rendered: &str, resource: &str) -> Option<f64> {
    let series = format!("sonde.resource.skipped{{resource={resource:?}}}");
    value(rendered, &series)
}

/// A file that is a link to itself.
fn circle(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    symlink(path.file_name().expect("a file"), path)
}

#[test]
fn fault_28_each_damaged_file_of_a_cgroup_costs_its_values_alone() -> io::Result<()> {
    let directory = hosts::directory_of(hosts::kubernetes_v2)?;
    let pod = "sys/fs/cgroup/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice";
    let container = format!("{pod}/cri-containerd-{CONTAINER}.scope");
    let container = directory.path().join(container);
    let long = format!("anon 5\n{}", "x 1\n".repeat(5000));
    let damages: [(_, &[u8]); _] = [
        (
            "cpu.stat",
            b"usage_usec -5\nuser_usec 18446744073709551616\nsystem_usec 9\n",
        ),
        ("cpu.max", b"100000 0\n"),
        ("memory.current", b"\xff\xfe\n"),
        ("memory.max", b"12 34\n"),
        ("memory.stat", long.as_bytes()),
        (
            "io.stat",
            b"254:0 rbytes=-1 wbytes=5\nx:y rbytes=3\n254:0:0 wbytes=1\n",
        ),
        ("cpu.pressure", b"some\n"),
    ];
    for (name, bytes) in damages {
        fs::write(container.join(name), bytes)?;
    }
    circle(&container.join("pids.max"))?;
    fs::remove_file(container.join("pids.events"))?;
    fs::create_dir(container.join("pids.events"))?;

    let rendered = read_twice(directory.path(), "cgroup");
    // Two of cpu.stat, memory.current, memory.max, memory.stat, three of io.stat, cpu.pressure,
    // pids.max and pids.events; in each of the snapshots.
    assert_eq!(skipped(&rendered, "cgroup"), Some(22.0), "{rendered}");
    let of = |metric, more: &[(&str, &str)]| {
        find(
            &rendered,
            metric,
            &[more, &[("container.id", CONTAINER)]].concat(),
        )
    };
    for metric in [
        "system.cgroup.cpu.limit",
        "container.memory.usage",
        "container.memory.working_set",
        "container.memory.rss",
        "system.cgroup.thread.limit",
    ] {
        assert_eq!(of(metric, &[]), None, "{metric}");
    }
    assert_eq!(of("container.cpu.time", &[("cpu.mode", "user")]), None);
    assert_eq!(of("use.utilization", &[("signal", "cpu_quota")]), None);
    // What is whole stands, the pod's limit among it.
    assert_eq!(
        of("container.cpu.time", &[("cpu.mode", "system")]),
        Some(9e-6)
    );
    assert_eq!(of("system.cgroup.memory.limit", &[]), Some(1_073_741_824.0));
    assert_eq!(of("system.cgroup.threads", &[]), Some(64.0));
    assert_eq!(
        of("container.disk.io", &[("disk.io.direction", "write")]),
        Some(5.0)
    );
    let neighbour = [("container.id", NEIGHBOUR), ("signal", "memory_limit")];
    assert_eq!(find(&rendered, "use.utilization", &neighbour), Some(0.5));
    Ok(())
}

#[test]
fn fault_28_a_cgroup_that_vanishes_between_two_reads_is_no_loss() -> io::Result<()> {
    let directory = hosts::directory_of(hosts::kubernetes_v1)?;
    let cgroups = directory.path().join("sys/fs/cgroup");
    let mut resources = Resources::new(root(directory.path()), |name| name == "cgroup");
    let now = Instant::now();
    snapshot(&mut resources, now);
    // As it is while systemd takes a unit down: gone from some hierarchies and not from others.
    for controller in ["memory", "pids"] {
        fs::remove_dir_all(
            cgroups
                .join(controller)
                .join("system.slice/kubelet.service"),
        )?;
    }
    fs::remove_dir_all(cgroups.join("blkio/kubepods"))?;
    let rendered = render(&snapshot(&mut resources, now + LATER));
    assert_eq!(skipped(&rendered, "cgroup"), Some(0.0), "{rendered}");
    let unit = [("systemd.unit", "kubelet.service")];
    assert_eq!(find(&rendered, "system.cgroup.memory.usage", &unit), None);
    let user = [("systemd.unit", "kubelet.service"), ("cpu.mode", "user")];
    assert_eq!(find(&rendered, "system.cgroup.cpu.time", &user), Some(2.0));
    Ok(())
}

#[test]
fn fault_28_odd_names_of_cgroups_stay_one_label() -> io::Result<()> {
    let directory = hosts::directory_of(hosts::container_host)?;
    let pids = directory.path().join("sys/fs/cgroup/pids");
    for name in ["line\nbreak", "quote\"back\\slash", "ends) R (here"] {
        fs::create_dir(pids.join(name))?;
        fs::write(pids.join(name).join("pids.current"), "7\n")?;
    }
    fs::create_dir(pids.join(OsStr::from_bytes(b"no \xfftext")))?;
    symlink(&pids, pids.join("circle"))?;
    let rendered = read_twice(directory.path(), "cgroup");
    for path in ["/line\nbreak", "/quote\"back\\slash", "/ends) R (here"] {
        let labels = [("system.cgroup.path", path)];
        assert_eq!(
            find(&rendered, "system.cgroup.threads", &labels),
            Some(7.0),
            "{path:?}"
        );
    }
    assert!(!rendered.contains("circle"));
    assert_eq!(
        skipped(&rendered, "cgroup"),
        Some(2.0),
        "the one that is no text, twice"
    );
    Ok(())
}

#[test]
fn fault_28_damaged_sensors_and_meters_cost_their_values_alone() -> io::Result<()> {
    let directory = hosts::directory_of(hosts::hardware)?;
    let sys = directory.path().join("sys/class");
    let chip = sys.join("hwmon/hwmon0");
    circle(&chip.join("temp1_input"))?;
    fs::write(chip.join("temp2_input"), "-999999999999\n")?;
    fs::write(chip.join("temp3_crit"), "99999999999999999999\n")?;
    fs::write(chip.join("temp4_label"), "x".repeat(5000))?;
    fs::write(chip.join("temp0004_input"), "1000\n")?;
    let rendered = read_twice(directory.path(), "thermal");
    let temperature = |id| find(&rendered, "hw.temperature", &[("hw.id", id)]);
    assert_eq!(temperature("coretemp.0/temp1"), None);
    assert_eq!(temperature("coretemp.0/temp2"), None);
    assert_eq!(temperature("coretemp.0/temp3"), Some(45.0));
    // Written in another way it is the same sensor, which stands once.
    assert_eq!(temperature("coretemp.0/temp4"), Some(45.0));
    assert!(rendered.lines().all(|line| line.len() < 500));
    assert_eq!(skipped(&rendered, "thermal"), Some(6.0), "{rendered}");

    fs::write(sys.join("powercap/intel-rapl:0/energy_uj"), "-1\n")?;
    fs::write(sys.join("powercap/intel-rapl:1/max_energy_range_uj"), "\n")?;
    fs::write(sys.join("power_supply/ups/capacity"), "101\n")?;
    let rendered = read_twice(directory.path(), "power");
    let energy = |id| find(&rendered, "hw.energy", &[("hw.id", id)]);
    assert_eq!(energy("intel-rapl:0"), None);
    assert_eq!(energy("intel-rapl:1"), Some(9.0));
    assert_eq!(find(&rendered, "hw.battery.charge", &[]), None);
    assert_eq!(skipped(&rendered, "power"), Some(6.0), "{rendered}");
    assert_eq!(
        find(&rendered, "hw.power", &[("hw.id", "ups")]),
        Some(120.0)
    );
    Ok(())
}
