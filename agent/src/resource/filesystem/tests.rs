use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::*;
use crate::metric::{Attributes, Collector, Resource as Owner, Value};

const MOUNTS: &str = "\
27 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw,errors=remount-ro
28 27 8:1 / /srv/my\\040data rw,noatime - xfs /dev/sda1 rw
30 27 0:45 / /mnt/nfs rw - nfs4 files.example.com:/export rw
";

/// 100 GiB, 40 free of which 10 are reserved; on /srv no fixed number of inodes; /mnt fails.
fn stat(point: &Path) -> io::Result<Room> {
    const GIB: u64 = (1 << 30) / 4096;
    if point.ends_with("mnt/nfs") {
        return Err(io::Error::from_raw_os_error(libc::ESTALE));
    }
    let device = match point.file_name().and_then(|name| name.to_str()) {
        Some("host") => (259, 1),
        Some("my data") => (8, 1),
        _ => (0, 99),
    };
    let inodes = if point.ends_with("srv/my data") {
        0
    } else {
        1000
    };
    Ok(Room {
        device,
        block_size: 4096,
        blocks: 100 * GIB,
        free: 40 * GIB,
        available: 30 * GIB,
        inodes,
        inodes_free: inodes / 4,
    })
}

type Series = BTreeMap<(String, Vec<(&'static str, String)>), f64>;

fn sample(filesystem: &mut Filesystem, root: &Root) -> Series {
    let report = filesystem
        .sample(root, Instant::now())
        .expect("the tree can be read")
        .expect("it has mounts");
    let host = Arc::new(Owner {
        attributes: Attributes::none(),
        identity: Attributes::none(),
    });
    let mut collector = Collector::new(host, SystemTime::UNIX_EPOCH);
    report.collect(None, &mut collector);
    let mut series = Series::new();
    for family in collector.finish(SystemTime::UNIX_EPOCH).families {
        for point in family.points {
            let number = match point.value {
                Value::Integer(number) => number as f64,
                Value::Float(number) => number,
                Value::Histogram(_) => unreachable!("no filesystem has one"),
            };
            let attributes = point.attributes.iter();
            let attributes = attributes.map(|(key, value)| (*key, value.to_string()));
            let key = (family.descriptor.name.to_owned(), attributes.collect());
            assert_eq!(series.insert(key, number), None, "a series twice");
        }
    }
    series
}

/// The value of the one series of `metric` that has these attributes.
fn value(series: &Series, metric: &str, wanted: &[(&str, &str)]) -> Option<f64> {
    let mut found = series.iter().filter(|((name, attributes), _)| {
        name == metric
            && wanted
                .iter()
                .all(|(key, value)| attributes.iter().any(|(k, v)| k == key && v == value))
    });
    let first = found.next().map(|(_, value)| *value);
    assert_eq!(found.next(), None, "{metric} {wanted:?} is ambiguous");
    first
}

fn tree(mounts: &str) -> io::Result<(tempfile::TempDir, Root)> {
    let directory = tempfile::tempdir()?;
    let root = Root {
        procfs: directory.path().join("proc"),
        sysfs: directory.path().join("sys"),
        rootfs: directory.path().join("host"),
    };
    std::fs::create_dir_all(root.procfs.join("self"))?;
    std::fs::write(root.procfs.join("self/mountinfo"), mounts)?;
    let ext4 = root.sysfs.join("fs/ext4/nvme0n1p1");
    std::fs::create_dir_all(&ext4)?;
    std::fs::write(ext4.join("errors_count"), "2\n")?;
    Ok((directory, root))
}

fn filesystem() -> Filesystem {
    Filesystem::new(Prober::new(Arc::new(stat)))
}

#[test]
fn room_is_split_as_df_does() -> io::Result<()> {
    let (_directory, root) = tree(MOUNTS)?;
    let series = sample(&mut filesystem(), &root);
    let at = ("system.filesystem.mountpoint", "/");
    let gib = f64::from(1 << 30);
    for (state, size) in [("used", 60.0), ("free", 30.0), ("reserved", 10.0)] {
        let wanted = [at, ("system.filesystem.state", state)];
        let measured = value(&series, "system.filesystem.usage", &wanted);
        assert_eq!(measured, Some(size * gib), "{state}");
    }
    assert_eq!(
        value(&series, "system.filesystem.limit", &[at]),
        Some(100.0 * gib)
    );
    let device = ("device", "/");
    assert_eq!(
        value(&series, "use.utilization", &[device]),
        Some(60.0 / 90.0)
    );
    assert_eq!(value(&series, "use.saturation", &[device]), Some(0.75));
    let ext4 = [device, ("signal", "ext4_error")];
    assert_eq!(value(&series, "use.errors", &ext4), Some(2.0));
    // No fixed number of inodes: no share of them.
    assert_eq!(
        value(&series, "use.saturation", &[("device", "/srv/my data")]),
        None
    );
    Ok(())
}

#[test]
fn failures_and_remounts_to_read_only_are_counted() -> io::Result<()> {
    let (_directory, root) = tree(MOUNTS)?;
    let mut filesystem = filesystem();
    let before = sample(&mut filesystem, &root);
    let remounts = [("device", "/"), ("signal", "read_only_remount")];
    assert_eq!(value(&before, "use.errors", &remounts), Some(0.0));
    let read_only = MOUNTS.replace("nvme0n1p1 rw,", "nvme0n1p1 ro,");
    std::fs::write(root.procfs.join("self/mountinfo"), read_only)?;
    sample(&mut filesystem, &root);
    let after = sample(&mut filesystem, &root);
    assert_eq!(value(&after, "use.errors", &remounts), Some(1.0));
    let failures = [("device", "/mnt/nfs"), ("signal", "stat_failure")];
    assert_eq!(value(&after, "use.errors", &failures), Some(3.0));
    let at = ("system.filesystem.mountpoint", "/mnt/nfs");
    assert_eq!(value(&after, "system.filesystem.limit", &[at]), None);
    Ok(())
}

#[test]
fn a_mount_that_goes_takes_its_history_along() -> io::Result<()> {
    let (_directory, root) = tree(MOUNTS)?;
    let mut filesystem = filesystem();
    sample(&mut filesystem, &root);
    assert_eq!(filesystem.seen.len(), 3);
    let fewer = MOUNTS.lines().next().unwrap_or_default();
    std::fs::write(root.procfs.join("self/mountinfo"), fewer)?;
    sample(&mut filesystem, &root);
    assert_eq!(filesystem.seen.len(), 1);
    Ok(())
}

#[test]
fn a_mount_that_is_not_seen_from_here_has_no_room() -> io::Result<()> {
    let (_directory, root) = tree("27 1 8:7 / /elsewhere rw - ext4 /dev/sdb rw\n")?;
    let series = sample(&mut filesystem(), &root);
    assert_eq!(value(&series, "system.filesystem.limit", &[]), None);
    assert_eq!(value(&series, "use.utilization", &[]), None);
    assert_eq!(value(&series, "system.filesystem.stuck", &[]), Some(0.0));
    Ok(())
}
