//! Hosts as their files describe them.

use std::fs;

use super::*;

mod clouds;

const MACHINE: &str = "0123456789abcdef0123456789abcdef";

fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
    let directory = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let root = Root {
        procfs: directory.path().join("proc"),
        sysfs: directory.path().join("sys"),
        rootfs: directory.path().to_owned(),
    };
    (directory, root)
}

fn get(resource: &Resource, name: &str) -> Option<String> {
    resource.attributes.get(name).map(ToString::to_string)
}

/// A host with these fields of the firmware, and this `instance-data.json`.
fn machine(fields: &[(&str, &str)], instance_data: &str) -> Arc<Resource> {
    let paths: Vec<_> = fields
        .iter()
        .map(|(name, value)| match name.strip_prefix("hypervisor/") {
            Some(_) => (format!("sys/{name}"), *value),
            None => (format!("sys/class/dmi/id/{name}"), *value),
        })
        .collect();
    let mut files: Vec<_> = paths
        .iter()
        .map(|(path, value)| (&**path, *value))
        .collect();
    files.push(("etc/machine-id", MACHINE));
    if !instance_data.is_empty() {
        files.push(("run/cloud-init/instance-data.json", instance_data));
    }
    let (_directory, root) = tree(&files);
    resource(&root)
}

/// The attributes that depend on the cloud.
const TOLD: [&str; 8] = [
    "cloud.provider",
    "cloud.platform",
    "cloud.region",
    "cloud.availability_zone",
    "cloud.account.id",
    "host.id",
    "host.type",
    "host.image.id",
];

fn assert_told(host: &Resource, expected: [Option<&str>; 8]) {
    for (name, value) in TOLD.iter().zip(expected) {
        assert_eq!(get(host, name).as_deref(), value, "{name}");
    }
}

const NITRO: &[(&str, &str)] = &[
    ("sys_vendor", "Amazon EC2\n"),
    ("product_name", "t3.micro\n"),
    ("board_asset_tag", "i-0abcdef1234567890\n"),
    ("product_uuid", "ec2a1b2c-0000-4000-8000-000000000001\n"),
];

#[test]
fn the_hosts_files_are_read_below_the_root() {
    let (_directory, root) = tree(&[
        ("etc/hostname", "node-7\n"),
        ("proc/sys/kernel/hostname", "container\n"),
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        (
            "etc/os-release",
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME='Debian GNU/Linux'\nVERSION_ID=12\nBUILD_ID=20261101\n",
        ),
    ]);
    let host = resource(&root);
    let expected = [
        ("host.name", "node-7"),
        ("host.id", MACHINE),
        ("os.type", "linux"),
        ("os.name", "Debian GNU/Linux"),
        ("os.version", "12"),
        ("os.description", "Debian GNU/Linux 12 (bookworm)"),
        ("os.build_id", "20261101"),
    ];
    for (name, value) in expected {
        assert_eq!(get(&host, name).as_deref(), Some(value));
    }
    assert_eq!(host.identity, Attributes::none());
    let node = of_cluster(&host, Some("node-7.example"), None);
    assert_eq!(
        get(&node, "k8s.node.name").as_deref(),
        Some("node-7.example")
    );
    assert_eq!(get(&node, "k8s.cluster.name"), None);
    assert_eq!(get(&node, "host.id").as_deref(), Some(MACHINE));
}

#[test]
fn what_is_missing_or_no_id_is_absent() {
    let (_directory, root) = tree(&[("etc/machine-id", "uninitialized\n")]);
    let host = resource(&root);
    for name in [
        "host.name",
        "os.name",
        "os.version",
        "os.description",
        "os.build_id",
    ] {
        assert_eq!(get(&host, name), None, "{name}");
    }
    assert_told(&host, [None; 8]);
    assert_eq!(get(&host, "os.type").as_deref(), Some("linux"));
}

#[test]
fn fault_28_hostile_files_say_nothing() {
    let long = format!(
        r#"{{"v1": {{"cloud_name": "aws", "region": "{}"}}}}"#,
        "x".repeat(300)
    );
    let deep = "[".repeat(200_000);
    let huge = format!("{}{{}}", " ".repeat(2 << 20));
    for data in [
        "",
        "{",
        "[]",
        "null",
        "7",
        &deep,
        &huge,
        "\u{0}",
        r#"{"v1": []}"#,
        r#"{"v1": {"cloud_name": ["aws"]}}"#,
        r#"{"v1": {"cloud_name": "elsewhere"}}"#,
    ] {
        let host = machine(&[], data);
        assert_eq!(get(&host, "cloud.provider"), None, "{data:.40}");
        assert_eq!(get(&host, "host.id").as_deref(), Some(MACHINE));
    }
    let host = machine(&[], &long);
    assert_eq!(get(&host, "cloud.region"), None, "too long");
    let odd = r#"{"v1": {"cloud_name": "aws", "region": "a\nb", "availability_zone": {"a": 1},
        "instance_id": true}, "ds": {"dynamic": "redacted for non-root user",
        "meta_data": {"ami-id": "redacted for non-root user", "instance-type": -1}}}"#;
    assert_told(
        &machine(&[], odd),
        [
            Some("aws"),
            Some("aws_ec2"),
            None,
            None,
            None,
            Some(MACHINE),
            None,
            None,
        ],
    );
    let fields: &[(&str, &str)] = &[
        ("sys_vendor", "Amazon EC2"),
        ("board_asset_tag", "i-nothing"),
        ("product_name", "a\u{7}b"),
    ];
    let nothing = [
        Some("aws"),
        Some("aws_ec2"),
        None,
        None,
        None,
        Some(MACHINE),
        None,
        None,
    ];
    assert_told(&machine(fields, ""), nothing);
}
