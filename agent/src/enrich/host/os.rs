//! The operating system, as os-release(5) describes it.

use std::path::Path;

use super::{read, text};

/// `os.type`, `os.name`, `os.version`, `os.description`, `os.build_id`.
pub(super) fn attributes(rootfs: &Path) -> [(&'static str, Option<String>); 5] {
    let release = ["etc/os-release", "usr/lib/os-release"]
        .iter()
        .find_map(|path| read(&rootfs.join(path)))
        .unwrap_or_default();
    let field = |name: &str| {
        let mut lines = release.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        text(&unquote(value))
    };
    [
        ("os.type", Some("linux".to_owned())),
        ("os.name", field("NAME")),
        ("os.version", field("VERSION_ID")),
        ("os.description", field("PRETTY_NAME")),
        ("os.build_id", field("BUILD_ID")),
    ]
}

/// A value as a shell would read it, without expansions.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let quoted = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    quoted.unwrap_or(value).replace('\\', "")
}
