//! The host's resource: what its own files tell. Nobody is asked over the network.

mod cloud;
mod dmi;
mod instance_data;
mod os;
#[cfg(test)]
mod tests;

use std::{fs::File, io::Read as _, path::Path, sync::Arc};

use crate::{
    metric::{AttributeValue, Attributes, Resource},
    root::Root,
};

/// Longest of the files that are read, in bytes.
const FILE_MAX: u64 = 1024 * 1024;
/// Longest value that is taken, in bytes.
const VALUE_MAX: usize = 256;

/// Describes the host: `host.name`, `host.id`, `host.arch`, `host.type`, `host.image.id`, `os.*` and
/// `cloud.*`. What the host's files don't tell is absent.
///
/// `host.id` is the instance's as its cloud has given it, else the machine's (machine-id(5)).
#[must_use]
pub fn resource(root: &Root) -> Arc<Resource> {
    let cloud = cloud::Cloud::read(root);
    let id = cloud.instance_id.clone().or_else(|| id(&root.rootfs));
    let attributes = [
        ("host.name", name(root)),
        ("host.id", id),
        ("host.arch", Some(arch().to_owned())),
    ];
    let present =
        |(key, value): (&'static str, Option<String>)| Some((key, AttributeValue::from(value?)));
    let attributes: Attributes = attributes
        .into_iter()
        .chain(os::attributes(&root.rootfs))
        .chain(cloud.attributes())
        .filter_map(present)
        .collect();
    Arc::new(Resource {
        attributes,
        identity: Attributes::none(),
    })
}

/// The same host as a node of a Kubernetes cluster.
#[must_use]
pub fn of_cluster(host: &Resource, node: Option<&str>, cluster: Option<&str>) -> Arc<Resource> {
    let known = [("k8s.node.name", node), ("k8s.cluster.name", cluster)];
    let known = known
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?.into())));
    Arc::new(Resource {
        attributes: host.attributes.iter().cloned().chain(known).collect(),
        identity: host.identity.clone(),
    })
}

/// A file's content, if it is UTF-8 and not too long.
fn read(path: &Path) -> Option<String> {
    let mut content = String::new();
    let length = File::open(path)
        .and_then(|file| file.take(FILE_MAX).read_to_string(&mut content))
        .ok()?;
    u64::try_from(length)
        .is_ok_and(|length| length < FILE_MAX)
        .then_some(content)
}

/// A value that may be an attribute's: what has control characters or is too long isn't what its
/// file is for.
fn text(value: &str) -> Option<String> {
    let value = value.trim();
    let is_fit = !value.is_empty() && value.len() <= VALUE_MAX;
    (is_fit && !value.contains(char::is_control)).then(|| value.to_owned())
}

/// The kernel's name for the agent's UTS namespace; in a container that is the container's, so
/// there the host's `/etc/hostname` goes first.
fn name(root: &Root) -> Option<String> {
    let kernel = root.procfs.join("sys/kernel/hostname");
    let file = root.rootfs.join("etc/hostname");
    let order = if root.rootfs == Path::new("/") {
        [kernel, file]
    } else {
        [file, kernel]
    };
    order.iter().find_map(|path| text(&read(path)?))
}

/// machine-id(5); D-Bus had it first. `uninitialized` during the first boot is no id.
fn id(rootfs: &Path) -> Option<String> {
    ["etc/machine-id", "var/lib/dbus/machine-id"]
        .iter()
        .find_map(|path| {
            let content = read(&rootfs.join(path))?;
            let id = content.trim();
            let valid = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            valid.then(|| id.to_owned())
        })
}

/// `host.arch` of the architecture that the agent, and so the kernel, runs on.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc64" => "ppc64",
        other => other,
    }
}
