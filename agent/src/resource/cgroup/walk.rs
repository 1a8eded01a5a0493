//! The directories of the mounted hierarchies, within bounds.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, DirEntry},
    os::unix::fs::MetadataExt as _,
    time::Instant,
};

use super::{
    super::read::Skipped,
    hierarchy::{Hierarchies, Mount},
};

/// Most directories that are looked at in one hierarchy.
const MAX_DIRECTORIES: usize = 16_384;
/// Deepest level that is looked at. Kubernetes inside a container of another one has 9.
const MAX_DEPTH: usize = 24;
/// Longest path. Who may make cgroups (a container's own root may, below its own) chooses their
/// names, and each of a cgroup's series carries the path.
const MAX_PATH: usize = 512;

/// One cgroup, which is the same path in each hierarchy that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Of the directory where it was first seen; tells it from a later one of the same name.
    pub(super) inode: u64,
    /// Bit `n` is set where the mount with that number has it.
    mounts: u8,
    pub(super) depth: usize,
}

impl Found {
    /// One that only the mount with this number is known to have.
    fn new(inode: u64, mount: usize, depth: usize) -> Self {
        Self {
            inode,
            mounts: bit(mount),
            depth,
        }
    }

    /// The top of every mount.
    pub(super) const fn top() -> Self {
        Self {
            inode: 0,
            mounts: u8::MAX,
            depth: 0,
        }
    }

    /// Whether the mount with this number has it.
    pub(super) fn is_in(self, mount: usize) -> bool {
        self.mounts & bit(mount) != 0
    }
}

/// There are 6 mounts at most: one for each controller and version 2's.
fn bit(mount: usize) -> u8 {
    u32::try_from(mount)
        .ok()
        .and_then(|mount| 1_u8.checked_shl(mount))
        .unwrap_or(0)
}

/// How much a walk may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) deadline: Instant,
    /// Directories that are looked at in each hierarchy.
    pub(super) directories: usize,
}

impl Bounds {
    pub(super) fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            directories: MAX_DIRECTORIES,
        }
    }
}

/// Every cgroup below the tops, by path (`/system.slice/nginx.service`). What the bounds or the
/// deadline leave out is counted.
pub(super) fn walk(
    hierarchies: &Hierarchies,
    bounds: Bounds,
    skipped: &mut Skipped,
) -> BTreeMap<String, Found> {
    let mut found = BTreeMap::new();
    for (number, mount) in hierarchies.mounts().iter().enumerate() {
        let mut walk = Walk {
            number,
            bounds,
            queue: VecDeque::from([(String::new(), 0)]),
            found: &mut found,
            skipped,
        };
        walk.run(mount);
    }
    found
}

struct Walk<'a> {
    number: usize,
    /// What is left of them.
    bounds: Bounds,
    /// Directories to read, and how deep they are.
    queue: VecDeque<(String, usize)>,
    found: &'a mut BTreeMap<String, Found>,
    skipped: &'a mut Skipped,
}

impl Walk<'_> {
    /// Breadth first, so that what a bound leaves out is deep.
    fn run(&mut self, mount: &Mount) {
        while let Some((path, depth)) = self.queue.pop_front() {
            let directory = mount.base.join(path.trim_start_matches('/'));
            // One that is gone by now is no loss.
            let Ok(entries) = fs::read_dir(directory) else {
                continue;
            };
            for entry in entries.flatten() {
                // A link is none: kernfs has none here, and following one could go in circles.
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if self.bounds.directories == 0 || Instant::now() >= self.bounds.deadline {
                    self.skipped.one();
                    return;
                }
                self.bounds.directories -= 1;
                self.visit(&entry, &path, depth + 1);
            }
        }
    }

    fn visit(&mut self, entry: &DirEntry, parent: &str, depth: usize) {
        let name = entry.file_name();
        let path = name.to_str().map(|name| format!("{parent}/{name}"));
        let Some(path) = path.filter(|path| path.len() <= MAX_PATH) else {
            self.skipped.one();
            return;
        };
        let Ok(metadata) = entry.metadata() else {
            return;
        };
        // kernfs counts subdirectories in the number of links, so that the many cgroups without
        // any needn't be read.
        if metadata.nlink() != 2 {
            if depth < MAX_DEPTH {
                self.queue.push_back((path.clone(), depth));
            } else {
                self.skipped.one();
            }
        }
        self.found
            .entry(path)
            .and_modify(|found| found.mounts |= bit(self.number))
            .or_insert_with(|| Found::new(metadata.ino(), self.number, depth));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt as _, fs::symlink},
        path::Path,
        time::Duration,
    };

    use super::*;

    fn v2(top: &Path) -> Hierarchies {
        fs::write(top.join("cgroup.controllers"), "cpu\n").expect("a file");
        Hierarchies::find(top, &mut Skipped::default())
    }

    fn paths(top: &Path) -> (Vec<String>, u64) {
        within(100, top)
    }

    fn within(directories: usize, top: &Path) -> (Vec<String>, u64) {
        let mut skipped = Skipped::default();
        let bounds = Bounds {
            deadline: Instant::now() + Duration::from_mins(10),
            directories,
        };
        let found = walk(&v2(top), bounds, &mut skipped);
        (found.into_keys().collect(), skipped.count())
    }

    #[test]
    fn every_directory_is_found_with_its_parents() {
        let top = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(top.path().join("a.slice/b.service")).expect("directories");
        fs::create_dir(top.path().join("c")).expect("a directory");
        assert_eq!(
            paths(top.path()),
            (
                ["/a.slice", "/a.slice/b.service", "/c"]
                    .map(String::from)
                    .into(),
                0
            )
        );
    }

    #[test]
    fn fault_28_links_in_circles_are_not_followed() {
        let top = tempfile::tempdir().expect("a directory");
        fs::create_dir(top.path().join("a")).expect("a directory");
        symlink(top.path(), top.path().join("a/loop")).expect("a link");
        symlink("loop", top.path().join("loop")).expect("a link");
        assert_eq!(paths(top.path()), (vec!["/a".to_owned()], 0));
    }

    #[test]
    fn fault_28_names_that_are_no_text_or_too_long_are_skipped_and_counted() {
        let top = tempfile::tempdir().expect("a directory");
        fs::create_dir(top.path().join(OsStr::from_bytes(b"\xff\xfe"))).expect("a directory");
        fs::create_dir(top.path().join("line\nbreak")).expect("a directory");
        let long = "x".repeat(250);
        fs::create_dir_all(top.path().join(&long).join(&long).join(&long)).expect("directories");
        let (found, skipped) = paths(top.path());
        let expected = [
            "/line\nbreak".to_owned(),
            format!("/{long}"),
            format!("/{long}/{long}"),
        ];
        assert_eq!(found, expected);
        assert_eq!(skipped, 2);
    }

    #[test]
    fn fault_22_depth_and_number_are_bounded_and_what_is_over_is_counted() {
        let top = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(top.path().join("d/".repeat(MAX_DEPTH + 3))).expect("directories");
        let (found, skipped) = paths(top.path());
        assert_eq!((found.len(), skipped), (MAX_DEPTH, 1));

        let (found, skipped) = within(MAX_DEPTH - 1, top.path());
        assert_eq!((found.len(), skipped), (MAX_DEPTH - 1, 1));
    }

    #[test]
    fn a_deadline_that_has_passed_ends_the_walk() {
        let top = tempfile::tempdir().expect("a directory");
        fs::create_dir(top.path().join("a")).expect("a directory");
        let mut skipped = Skipped::default();
        let found = walk(&v2(top.path()), Bounds::until(Instant::now()), &mut skipped);
        assert_eq!((found.len(), skipped.count()), (0, 1));
    }
}
