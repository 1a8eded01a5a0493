//! The disks that requests are told of.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use sonde_common::event::block::Pending;

/// A request that has been at its device for longer, in nanoseconds, is looked for in the kernel's
/// own count as well: its end may not have been seen.
const LONG: u64 = 1_000_000_000;

/// Names of disks, by number.
#[derive(Debug)]
pub(super) struct Disks {
    directory: PathBuf,
    names: HashMap<u32, Disk>,
}

#[derive(Debug)]
struct Disk {
    name: Arc<str>,
    is_present: bool,
}

impl Disks {
    pub(super) fn new(sysfs: &Path) -> Self {
        Self {
            directory: sysfs.join("dev/block"),
            names: HashMap::new(),
        }
    }

    /// Reads the names of those that are told of, and forgets the others. A disk that is gone keeps
    /// its name.
    pub(super) fn refresh(&mut self, devices: HashSet<u32>) {
        self.names.retain(|device, _| devices.contains(device));
        for device in devices {
            let found = self.read(device);
            let is_present = found.is_some();
            let known = self.names.entry(device).or_insert_with(|| Disk {
                name: numbers(device).into(),
                is_present,
            });
            known.is_present = is_present;
            if let Some(name) = found
                && *name != *known.name
            {
                known.name = name.into();
            }
        }
    }

    /// The name in `/sys/dev/block`, where a `/` in it is written as `!`.
    fn read(&self, device: u32) -> Option<String> {
        let target = fs::read_link(self.directory.join(numbers(device))).ok()?;
        Some(target.file_name()?.to_str()?.replace('!', "/"))
    }

    /// Leaves out the requests whose end wasn't seen. The kernel side counts them as lost when it
    /// meets another one at their address.
    pub(super) fn leave_out_ended(&self, pending: &mut Vec<Pending>, now: u64) {
        let mut idle = HashMap::new();
        pending.retain(|pending| {
            let device = pending.key.of.device;
            let is_long = pending.issued != 0 && now.saturating_sub(pending.issued) > LONG;
            self.is_present(device)
                && !(is_long && *idle.entry(device).or_insert_with(|| self.is_idle(device)))
        });
    }

    fn is_present(&self, device: u32) -> bool {
        // One that nothing has been done on yet isn't known.
        self.names.get(&device).is_none_or(|disk| disk.is_present)
    }

    /// Whether the kernel knows of no request that the disk works on (`inflight`, which counts where
    /// `queue/iostats` is on).
    fn is_idle(&self, device: u32) -> bool {
        let disk = self.directory.join(numbers(device));
        let read = |name| fs::read_to_string(disk.join(name)).unwrap_or_default();
        read("inflight").split_whitespace().eq(["0", "0"]) && read("queue/iostats").trim() == "1"
    }

    /// Its name, else its numbers.
    pub(super) fn name(&self, device: u32) -> Arc<str> {
        self.names
            .get(&device)
            .map_or_else(|| numbers(device).into(), |disk| Arc::clone(&disk.name))
    }
}

/// `254:0`
fn numbers(device: u32) -> String {
    format!("{}:{}", device >> 20, device & 0xf_ffff)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use sonde_common::event::block::{DeviceKey, Owner, UsageKey};

    use super::*;

    const SDA: u32 = 8 << 20;

    #[test]
    fn a_disk_keeps_its_name_when_it_is_gone_and_another_takes_its_number() {
        let sysfs = tempfile::tempdir().unwrap();
        let directory = sysfs.path().join("dev/block");
        fs::create_dir_all(&directory).unwrap();
        let link = directory.join("8:0");
        symlink("../../devices/x/block/sda", &link).unwrap();
        let mut disks = Disks::new(sysfs.path());
        assert_eq!(&*disks.name(SDA), "8:0", "not read yet");
        let told = || HashSet::from([SDA]);
        disks.refresh(told());
        assert_eq!((&*disks.name(SDA), disks.is_present(SDA)), ("sda", true));
        fs::remove_file(&link).unwrap();
        disks.refresh(told());
        assert_eq!((&*disks.name(SDA), disks.is_present(SDA)), ("sda", false));
        symlink("../../devices/y/block/cciss!c0d0", &link).unwrap();
        disks.refresh(told());
        assert_eq!(
            (&*disks.name(SDA), disks.is_present(SDA)),
            ("cciss/c0d0", true)
        );
        disks.refresh(HashSet::new());
        assert_eq!(&*disks.name(SDA), "8:0", "forgotten");
    }

    #[test]
    fn what_an_idle_disk_seems_to_work_on_has_ended() {
        const NOW: u64 = 100 * LONG;
        let sysfs = tempfile::tempdir().unwrap();
        let disk = sysfs.path().join("dev/block/8:0");
        fs::create_dir_all(disk.join("queue")).unwrap();
        let set = |file: &str, text| fs::write(disk.join(file), text).unwrap();
        let disks = Disks::new(sysfs.path());
        let left = |issued| {
            let key = UsageKey {
                of: DeviceKey {
                    device: SDA,
                    operation: 0,
                },
                owner: Owner::KERNEL,
            };
            let mut pending = vec![Pending {
                submitted: 1,
                issued,
                bytes: 0,
                key,
            }];
            disks.leave_out_ended(&mut pending, NOW);
            pending.len()
        };
        let (waits, short, long) = (0, NOW - LONG, NOW - LONG - 1);
        assert_eq!(left(long), 1, "nothing is known");
        set("inflight", "       0        0\n");
        assert_eq!(left(long), 1, "nor whether it counts");
        set("queue/iostats", "0\n");
        assert_eq!(left(long), 1, "it doesn't count");
        set("queue/iostats", "1\n");
        assert_eq!([left(waits), left(short), left(long)], [1, 1, 0]);
        set("inflight", "       0        1\n");
        assert_eq!(left(long), 1, "it is at work");
    }
}
