//! Chips of `/sys/class/hwmon` and their sensors (Documentation/hwmon/sysfs-interface.rst).

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::super::{
    Root,
    read::{self, Skipped},
};

/// Most chips that are looked at, and most sensors of one.
const MAX_CHIPS: usize = 256;
const MAX_SENSORS: usize = 512;

/// A chip.
#[derive(Debug)]
pub(super) struct Chip {
    /// Its device (`coretemp.0`, `0000:03:00.0`), which stays over restarts as `hwmon3` does not.
    pub(super) id: String,
    /// Of its driver (`coretemp`).
    pub(super) name: String,
    directory: PathBuf,
    files: Vec<String>,
}

/// One of a chip's sensors, such as `temp2`.
#[derive(Debug)]
pub(super) struct Sensor<'a> {
    chip: &'a Chip,
    name: String,
}

impl Chip {
    /// Every chip but those that are a thermal zone in other clothes.
    pub(super) fn all(root: &Root, skipped: &mut Skipped) -> Vec<Self> {
        let class = root.sysfs.join("class/hwmon");
        let mut names = read::directory(&class, skipped);
        skipped.many(names.len().saturating_sub(MAX_CHIPS) as u64);
        names.truncate(MAX_CHIPS);
        let mut ids = BTreeSet::new();
        let mut chips = Vec::new();
        for name in names {
            let directory = class.join(&name);
            let device = fs::read_link(directory.join("device")).ok();
            let device = device.and_then(|link| Some(link.file_name()?.to_str()?.to_owned()));
            if device.as_deref().is_some_and(is_zone) {
                continue;
            }
            // Two chips of one device are told apart by their numbers.
            let device = device.filter(|device| !ids.contains(device));
            let id = device.unwrap_or_else(|| name.clone());
            if !ids.insert(id.clone()) {
                skipped.one();
                continue;
            }
            let driver = skipped.or_skip(read::word(&directory.join("name")));
            let files = read::directory(&directory, skipped);
            chips.push(Self {
                name: driver.unwrap_or(name),
                id,
                directory,
                files,
            });
        }
        chips
    }

    /// Its sensors that have a file `{kind}N{end}`, by number.
    pub(super) fn sensors(&self, kind: &str, end: &str, skipped: &mut Skipped) -> Vec<Sensor<'_>> {
        let mut numbers: Vec<u32> = self
            .files
            .iter()
            .filter_map(|file| file.strip_prefix(kind)?.strip_suffix(end)?.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        skipped.many(numbers.len().saturating_sub(MAX_SENSORS) as u64);
        numbers.truncate(MAX_SENSORS);
        numbers
            .into_iter()
            .map(|number| Sensor {
                chip: self,
                name: format!("{kind}{number}"),
            })
            .collect()
    }
}

impl Sensor<'_> {
    /// Unique on the host: `coretemp.0/temp2`.
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.chip.id, self.name)
    }

    /// The driver's name and the sensor's label, or its number where it has none:
    /// `coretemp Core 0`.
    pub(super) fn label(&self, skipped: &mut Skipped) -> String {
        let label = skipped.or_skip(read::word(&self.path("_label")));
        let label = label.filter(|label| !label.is_empty());
        let label = label.as_deref().unwrap_or(&self.name);
        format!("{} {label}", self.chip.name)
    }

    /// The file of it that ends like this, as a number.
    pub(super) fn number(&self, end: &str, skipped: &mut Skipped) -> Option<i64> {
        skipped.or_skip(read::number(&self.path(end)))
    }

    /// The file of it that ends like this, as a flag.
    pub(super) fn flag(&self, end: &str, skipped: &mut Skipped) -> Option<bool> {
        self.number(end, skipped).map(|flag| flag != 0)
    }

    fn path(&self, end: &str) -> PathBuf {
        self.chip.directory.join(format!("{}{end}", self.name))
    }
}

/// `CONFIG_THERMAL_HWMON` shows each zone as a chip too.
fn is_zone(device: &str) -> bool {
    Path::new(device)
        .file_name()
        .and_then(|name| name.to_str()?.strip_prefix("thermal_zone"))
        .is_some()
}
