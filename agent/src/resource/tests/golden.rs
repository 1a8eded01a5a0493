//! All that is told of whole trees, against stored files.

use super::*;

/// Two snapshots of `tree`, ten seconds apart, with `later` laid over it for the second.
pub(super) fn two_snapshots(tree: &str, later: Option<&str>) -> io::Result<[String; 2]> {
    let directory = copy_of(tree)?;
    let mut resources = Resources::new(root(directory.path()), is_of_the_tree);
    let now = Instant::now();
    let first = snapshot(&mut resources, now);
    if let Some(later) = later {
        overlay(&fixtures().join(later), directory.path())?;
    }
    let second = snapshot(&mut resources, now + LATER);
    Ok([render(&first), render(&second)])
}

/// Compares with the stored file; with `SONDE_BLESS` set, stores instead.
fn assert_golden(rendered: &str, name: &str) {
    let path = fixtures().join("golden").join(name);
    if std::env::var_os("SONDE_BLESS").is_some() {
        fs::write(&path, rendered).expect("the golden file can be written");
    }
    let golden = fs::read_to_string(&path).expect("the golden file is there");
    for (golden, rendered) in golden.lines().zip(rendered.lines()) {
        assert_eq!(golden, rendered, "in {name}");
    }
    assert_eq!(
        golden.lines().count(),
        rendered.lines().count(),
        "in {name}"
    );
}

#[test]
fn a_server_ten_seconds_apart() -> io::Result<()> {
    let [first, second] = two_snapshots("server", Some("server-10s"))?;
    assert_golden(&first, "server.txt");
    assert_golden(&second, "server-10s.txt");
    Ok(())
}

#[test]
fn a_minimal_virtual_machine_ten_seconds_apart() -> io::Result<()> {
    let [_, second] = two_snapshots("minimal", None)?;
    assert_golden(&second, "minimal.txt");
    Ok(())
}

/// A host that is written from a description, ten seconds later; nothing of it is skipped.
fn assert_host(host: hosts::Host, name: &str) -> io::Result<()> {
    let [_, second] = hosts::two_snapshots(host)?;
    for line in second.lines() {
        assert!(
            !line.starts_with("sonde.resource.skipped") || line.ends_with(" 0"),
            "{line}"
        );
    }
    assert_golden(&second, name);
    Ok(())
}

#[test]
fn a_kubernetes_node_with_cgroup_v2_ten_seconds_apart() -> io::Result<()> {
    assert_host(hosts::kubernetes_v2, "kubernetes-v2-10s.txt")
}

#[test]
fn a_kubernetes_node_with_cgroup_v1_ten_seconds_apart() -> io::Result<()> {
    assert_host(hosts::kubernetes_v1, "kubernetes-v1-10s.txt")
}

#[test]
fn a_hybrid_container_host_ten_seconds_apart() -> io::Result<()> {
    assert_host(hosts::container_host, "containers-10s.txt")
}

/// What is told of 128 CPUs and 24 disks is told in full of a few; of the others it is counted.
fn sampled(rendered: &str) -> String {
    const SAMPLE: [&str; 8] = ["0", "3", "127", "cpu0", "cpu127", "sda", "sdx", "bond0"];
    let mut counts = std::collections::BTreeMap::new();
    let mut kept = String::new();
    for line in rendered.split_inclusive('\n') {
        let (name, labels) = line.split_once('{').expect("a name and labels");
        *counts.entry(name).or_insert(0_u32) += 1;
        let many = ["cpu.logical_number", "device", "hw.id", "system.device"];
        let is_kept = many.iter().all(|label| {
            let value = labels.split([',', '{']).find_map(|pair| {
                pair.strip_prefix(label)?
                    .strip_prefix("=\"")?
                    .split('"')
                    .next()
            });
            let is_many = |value: &str| {
                ["cpu", "sd", "cooling", "coretemp"]
                    .iter()
                    .any(|kind| value.starts_with(kind))
                    || value.parse::<u32>().is_ok()
            };
            value.is_none_or(|value| {
                SAMPLE.contains(&value)
                    || !is_many(value)
                    || value.ends_with("/temp1")
                    || value.ends_with("device127")
            })
        });
        if is_kept {
            kept += line;
        }
    }
    let counts = counts
        .iter()
        .map(|(name, count)| format!("series of {name} {count}\n"));
    counts.collect::<String>() + &kept
}

#[test]
fn a_big_server_ten_seconds_apart() -> io::Result<()> {
    let [_, second] = hosts::two_snapshots(hosts::big_server)?;
    assert_golden(&sampled(&second), "big-server-10s.txt");
    Ok(())
}
