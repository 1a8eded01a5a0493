//! What cloud-init has found out of the machine's cloud: `/run/cloud-init/instance-data.json`,
//! which anybody may read (cloud-init documentation, "Instance-data").

use std::path::Path;

use serde_json::Value;

use super::{
    cloud::{Cloud, Provider},
    read, text,
};

const INSTANCE_DATA: &str = "run/cloud-init/instance-data.json";
/// The cloud's name alone, for want of the other file.
const CLOUD_ID: &str = "run/cloud-init/cloud-id";

/// The machine, as far as its cloud is known.
pub(super) fn cloud(rootfs: &Path) -> Cloud {
    let data = read(&rootfs.join(INSTANCE_DATA));
    let data: Option<Value> = data.and_then(|data| serde_json::from_str(&data).ok());
    let Some(data) = data else {
        let name = read(&rootfs.join(CLOUD_ID)).unwrap_or_default();
        return Cloud {
            provider: Provider::of_cloud_init(name.trim()),
            ..Cloud::default()
        };
    };
    let first = |pointers: &[&str]| pointers.iter().find_map(|pointer| value(&data, pointer));
    let name = first(&["/v1/cloud_name", "/v1/cloud-name", "/v1/cloud_id"]);
    let Some(provider) = name.and_then(|name| Provider::of_cloud_init(&name)) else {
        return Cloud::default();
    };
    let own = pointers(provider);
    Cloud {
        provider: Some(provider),
        instance_id: first(own.instance_id)
            .or_else(|| first(&["/v1/instance_id", "/v1/instance-id"])),
        machine: first(own.machine),
        image: first(own.image),
        region: first(&["/v1/region"]).or_else(|| first(own.region)),
        zone: first(&["/v1/availability_zone", "/v1/availability-zone"])
            .or_else(|| first(own.zone)),
        account: first(own.account),
    }
}

/// A text or a whole number; what cloud-init has hidden is none.
fn value(data: &Value, pointer: &str) -> Option<String> {
    match data.pointer(pointer)? {
        Value::String(value) if value.starts_with("redacted for") => None,
        Value::String(value) => text(value),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    }
}

/// Where a cloud's own data has what cloud-init doesn't tell of all clouds alike (JSON Pointer,
/// RFC 6901).
struct Pointers {
    instance_id: &'static [&'static str],
    machine: &'static [&'static str],
    image: &'static [&'static str],
    region: &'static [&'static str],
    zone: &'static [&'static str],
    account: &'static [&'static str],
}

const NOTHING: Pointers = Pointers {
    instance_id: &[],
    machine: &[],
    image: &[],
    region: &[],
    zone: &[],
    account: &[],
};

/// Sizes, images and accounts stand in the answers of the metadata services, which differ.
const fn pointers(provider: Provider) -> Pointers {
    match provider {
        Provider::Aws => Pointers {
            machine: &[
                "/ds/dynamic/instance-identity/document/instanceType",
                "/ds/meta_data/instance-type",
                "/ds/meta_data/instance_type",
            ],
            image: &[
                "/ds/dynamic/instance-identity/document/imageId",
                "/ds/meta_data/ami-id",
                "/ds/meta_data/ami_id",
            ],
            region: &["/ds/meta_data/placement/region"],
            zone: &["/ds/meta_data/placement/availability-zone"],
            account: &["/ds/dynamic/instance-identity/document/accountId"],
            ..NOTHING
        },
        Provider::Azure => Pointers {
            instance_id: &["/ds/meta_data/imds/compute/vmId"],
            machine: &["/ds/meta_data/imds/compute/vmSize"],
            image: &["/ds/meta_data/imds/compute/storageProfile/imageReference/id"],
            region: &["/ds/meta_data/imds/compute/location"],
            zone: &["/ds/meta_data/imds/compute/zone"],
            account: &["/ds/meta_data/imds/compute/subscriptionId"],
        },
        Provider::Gcp => Pointers {
            zone: &["/ds/meta_data/availability-zone"],
            ..NOTHING
        },
        Provider::OpenStack => Pointers {
            zone: &["/ds/meta_data/availability_zone"],
            account: &["/ds/meta_data/project_id"],
            ..NOTHING
        },
        Provider::Hetzner => Pointers {
            region: &["/ds/meta_data/region"],
            zone: &["/ds/meta_data/availability-zone"],
            ..NOTHING
        },
        Provider::Oracle => Pointers {
            machine: &["/ds/meta_data/shape"],
            image: &["/ds/meta_data/image"],
            region: &["/ds/meta_data/canonicalRegionName"],
            zone: &["/ds/meta_data/availabilityDomain"],
            ..NOTHING
        },
        Provider::Alibaba => Pointers {
            machine: &["/ds/meta_data/instance/instance-type"],
            image: &["/ds/meta_data/image-id"],
            region: &["/ds/meta_data/region-id"],
            zone: &["/ds/meta_data/zone-id"],
            account: &["/ds/meta_data/owner-account-id"],
            ..NOTHING
        },
        Provider::DigitalOcean => Pointers {
            instance_id: &["/ds/meta_data/droplet_id"],
            region: &["/ds/meta_data/region"],
            ..NOTHING
        },
        Provider::Tencent => NOTHING,
    }
}
