//! Which cloud a host is in, by what its firmware and its image say.

use super::*;

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
