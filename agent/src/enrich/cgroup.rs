//! cgroup ids to places: for processes that are gone before `/proc` could tell their cgroup.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::DirEntryExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    container::Placement,
    counter::{Loss, Losses},
};

/// Most ids that are kept, and most directories that one walk visits.
const CAPACITY: usize = 16_384;
/// A walk costs milliseconds; short-lived processes in cgroups that are gone must not cause one each.
const WALK_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of the cgroup2 hierarchy's directories, by inode number, which is the id that
/// the kernel's records carry (`kernfs_node.id`).
#[derive(Debug)]
pub(super) struct Cgroups {
    mount: Option<PathBuf>,
    known: HashMap<u64, Placement>,
    /// When the tree was last walked, on the clock of the events.
    walked: Option<u64>,
}

impl Cgroups {
    /// For the cgroup2 mount below `sysfs`: `fs/cgroup`, or `fs/cgroup/unified` in a hybrid
    /// set-up. Without one (pure v1) every lookup finds nothing.
    pub(super) fn new(sysfs: &Path) -> Self {
        let unified = sysfs.join("fs/cgroup");
        let hybrid = unified.join("unified");
        // `cgroup.controllers` exists in cgroup2 only.
        let mount = [unified, hybrid]
            .into_iter()
            .find(|path| path.join("cgroup.controllers").exists());
        Self {
            mount,
            known: HashMap::new(),
            walked: None,
        }
    }

    /// How many ids are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Learns an id from a process that was seen with it.
    pub(super) fn learn(&mut self, id: u64, placement: &Placement) {
        if id == 0 || self.mount.is_none() {
            return;
        }
        if self.known.len() >= CAPACITY && !self.known.contains_key(&id) {
            // Only a cache: those still in use come back at their next sight.
            self.known.clear();
        }
        self.known.insert(id, placement.clone());
    }

    /// The place of the cgroup with this id; `now` is the time of the event that asks.
    pub(super) fn find(&mut self, id: u64, now: u64, losses: &mut Losses) -> Option<Placement> {
        if id == 0 || self.mount.is_none() {
            return None;
        }
        if !self.known.contains_key(&id) && self.may_walk(now) {
            self.walk(losses);
        }
        let placement = self.known.get(&id).cloned();
        if placement.is_none() {
            losses.add(Loss::CgroupUnresolved);
        }
        placement
    }

    fn may_walk(&mut self, now: u64) -> bool {
        let interval = u64::try_from(WALK_INTERVAL.as_nanos()).unwrap_or(u64::MAX);
        let may = self
            .walked
            .is_none_or(|walked| now.saturating_sub(walked) >= interval);
        if may {
            self.walked = Some(now);
        }
        may
    }

    /// Reads the whole tree, breadth first, up to [`CAPACITY`] directories.
    fn walk(&mut self, losses: &mut Losses) {
        let Some(mount) = &self.mount else { return };
        self.known.clear();
        let mut queue = std::collections::VecDeque::from([mount.clone()]);
        while let Some(directory) = queue.pop_front() {
            let Ok(entries) = fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if self.known.len() >= CAPACITY {
                    losses.add(Loss::CgroupWalkLimit);
                    return;
                }
                let path = entry.path();
                let below = path.strip_prefix(mount).unwrap_or(&path);
                let placement = Placement::of_path(&below.to_string_lossy());
                self.known.insert(entry.ino(), placement);
                queue.push_back(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn tree(sub: &str) -> (tempfile::TempDir, PathBuf) {
        let sysfs = tempfile::tempdir().unwrap();
        let mount = sysfs.path().join("fs/cgroup").join(sub);
        fs::create_dir_all(mount.join("system.slice/nginx.service")).unwrap();
        fs::write(mount.join("cgroup.controllers"), "cpu memory\n").unwrap();
        (sysfs, mount)
    }

    #[test]
    fn an_id_is_found_by_the_directorys_inode_number() {
        for sub in ["", "unified"] {
            let (sysfs, mount) = tree(sub);
            let unit = mount.join("system.slice/nginx.service");
            let id = fs::metadata(unit).unwrap().ino();
            let mut losses = Losses::default();
            let mut cgroups = Cgroups::new(sysfs.path());
            let placement = cgroups.find(id, SECOND, &mut losses).unwrap();
            assert_eq!(placement.unit.as_deref(), Some("nginx"), "{sub:?}");
            assert_eq!(losses, Losses::default());
        }
    }

    #[test]
    fn the_tree_is_walked_at_most_once_a_second() {
        let (sysfs, mount) = tree("");
        let mut losses = Losses::default();
        let mut cgroups = Cgroups::new(sysfs.path());
        assert_eq!(cgroups.find(u64::MAX, 0, &mut losses), None);
        assert_eq!(losses.get(Loss::CgroupUnresolved), 1);
        let late = mount.join("late.service");
        fs::create_dir(&late).unwrap();
        let id = fs::metadata(late).unwrap().ino();
        assert_eq!(cgroups.find(id, SECOND / 2, &mut losses), None);
        assert!(cgroups.find(id, SECOND, &mut losses).is_some());
    }

    #[test]
    fn fault_27_pure_v1_finds_nothing_and_counts_nothing() {
        let sysfs = tempfile::tempdir().unwrap();
        let mut losses = Losses::default();
        assert_eq!(Cgroups::new(sysfs.path()).find(5, 0, &mut losses), None);
        assert_eq!(losses, Losses::default());
    }
}
