//! The host's resource.

use std::{fs, path::Path, sync::Arc};

use crate::{
    metric::{AttributeValue, Attributes, Resource},
    root::Root,
};

/// Describes the host: `host.name`, `host.id`, `host.arch`, `os.type`, `os.name`, `os.version`,
/// `os.description`. What the host's files don't tell is absent.
#[must_use]
pub fn resource(root: &Root) -> Arc<Resource> {
    let release = os_release(&root.rootfs);
    let field = |name: &str| {
        let prefix = format!("{name}=");
        let value = release
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))?;
        text(&unquote(value))
    };
    let attributes: Attributes = [
        ("host.name", name(root)),
        ("host.id", id(&root.rootfs)),
        ("host.arch", text(arch())),
        ("os.type", text("linux")),
        ("os.name", field("NAME")),
        ("os.version", field("VERSION_ID")),
        ("os.description", field("PRETTY_NAME")),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect();
    Arc::new(Resource {
        attributes,
        identity: Attributes::none(),
    })
}

fn text(value: &str) -> Option<AttributeValue> {
    let value = value.trim();
    (!value.is_empty()).then(|| value.into())
}

/// The kernel's name for the agent's UTS namespace; in a container that is the container's, so
/// there the host's `/etc/hostname` goes first.
fn name(root: &Root) -> Option<AttributeValue> {
    let kernel = root.procfs.join("sys/kernel/hostname");
    let file = root.rootfs.join("etc/hostname");
    let order = if root.rootfs == Path::new("/") {
        [kernel, file]
    } else {
        [file, kernel]
    };
    order
        .iter()
        .find_map(|path| text(&fs::read_to_string(path).ok()?))
}

/// machine-id(5); D-Bus had it first. `uninitialized` during the first boot is no id.
fn id(rootfs: &Path) -> Option<AttributeValue> {
    ["etc/machine-id", "var/lib/dbus/machine-id"]
        .iter()
        .find_map(|path| {
            let content = fs::read_to_string(rootfs.join(path)).ok()?;
            let id = content.trim();
            let valid = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            valid.then(|| id.into())
        })
}

/// os-release(5).
fn os_release(rootfs: &Path) -> String {
    ["etc/os-release", "usr/lib/os-release"]
        .iter()
        .find_map(|path| fs::read_to_string(rootfs.join(path)).ok())
        .unwrap_or_default()
}

/// A value as a shell would read it, without expansions.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let quoted = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    quoted.unwrap_or(value).replace('\\', "")
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_hosts_files_are_read_below_the_root() {
        let (_directory, root) = tree(&[
            ("etc/hostname", "node-7\n"),
            ("proc/sys/kernel/hostname", "container\n"),
            ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
            (
                "etc/os-release",
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME='Debian GNU/Linux'\nVERSION_ID=12\n",
            ),
        ]);
        let host = resource(&root);
        let expected = [
            ("host.name", "node-7"),
            ("host.id", "0123456789abcdef0123456789abcdef"),
            ("os.type", "linux"),
            ("os.name", "Debian GNU/Linux"),
            ("os.version", "12"),
            ("os.description", "Debian GNU/Linux 12 (bookworm)"),
        ];
        for (name, value) in expected {
            assert_eq!(get(&host, name).as_deref(), Some(value));
        }
        assert_eq!(host.identity, Attributes::none());
    }

    #[test]
    fn what_is_missing_or_no_id_is_absent() {
        let (_directory, root) = tree(&[("etc/machine-id", "uninitialized\n")]);
        let host = resource(&root);
        for name in [
            "host.name",
            "host.id",
            "os.name",
            "os.version",
            "os.description",
        ] {
            assert_eq!(get(&host, name), None, "{name}");
        }
        assert_eq!(get(&host, "os.type").as_deref(), Some("linux"));
    }
}
