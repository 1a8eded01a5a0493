//! Which mounts are filesystems that can fill up (`/proc/PID/mountinfo`).

use std::collections::{BTreeMap, HashMap};

use procfs::process::MountInfo;

use crate::resource::read::{self, Skipped};

/// Filesystems that are views of the kernel, read-only images, or layers of what is counted
/// elsewhere.
const PSEUDO: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// Trees whose mounts belong to the kernel, to containers or to single services.
const OTHERS: &[&str] = &[
    "/dev",
    "/proc",
    "/sys",
    "/run/credentials",
    "/run/user",
    "/run/containerd",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers/storage",
    "/var/lib/kubelet/pods",
];

/// Mounts beyond this many are given up, the deepest first.
const MAX_MOUNTS: usize = 1024;

/// Major and minor number of a filesystem's device.
pub(super) type Device = (u64, u64);

/// One filesystem and where it is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) point: String,
    pub(super) source: String,
    pub(super) kind: String,
    pub(super) is_read_only: bool,
    pub(super) device: Device,
    /// Whether a part of the filesystem is mounted rather than its root.
    is_part: bool,
}

/// The mounts to report, in the order of their mount points. A filesystem that is mounted several
/// times (bind mounts, subvolumes) is taken once: where its own root is mounted, at the shortest
/// mount point. Of mounts on top of each other, the one that is visible is taken.
pub(super) fn parse(text: &str, skipped: &mut Skipped) -> Vec<Mount> {
    let mounts = skipped.lines(text.lines(), |line| {
        Mount::new(MountInfo::from_line(line).ok()?)
    });
    let mut visible = HashMap::new();
    for mount in mounts {
        visible.insert(mount.point.clone(), mount);
    }
    let mut by_device: BTreeMap<Device, Mount> = BTreeMap::new();
    for mount in visible.into_values().filter(Mount::is_reported) {
        let device = mount.device;
        match by_device.get(&device) {
            Some(other) if other.rank() <= mount.rank() => {}
            _ => {
                by_device.insert(device, mount);
            }
        }
    }
    let mut mounts: Vec<_> = by_device.into_values().collect();
    if mounts.len() > MAX_MOUNTS {
        mounts.sort_by(|left, right| left.rank().cmp(&right.rank()));
        skipped.many((mounts.len() - MAX_MOUNTS) as u64);
        mounts.truncate(MAX_MOUNTS);
    }
    mounts.sort_by(|left, right| left.point.cmp(&right.point));
    mounts
}

impl Mount {
    fn new(info: MountInfo) -> Option<Self> {
        let (major, minor) = info.majmin.split_once(':')?;
        // The superblock's flag is what an error turns on; the mount's own may be a choice.
        let is_read_only =
            info.super_options.contains_key("ro") || info.mount_options.contains_key("ro");
        Some(Self {
            point: read::unescape(&info.mount_point.to_string_lossy()),
            source: read::unescape(info.mount_source.as_deref().unwrap_or("none")),
            device: (major.parse().ok()?, minor.parse().ok()?),
            is_part: info.root != "/",
            kind: info.fs_type,
            is_read_only,
        })
    }

    fn rank(&self) -> (bool, usize, &str) {
        (self.is_part, self.point.len(), &self.point)
    }

    fn is_reported(&self) -> bool {
        let is_below = |tree: &str| {
            self.point
                .strip_prefix(tree)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.point.starts_with('/')
            && !PSEUDO.contains(&self.kind.as_str())
            && !OTHERS.iter().any(|tree| is_below(tree))
    }

    /// Whether `device` is this filesystem's. btrfs gives each subvolume a device of its own.
    pub(super) fn is_on(&self, device: Device) -> bool {
        self.kind == "btrfs" || self.device == device
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(text: &str) -> Vec<String> {
        let mounts = parse(text, &mut Skipped::default());
        mounts.into_iter().map(|mount| mount.point).collect()
    }

    #[test]
    fn a_filesystem_is_counted_once_where_its_root_is_mounted() {
        let text = "1 0 8:1 / /srv/data rw - ext4 /dev/sda1 rw\n\
                    2 0 8:1 /a /a rw - ext4 /dev/sda1 rw\n\
                    3 0 8:1 / /srv/data/again rw - ext4 /dev/sda1 rw\n";
        assert_eq!(points(text), ["/srv/data"]);
    }

    #[test]
    fn the_upper_of_two_mounts_on_one_point_is_the_visible_one() {
        let text = "1 0 8:1 / /data rw - ext4 /dev/sda1 rw\n\
                    2 0 8:2 / /data ro - xfs /dev/sda2 rw\n";
        let mounts = parse(text, &mut Skipped::default());
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].kind, "xfs");
        assert!(mounts[0].is_read_only);
    }

    #[test]
    fn names_with_spaces_and_newlines_are_decoded() {
        let text = r"1 0 8:1 / /mnt/my\040disk\012x rw - ext4 /dev/disk\040one rw";
        let mounts = parse(text, &mut Skipped::default());
        assert_eq!(mounts[0].point, "/mnt/my disk\nx");
        assert_eq!(mounts[0].source, "/dev/disk one");
    }

    #[test]
    fn kernel_views_and_container_layers_are_left_out() {
        let text = "1 0 0:4 / /proc rw - proc proc rw\n\
                    2 0 0:5 / /var/lib/docker/overlay2/x/merged rw - ext4 x rw\n\
                    3 0 0:6 / /var/lib/dockerish rw - ext4 y rw\n\
                    4 0 0:7 / /merged rw - overlay overlay rw\n";
        assert_eq!(points(text), ["/var/lib/dockerish"]);
    }

    #[test]
    fn more_mounts_than_the_cap_are_given_up_and_counted() {
        let lines = (0..MAX_MOUNTS + 5).map(|n| format!("1 0 8:{n} / /m{n} rw - ext4 /dev/s rw"));
        let mut skipped = Skipped::default();
        let mounts = parse(&lines.collect::<Vec<_>>().join("\n"), &mut skipped);
        assert_eq!((mounts.len(), skipped.count()), (MAX_MOUNTS, 5));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "([0-9: /a-z\\\\,-]{0,60}\n){0,8}|.*") {
            parse(&text, &mut Skipped::default());
        }
    }
}
