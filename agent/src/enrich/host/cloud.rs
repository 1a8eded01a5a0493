//! Which cloud the host is in, and as what.

use super::{dmi, instance_data};
use crate::root::Root;

/// Who provides the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    Alibaba,
    Aws,
    Azure,
    DigitalOcean,
    Gcp,
    Hetzner,
    /// Run by anybody, who it doesn't name.
    OpenStack,
    Oracle,
    Tencent,
}

impl Provider {
    /// `cloud.provider`. The conventions have no word for some: then it is the company's name.
    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Alibaba => Some("alibaba_cloud"),
            Self::Aws => Some("aws"),
            Self::Azure => Some("azure"),
            Self::DigitalOcean => Some("digitalocean"),
            Self::Gcp => Some("gcp"),
            Self::Hetzner => Some("hetzner"),
            Self::OpenStack => None,
            Self::Oracle => Some("oracle_cloud"),
            Self::Tencent => Some("tencent_cloud"),
        }
    }

    /// `cloud.platform` of its virtual machines.
    const fn platform(self) -> Option<&'static str> {
        match self {
            Self::Alibaba => Some("alibaba_cloud_ecs"),
            Self::Aws => Some("aws_ec2"),
            Self::Azure => Some("azure.vm"),
            Self::Gcp => Some("gcp_compute_engine"),
            Self::Oracle => Some("oracle_cloud_compute"),
            Self::Tencent => Some("tencent_cloud_cvm"),
            Self::DigitalOcean | Self::Hetzner | Self::OpenStack => None,
        }
    }

    /// As cloud-init calls it (`cloud-id`).
    pub(super) fn of_cloud_init(name: &str) -> Option<Self> {
        Some(match name {
            "aliyun" => Self::Alibaba,
            "aws" | "aws-china" | "aws-gov" => Self::Aws,
            "azure" => Self::Azure,
            "digitalocean" => Self::DigitalOcean,
            "gce" => Self::Gcp,
            "hetzner" => Self::Hetzner,
            "openstack" => Self::OpenStack,
            "oracle" => Self::Oracle,
            "tencent" => Self::Tencent,
            _ => return None,
        })
    }
}

/// What is known of a machine in a cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cloud {
    pub(super) provider: Option<Provider>,
    pub(super) instance_id: Option<String>,
    /// Its size, as it is sold.
    pub(super) machine: Option<String>,
    pub(super) image: Option<String>,
    pub(super) region: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) account: Option<String>,
}

impl Cloud {
    /// What cloud-init has found out, and what the firmware tells besides.
    ///
    /// Where the two name different clouds, the firmware stands: it can't be left over from the
    /// machine that an image was made of.
    pub(super) fn read(root: &Root) -> Self {
        let firmware = dmi::cloud(&root.sysfs);
        let told = instance_data::cloud(&root.rootfs);
        if firmware.provider.is_some() && firmware.provider != told.provider {
            return firmware;
        }
        Self {
            provider: told.provider,
            instance_id: told.instance_id.or(firmware.instance_id),
            machine: told.machine.or(firmware.machine),
            ..told
        }
    }

    pub(super) fn attributes(self) -> [(&'static str, Option<String>); 7] {
        let provider = self.provider;
        let owned = |name: Option<&'static str>| name.map(str::to_owned);
        [
            ("cloud.provider", owned(provider.and_then(Provider::name))),
            (
                "cloud.platform",
                owned(provider.and_then(Provider::platform)),
            ),
            ("cloud.region", self.region),
            ("cloud.availability_zone", self.zone),
            ("cloud.account.id", self.account),
            ("host.type", self.machine),
            ("host.image.id", self.image),
        ]
    }
}
