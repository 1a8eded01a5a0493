//! Whose work a kernel thread does: from the cgroup that it charges to the processes in there.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Read as _,
    os::unix::fs::DirEntryExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::process::Processes;
use crate::metric::Resource;

/// Most cgroups of one hierarchy that are known, and most directories that one walk visits.
const CAPACITY: usize = 16_384;
/// Longest `cgroup.procs` that is read: some 8,000 processes.
const PROCS_MAX: u64 = 64 << 10;
/// The first id of a hierarchy is its root's.
const ROOT: u64 = 1;
/// Parent of all kernel threads.
const KTHREADD: u32 = 2;

/// A cgroup by the hierarchy's number, 0 for v2, and the id of its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CgroupId {
    /// Number of the hierarchy (/proc/cgroups).
    pub hierarchy: u32,
    /// Inode number of its directory.
    pub id: u64,
}

/// The cgroups to which block I/O is charged: those of v2, and of v1's blkio.
#[derive(Debug)]
pub struct Charges {
    v2: Hierarchy,
    v1: Hierarchy,
    /// A process of each cgroup that was asked for, for when all have ended.
    members: HashMap<CgroupId, u32>,
}

/// A hierarchy of cgroups.
#[derive(Debug, Default)]
struct Hierarchy {
    mount: Option<PathBuf>,
    directories: HashMap<u64, PathBuf>,
    /// Whether it has been walked since [`Charges::refresh`].
    is_fresh: bool,
}

impl Charges {
    /// For the hierarchies below `sysfs`: v2 at `fs/cgroup`, or `fs/cgroup/unified` in a hybrid
    /// set-up, v1 at `fs/cgroup/blkio`.
    #[must_use]
    pub fn new(sysfs: &Path) -> Self {
        let unified = sysfs.join("fs/cgroup");
        let v2 = [unified.join("unified"), unified.clone()];
        Self {
            // `cgroup.controllers` exists in v2 only.
            v2: Hierarchy::of(
                v2.into_iter()
                    .find(|path| path.join("cgroup.controllers").exists()),
            ),
            v1: Hierarchy::of(Some(unified.join("blkio")).filter(|path| path.is_dir())),
            members: HashMap::new(),
        }
    }

    /// Lets ids that aren't known be looked for once more. Once for each reading, so that cgroups
    /// that are gone don't cost a walk each.
    pub fn refresh(&mut self) {
        self.v2.is_fresh = false;
        self.v1.is_fresh = false;
    }

    /// Whose work it is that is charged to this cgroup: that of the service which all of its
    /// processes belong to; the kernel's own at the root, or where the kernel names no cgroup;
    /// nobody's that is known where processes of several services share the cgroup.
    pub fn owner(&mut self, cgroup: CgroupId, processes: &mut Processes) -> Arc<Resource> {
        if cgroup.id <= ROOT {
            return processes.owner(KTHREADD);
        }
        let hierarchy = if cgroup.hierarchy == 0 {
            &mut self.v2
        } else {
            &mut self.v1
        };
        let members = hierarchy.members(cgroup.id);
        let Some(first) = members.first().copied() else {
            // What it wrote is often written back when it is gone.
            let last = self.members.get(&cgroup).copied();
            return processes.owner(last.unwrap_or(0));
        };
        let owner = processes.owner(first);
        if members.iter().any(|tgid| processes.owner(*tgid) != owner) {
            return processes.owner(0);
        }
        if self.members.len() >= CAPACITY {
            self.members.clear();
        }
        self.members.insert(cgroup, first);
        owner
    }
}

impl Hierarchy {
    fn of(mount: Option<PathBuf>) -> Self {
        Self {
            mount,
            ..Self::default()
        }
    }

    /// The processes in the cgroup, not in those below.
    fn members(&mut self, id: u64) -> Vec<u32> {
        if !self.directories.contains_key(&id) && !self.is_fresh {
            self.walk();
        }
        let Some(directory) = self.directories.get(&id) else {
            return Vec::new();
        };
        let Ok(file) = File::open(directory.join("cgroup.procs")) else {
            self.directories.remove(&id);
            return Vec::new();
        };
        let mut text = String::new();
        // What is cut off at the end, if anything, is a number that would be wrong.
        if file.take(PROCS_MAX).read_to_string(&mut text).is_err() {
            return Vec::new();
        }
        let whole = text.rfind('\n').map_or("", |end| text.split_at(end).0);
        whole
            .lines()
            .filter_map(|line| line.parse().ok())
            // 0 stands for a process of another namespace.
            .filter(|tgid| *tgid != 0)
            .collect()
    }

    /// Reads the tree, breadth first.
    fn walk(&mut self) {
        self.is_fresh = true;
        let Some(mount) = &self.mount else { return };
        self.directories.clear();
        let mut queue = std::collections::VecDeque::from([mount.clone()]);
        while let Some(directory) = queue.pop_front() {
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
            for entry in entries.filter(|one| one.file_type().is_ok_and(|kind| kind.is_dir())) {
                if self.directories.len() >= CAPACITY {
                    return;
                }
                self.directories.insert(entry.ino(), entry.path());
                queue.push_back(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::{aggregate::fixture::host, enrich::process::Limits, root::Root};

    struct Scene {
        root: tempfile::TempDir,
        processes: Processes,
        charges: Charges,
    }

    impl Scene {
        /// Processes 10 and 11 of the service a, 20 of b, and kthreadd.
        fn new(mount: &str) -> Self {
            let root = tempfile::tempdir().unwrap();
            let paths = Root {
                procfs: root.path().join("proc"),
                sysfs: root.path().join("sys"),
                rootfs: root.path().to_owned(),
            };
            for (tgid, name, parent, flags) in [
                (2, "kthreadd", 0, 0x0020_8040),
                (10, "a", 1, 0),
                (11, "a", 1, 0),
                (20, "b", 1, 0),
            ] {
                let directory = paths.procfs.join(tgid.to_string());
                fs::create_dir_all(&directory).unwrap();
                let stat = format!(
                    "{tgid} ({name}) S {parent} 0 0 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 {tgid} \
                     0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
                );
                fs::write(directory.join("stat"), stat).unwrap();
                fs::write(directory.join("cgroup"), "0::/\n").unwrap();
            }
            let mount = paths.sysfs.join("fs/cgroup").join(mount);
            fs::create_dir_all(&mount).unwrap();
            if !mount.ends_with("blkio") {
                fs::write(mount.join("cgroup.controllers"), "").unwrap();
            }
            let mut processes = Processes::new(&paths, host(), Limits::default());
            while !processes.sweep(1, 64) {}
            Self {
                charges: Charges::new(&paths.sysfs),
                root,
                processes,
            }
        }

        /// A cgroup with these processes; its id.
        fn group(&self, path: &str, members: &str) -> u64 {
            let directory = self.root.path().join("sys/fs/cgroup").join(path);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("cgroup.procs"), members).unwrap();
            fs::metadata(directory).unwrap().ino()
        }

        fn owner(&mut self, hierarchy: u32, id: u64) -> String {
            let cgroup = CgroupId { hierarchy, id };
            let owner = self.charges.owner(cgroup, &mut self.processes);
            let name = owner
                .attributes
                .iter()
                .find(|(key, _)| *key == "service.name");
            name.unwrap().1.to_string()
        }
    }

    #[test]
    fn work_is_its_whose_processes_are_in_the_cgroup() {
        for (mount, hierarchy) in [("", 0), ("unified", 0), ("blkio", 7)] {
            let mut scene = Scene::new(mount);
            let path = Path::new(mount).join("user/job");
            let id = scene.group(path.to_str().unwrap(), "10\n11\n");
            assert_eq!(scene.owner(hierarchy, id), "a", "{mount:?}");
        }
    }

    #[test]
    fn the_root_and_no_cgroup_at_all_are_the_kernels() {
        let mut scene = Scene::new("");
        assert_eq!(scene.owner(0, 0), "kernel");
        assert_eq!(scene.owner(0, ROOT), "kernel");
    }

    #[test]
    fn processes_of_several_services_leave_it_open_whose_it_is() {
        let mut scene = Scene::new("");
        let id = scene.group("session", "10\n20\n");
        assert_eq!(scene.owner(0, id), "unknown");
    }

    #[test]
    fn what_is_written_back_late_belongs_to_who_was_there_last() {
        let mut scene = Scene::new("");
        let id = scene.group("job", "20\n");
        assert_eq!(scene.owner(0, id), "b");
        scene.group("job", "");
        assert_eq!(scene.owner(0, id), "b");
        fs::remove_dir_all(scene.root.path().join("sys/fs/cgroup/job")).unwrap();
        assert_eq!(scene.owner(0, id), "b");
    }

    #[test]
    fn the_tree_is_walked_once_for_a_reading() {
        let mut scene = Scene::new("");
        assert_eq!(scene.owner(0, u64::MAX), "unknown");
        let id = scene.group("late", "10\n");
        assert_eq!(scene.owner(0, id), "unknown");
        scene.charges.refresh();
        assert_eq!(scene.owner(0, id), "a");
    }

    #[test]
    fn fault_28_a_list_of_processes_that_is_none_names_nobody() {
        let mut scene = Scene::new("");
        for text in ["\0\0\n", "0\n", "-1\n99999999999\n", "10"] {
            let id = scene.group("job", text);
            assert_eq!(scene.owner(0, id), "unknown", "{text:?}");
        }
    }
}
