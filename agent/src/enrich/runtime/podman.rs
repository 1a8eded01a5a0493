//! Podman's containers, as containers/storage lists them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Names, file::json};
use crate::enrich::counter::Losses;

/// Most users whose files are looked at.
const HOMES_MAX: usize = 256;
/// Storage drivers, whose names the lists are called by.
const DRIVERS: [&str; 3] = ["overlay", "vfs", "btrfs"];
/// Containers that outlive a restart of the host, and others.
const LISTS: [&str; 2] = ["containers.json", "volatile-containers.json"];

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

pub(super) fn names(rootfs: &Path, id: &str, losses: &mut Losses) -> Option<Names> {
    let system = rootfs.join("var/lib/containers/storage");
    let of_users = homes(rootfs).map(|home| home.join(".local/share/containers/storage"));
    std::iter::once(system)
        .chain(of_users)
        .flat_map(|storage| DRIVERS.map(|driver| storage.join(format!("{driver}-containers"))))
        .flat_map(|directory| LISTS.map(|list| directory.join(list)))
        .find_map(|path| {
            let entries: Vec<Entry> = json(&path, losses)?;
            let entry = entries.into_iter().find(|entry| entry.id == id)?;
            let name = entry.names.into_iter().next()?;
            Some(Names {
                container: Some(name.into()),
                ..Names::default()
            })
        })
}

/// Home directories of users who may run containers of their own.
pub(super) fn homes(rootfs: &Path) -> impl Iterator<Item = PathBuf> {
    let homes = fs::read_dir(rootfs.join("home")).into_iter().flatten();
    homes.flatten().take(HOMES_MAX).map(|home| home.path())
}
