//! Bounds on a host with very many cgroups.

use std::{fs, io};

use super::*;

/// A host with so many services and containers; each of the latter has a subgroup.
fn host(services: u32, containers: u32) -> io::Result<(tempfile::TempDir, Root)> {
    let directory = tempfile::tempdir()?;
    let top = directory.path().join("fs/cgroup");
    fs::create_dir_all(top.join("system.slice"))?;
    fs::write(top.join("cgroup.controllers"), "cpu\n")?;
    for number in 0..services {
        fs::create_dir(top.join(format!("system.slice/unit-{number}.service")))?;
    }
    for number in 0..containers {
        let container = top.join(format!("system.slice/docker-{number:064x}.scope"));
        fs::create_dir_all(container.join("init"))?;
        fs::write(container.join("pids.current"), "1\n")?;
    }
    let root = Root {
        sysfs: directory.path().to_owned(),
        ..Root::default()
    };
    Ok((directory, root))
}

#[test]
fn fault_22_of_ten_thousand_cgroups_the_containers_are_told_and_the_rest_is_counted()
-> io::Result<()> {
    let (_directory, root) = host(9_000, 900)?;
    let mut cgroups = Cgroups::new(Duration::from_mins(10));
    let report = cgroups.sample(&root, Instant::now()).ok().flatten();
    // 9,900 containers and services, and a slice; 1,000 are told.
    assert_eq!(report.map(|report| report.skipped()), Some(8_901));
    assert_eq!(cgroups.owners.len(), 10_801);
    let samples = cgroups.last.map(|last| last.value).unwrap_or_default();
    assert_eq!(samples.len(), MAX_TOLD);
    let containers = samples.keys().filter(|path| path.contains("docker-"));
    assert_eq!(containers.count(), 900);
    Ok(())
}

#[test]
fn fault_22_what_is_not_read_in_time_is_counted() -> io::Result<()> {
    let (_directory, root) = host(3, 2)?;
    let mut cgroups = Cgroups::new(Duration::ZERO);
    let report = cgroups.sample(&root, Instant::now()).ok().flatten();
    assert!(report.is_some_and(|report| report.skipped() > 0));
    assert!(cgroups.last.is_some_and(|last| last.value.is_empty()));
    Ok(())
}

#[test]
fn what_is_gone_is_forgotten() -> io::Result<()> {
    let (directory, root) = host(3, 2)?;
    let mut cgroups = Cgroups::new(Duration::from_mins(10));
    let _ = cgroups.sample(&root, Instant::now());
    fs::remove_dir_all(directory.path().join("fs/cgroup/system.slice"))?;
    let _ = cgroups.sample(&root, Instant::now());
    assert!(cgroups.owners.is_empty());
    assert!(cgroups.last.is_some_and(|last| last.value.is_empty()));
    Ok(())
}
