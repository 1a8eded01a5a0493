//! Which cgroup hierarchies are mounted, and in which of them each controller's files are.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::super::read::{self, Skipped};

/// Which of the two interfaces a hierarchy's files speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Documentation/admin-guide/cgroup-v1.
    V1,
    /// Documentation/admin-guide/cgroup-v2.rst.
    V2,
}

/// What a cgroup's files are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    Cpu,
    /// In version 2 a part of `Cpu`.
    Cpuacct,
    Memory,
    /// `blkio` in version 1.
    Io,
    Pids,
    /// Pressure stall information, which only version 2 has, and without any controller.
    Pressure,
}

impl Controller {
    const ALL: [Self; 6] = [
        Self::Cpu,
        Self::Cpuacct,
        Self::Memory,
        Self::Io,
        Self::Pids,
        Self::Pressure,
    ];

    /// In the name of a version 1 mount.
    const fn v1_name(self) -> Option<&'static str> {
        match self {
            Self::Cpu => Some("cpu"),
            Self::Cpuacct => Some("cpuacct"),
            Self::Memory => Some("memory"),
            Self::Io => Some("blkio"),
            Self::Pids => Some("pids"),
            Self::Pressure => None,
        }
    }
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) base: PathBuf,
    pub(super) version: Version,
    /// Whether its top is a cgroup that has a parent: the mount of a cgroup namespace.
    is_part: bool,
    /// Device and inode number of its top.
    identity: (u64, u64),
}

/// How the host has set its hierarchies up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    V1,
    V2,
    Hybrid,
}

impl Mode {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Hybrid => "hybrid",
        }
    }
}

/// The mounted hierarchies below `/sys/fs/cgroup`.
#[derive(Debug, Default)]
pub(super) struct Hierarchies {
    mounts: Vec<Mount>,
    /// By [`Controller`], an index into `mounts`.
    of: [Option<usize>; Controller::ALL.len()],
}

impl Hierarchies {
    /// Finds those below `top`, usually `/sys/fs/cgroup`; none where nothing is mounted.
    pub(super) fn find(top: &Path, skipped: &mut Skipped) -> Self {
        let mut found = Self::default();
        if let Some(unified) = Mount::v2(top) {
            found.serve(unified, &Controller::ALL);
            return found;
        }
        for name in read::directory(top, skipped) {
            let is_named = |controller: &Controller| {
                let wanted = controller.v1_name();
                wanted.is_some_and(|wanted| name.split(',').any(|part| part == wanted))
            };
            let controllers: Vec<_> = Controller::ALL.into_iter().filter(is_named).collect();
            if let Some(mount) = Mount::v1(&top.join(&name))
                && !controllers.is_empty()
            {
                found.serve(mount, &controllers);
            }
        }
        if let Some(unified) = Mount::v2(&top.join("unified")) {
            found.serve(unified, &Controller::ALL);
        }
        found
    }

    /// Adds a mount that serves those of `controllers` that no other one does.
    fn serve(&mut self, mount: Mount, controllers: &[Controller]) {
        // A link (`cpu -> cpu,cpuacct`) and what it points to are one hierarchy.
        let known = self.mounts.iter();
        let known = known.map(|known| known.identity);
        let index = known.into_iter().position(|known| known == mount.identity);
        let index = index.unwrap_or_else(|| {
            self.mounts.push(mount);
            self.mounts.len() - 1
        });
        for controller in controllers {
            let slot = self.of.get_mut(*controller as usize);
            if let Some(slot @ None) = slot {
                *slot = Some(index);
            }
        }
    }

    /// The mounts, each once.
    pub(super) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// Where a controller's files are, and the number of that mount in [`Self::mounts`].
    pub(super) fn of(&self, controller: Controller) -> Option<(usize, &Mount)> {
        let index = *self.of.get(controller as usize)?.as_ref()?;
        Some((index, self.mounts.get(index)?))
    }

    /// How the host has set them up; `None` without any.
    pub(super) fn mode(&self) -> Option<Mode> {
        let has = |version| self.mounts.iter().any(|mount| mount.version == version);
        match (has(Version::V1), has(Version::V2)) {
            (false, false) => None,
            (true, false) => Some(Mode::V1),
            (false, true) => Some(Mode::V2),
            (true, true) => Some(Mode::Hybrid),
        }
    }

    /// Whether what is seen is a part of the host's tree: the agent runs in a cgroup namespace.
    pub(super) fn is_part(&self) -> bool {
        self.mounts.iter().any(|mount| mount.is_part)
    }
}

impl Mount {
    fn v2(base: &Path) -> Option<Self> {
        base.join("cgroup.controllers").exists().then_some(())?;
        // Not at the root (CFTYPE_NOT_ON_ROOT in kernel/cgroup/cgroup.c).
        let is_part = base.join("cgroup.type").exists();
        Self::new(base, Version::V2, is_part)
    }

    fn v1(base: &Path) -> Option<Self> {
        // Every cgroup has it; an empty directory that nothing is mounted on has not.
        base.join("cgroup.procs").exists().then_some(())?;
        // Only at the root (CFTYPE_ONLY_ON_ROOT in kernel/cgroup/cgroup-v1.c).
        let is_part = !base.join("release_agent").exists();
        Self::new(base, Version::V1, is_part)
    }

    fn new(base: &Path, version: Version, is_part: bool) -> Option<Self> {
        let metadata = fs::metadata(base).ok()?;
        Some(Self {
            base: base.to_owned(),
            version,
            is_part,
            identity: (metadata.dev(), metadata.ino()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mount(top: &Path, name: &str, files: &[&str]) {
        let base = top.join(name);
        fs::create_dir_all(&base).expect("a directory");
        for file in files {
            fs::write(base.join(file), "").expect("a file");
        }
    }

    fn base_of(found: &Hierarchies, controller: Controller) -> Option<String> {
        let (_, mount) = found.of(controller)?;
        let name = mount.base.file_name()?.to_string_lossy();
        Some(name.into_owned())
    }

    #[test]
    fn joined_controllers_and_their_links_are_one_hierarchy() {
        let top = tempfile::tempdir().expect("a directory");
        let files = ["cgroup.procs", "release_agent"];
        mount(top.path(), "cpu,cpuacct", &files);
        mount(top.path(), "memory", &files);
        symlink("cpu,cpuacct", top.path().join("cpu")).expect("a link");
        symlink("cpu,cpuacct", top.path().join("cpuacct")).expect("a link");
        let found = Hierarchies::find(top.path(), &mut Skipped::default());
        assert_eq!(found.mode(), Some(Mode::V1));
        assert_eq!(found.mounts().len(), 2, "{found:?}");
        let index = |controller| found.of(controller).map(|(index, _)| index);
        assert!(index(Controller::Cpu).is_some());
        assert_eq!(index(Controller::Cpu), index(Controller::Cpuacct));
        assert_eq!(index(Controller::Pids), None);
        assert_eq!(index(Controller::Pressure), None);
        assert!(!found.is_part());
    }

    #[test]
    fn in_a_hybrid_set_up_version_2_has_what_version_1_has_not() {
        let top = tempfile::tempdir().expect("a directory");
        mount(top.path(), "memory", &["cgroup.procs", "release_agent"]);
        mount(top.path(), "unified", &["cgroup.controllers"]);
        mount(top.path(), "pids", &[]);
        let found = Hierarchies::find(top.path(), &mut Skipped::default());
        assert_eq!(found.mode(), Some(Mode::Hybrid));
        assert_eq!(
            base_of(&found, Controller::Memory).as_deref(),
            Some("memory")
        );
        assert_eq!(
            base_of(&found, Controller::Pids).as_deref(),
            Some("unified")
        );
        assert_eq!(
            base_of(&found, Controller::Pressure).as_deref(),
            Some("unified")
        );
    }

    #[test]
    fn a_namespaces_mount_is_known_by_what_only_a_root_has_or_lacks() {
        let v2 = tempfile::tempdir().expect("a directory");
        mount(v2.path(), "", &["cgroup.controllers", "cgroup.type"]);
        let v1 = tempfile::tempdir().expect("a directory");
        mount(v1.path(), "memory", &["cgroup.procs"]);
        for top in [v2, v1] {
            let found = Hierarchies::find(top.path(), &mut Skipped::default());
            assert!(found.is_part(), "{found:?}");
        }
    }

    #[test]
    fn nothing_mounted_is_no_mode() {
        let top = tempfile::tempdir().expect("a directory");
        let found = Hierarchies::find(top.path(), &mut Skipped::default());
        assert_eq!(found.mode(), None);
    }
}
