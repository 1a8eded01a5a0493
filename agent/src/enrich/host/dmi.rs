//! The firmware's description of the machine, `/sys/class/dmi/id`
//! (`drivers/firmware/dmi-id.c`), and Xen's, `/sys/hypervisor`.

use std::path::{Path, PathBuf};

use super::{
    cloud::{Cloud, Provider},
    read, text,
};

/// Azure's virtual machines have this tag; other machines on Hyper-V don't.
const AZURE_CHASSIS: &str = "7783-7084-3265-9085-8269-3286-77";

/// The firmware's fields.
struct Fields(PathBuf);

impl Fields {
    fn get(&self, name: &str) -> Option<String> {
        text(&read(&self.0.join(name))?)
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.get(name).as_deref() == Some(value)
    }
}

/// What the firmware tells of the cloud that the machine is in. Serial numbers and uuids may be
/// read by root only.
pub(super) fn cloud(sysfs: &Path) -> Cloud {
    let fields = Fields(sysfs.join("class/dmi/id"));
    let of = |provider| Cloud {
        provider: Some(provider),
        ..Cloud::default()
    };
    let vendor = fields.get("sys_vendor").unwrap_or_default();
    match vendor.as_str() {
        "Amazon EC2" => Cloud {
            instance_id: fields
                .get("board_asset_tag")
                .filter(|id| is_ec2_instance(id)),
            machine: fields.get("product_name"),
            ..of(Provider::Aws)
        },
        "Google" if fields.is("product_name", "Google Compute Engine") => of(Provider::Gcp),
        "Hetzner" => Cloud {
            instance_id: fields.get("product_serial"),
            ..of(Provider::Hetzner)
        },
        "DigitalOcean" => Cloud {
            instance_id: fields.get("product_serial"),
            ..of(Provider::DigitalOcean)
        },
        "Alibaba Cloud" => of(Provider::Alibaba),
        "Tencent Cloud" => of(Provider::Tencent),
        _ if fields.is("chassis_asset_tag", AZURE_CHASSIS) => of(Provider::Azure),
        _ if fields.is("chassis_asset_tag", "OracleCloud.com") => of(Provider::Oracle),
        _ if is_openstack(&fields) => Cloud {
            instance_id: fields.get("product_uuid").map(|uuid| uuid.to_lowercase()),
            ..of(Provider::OpenStack)
        },
        _ if is_ec2_on_xen(sysfs, &fields) => of(Provider::Aws),
        _ => Cloud::default(),
    }
}

fn is_ec2_instance(id: &str) -> bool {
    id.strip_prefix("i-").is_some_and(|digits| {
        (8..=17).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn is_openstack(fields: &Fields) -> bool {
    ["OpenStack Nova", "OpenStack Compute"]
        .iter()
        .any(|product| fields.is("product_name", product))
        || fields.is("chassis_asset_tag", "OpenStack Nova")
}

/// Before Nitro: a guest of Xen in a version of Amazon's, with a uuid that begins with `ec2`.
fn is_ec2_on_xen(sysfs: &Path, fields: &Fields) -> bool {
    let uuid = read(&sysfs.join("hypervisor/uuid")).and_then(|uuid| text(&uuid));
    let has_uuid = uuid.is_some_and(|uuid| uuid.to_lowercase().starts_with("ec2"));
    let is_amazons = fields
        .get("product_version")
        .is_some_and(|version| version.ends_with(".amazon"));
    has_uuid && (is_amazons || fields.get("product_version").is_none())
}
