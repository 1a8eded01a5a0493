//! Hosts as their files describe them.

use std::fs;

use super::*;

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
fn aws_is_known_by_nitros_firmware_and_in_detail_by_cloud_init() {
    assert_told(
        &machine(NITRO, ""),
        [
            Some("aws"),
            Some("aws_ec2"),
            None,
            None,
            None,
            Some("i-0abcdef1234567890"),
            Some("t3.micro"),
            None,
        ],
    );
    let data = r#"{
        "base64_encoded_keys": [], "merged_cfg": "redacted for non-root user",
        "v1": {"cloud_name": "aws", "cloud-name": "aws", "region": "eu-central-1",
            "availability_zone": "eu-central-1b", "instance_id": "i-0abcdef1234567890",
            "platform": "ec2", "subplatform": "metadata (http://169.254.169.254)"},
        "ds": {
            "dynamic": {"instance-identity": {"document": {"accountId": "123456789012",
                "architecture": "x86_64", "availabilityZone": "eu-central-1b",
                "imageId": "ami-0123456789abcdef0", "instanceType": "t3.micro",
                "pendingTime": "2026-11-20T08:00:00Z", "privateIp": "10.0.0.4"}}},
            "meta_data": {"ami-id": "ami-0123456789abcdef0", "instance-type": "t3.micro"}
        }}"#;
    assert_told(
        &machine(NITRO, data),
        [
            Some("aws"),
            Some("aws_ec2"),
            Some("eu-central-1"),
            Some("eu-central-1b"),
            Some("123456789012"),
            Some("i-0abcdef1234567890"),
            Some("t3.micro"),
            Some("ami-0123456789abcdef0"),
        ],
    );
}

#[test]
fn aws_is_known_on_xen() {
    let xen: &[(&str, &str)] = &[
        ("sys_vendor", "Xen"),
        ("product_name", "HVM domU"),
        ("product_version", "4.11.amazon"),
        ("hypervisor/uuid", "ec2e1916-9099-7caf-fd21-012345abcdef"),
    ];
    let aws = [
        Some("aws"),
        Some("aws_ec2"),
        None,
        None,
        None,
        Some(MACHINE),
        None,
        None,
    ];
    assert_told(&machine(xen, ""), aws);
    // Anybody's Xen.
    let other: &[(&str, &str)] = &[
        ("sys_vendor", "Xen"),
        ("product_version", "4.17"),
        ("hypervisor/uuid", "ec2e1916-9099-7caf-fd21-012345abcdef"),
    ];
    assert_eq!(get(&machine(other, ""), "cloud.provider"), None);
}

#[test]
fn gcp_is_known() {
    let fields: &[(&str, &str)] = &[
        ("sys_vendor", "Google"),
        ("product_name", "Google Compute Engine"),
    ];
    let data = r#"{"v1": {"cloud_name": "gce", "region": "europe-west3",
        "availability_zone": "europe-west3-c", "instance_id": "1234567890123456789"},
        "ds": {"meta_data": {"availability-zone": "europe-west3-c"}}}"#;
    assert_told(
        &machine(fields, data),
        [
            Some("gcp"),
            Some("gcp_compute_engine"),
            Some("europe-west3"),
            Some("europe-west3-c"),
            None,
            Some("1234567890123456789"),
            None,
            None,
        ],
    );
    // A laptop of Google's.
    let fields: &[(&str, &str)] = &[("sys_vendor", "Google"), ("product_name", "Eve")];
    assert_eq!(get(&machine(fields, ""), "cloud.provider"), None);
}

#[test]
fn azure_is_known_among_what_runs_on_hyper_v() {
    let tag = "7783-7084-3265-9085-8269-3286-77";
    let fields: &[(&str, &str)] = &[
        ("sys_vendor", "Microsoft Corporation"),
        ("product_name", "Virtual Machine"),
        ("chassis_asset_tag", tag),
    ];
    let data = r#"{"v1": {"cloud_name": "azure", "region": "westeurope",
            "instance_id": "d0e4f3a1-0000-4000-8000-000000000001"},
        "ds": {"meta_data": {"imds": {"compute": {"location": "westeurope", "zone": "2",
            "subscriptionId": "8d10da13-0000-4000-8000-000000000002",
            "vmId": "02aab8a4-74ef-476e-8182-f6d2ba4166a6", "vmSize": "Standard_D2s_v5",
            "storageProfile": {"imageReference": {"id": "", "offer": "debian-12"}}}}}}}"#;
    assert_told(
        &machine(fields, data),
        [
            Some("azure"),
            Some("azure.vm"),
            Some("westeurope"),
            Some("2"),
            Some("8d10da13-0000-4000-8000-000000000002"),
            Some("02aab8a4-74ef-476e-8182-f6d2ba4166a6"),
            Some("Standard_D2s_v5"),
            None,
        ],
    );
    let others = &fields[..2];
    assert_eq!(get(&machine(others, ""), "cloud.provider"), None);
}

#[test]
fn hetzner_and_openstack_are_known() {
    let fields: &[(&str, &str)] = &[
        ("sys_vendor", "Hetzner"),
        ("product_name", "vServer"),
        ("product_serial", "31415926"),
    ];
    let data = r#"{"v1": {"cloud_name": "hetzner", "instance_id": "31415926"},
        "ds": {"meta_data": {"availability-zone": "nbg1-dc3", "region": "eu-central",
        "instance-id": 31415926}}}"#;
    assert_told(
        &machine(fields, data),
        [
            Some("hetzner"),
            None,
            Some("eu-central"),
            Some("nbg1-dc3"),
            None,
            Some("31415926"),
            None,
            None,
        ],
    );
    let fields: &[(&str, &str)] = &[
        ("sys_vendor", "OpenStack Foundation"),
        ("product_name", "OpenStack Nova"),
        ("product_uuid", "83679162-1378-4288-A2D4-70E13EC132AA"),
    ];
    let uuid = "83679162-1378-4288-a2d4-70e13ec132aa";
    assert_eq!(get(&machine(fields, ""), "host.id").as_deref(), Some(uuid));
    let data = r#"{"v1": {"cloud_name": "openstack", "availability_zone": "nova",
        "instance_id": "83679162-1378-4288-a2d4-70e13ec132aa"},
        "ds": {"meta_data": {"project_id": "f7ac731cc11f40efbc03a9f9e1d1d21f"}}}"#;
    assert_told(
        &machine(fields, data),
        [
            None,
            None,
            None,
            Some("nova"),
            Some("f7ac731cc11f40efbc03a9f9e1d1d21f"),
            Some(uuid),
            None,
            None,
        ],
    );
}

#[test]
fn vmware_and_bare_metal_are_in_no_cloud() {
    let none = [None, None, None, None, None, Some(MACHINE), None, None];
    for fields in [
        &[
            ("sys_vendor", "VMware, Inc."),
            ("product_name", "VMware Virtual Platform"),
        ][..],
        &[
            ("sys_vendor", "Dell Inc."),
            ("product_name", "PowerEdge R640"),
            ("product_serial", "ABC1234"),
        ],
        &[
            ("sys_vendor", "QEMU"),
            ("product_name", "Standard PC (Q35 + ICH9, 2009)"),
        ],
        &[],
    ] {
        assert_told(&machine(fields, ""), none);
        let local = r#"{"v1": {"cloud_name": "nocloud", "instance_id": "iid-local01"}}"#;
        assert_told(&machine(fields, local), none);
    }
}

#[test]
fn the_firmware_goes_before_what_an_image_has_left_over() {
    let left_over = r#"{"v1": {"cloud_name": "gce", "instance_id": "42", "region": "x"}}"#;
    let host = machine(NITRO, left_over);
    assert_eq!(get(&host, "cloud.provider").as_deref(), Some("aws"));
    assert_eq!(
        get(&host, "host.id").as_deref(),
        Some("i-0abcdef1234567890")
    );
    assert_eq!(get(&host, "cloud.region"), None);
}

#[test]
fn the_clouds_name_alone_is_taken_where_there_is_no_more() {
    let (_directory, root) = tree(&[("run/cloud-init/cloud-id", "digitalocean\n")]);
    let host = resource(&root);
    assert_eq!(
        get(&host, "cloud.provider").as_deref(),
        Some("digitalocean")
    );
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
