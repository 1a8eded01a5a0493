//! Whole hosts, written as trees of files from a short description: 128 CPUs or the same pods in
//! two versions of cgroups would be thousands of files to keep.

mod cgroups;
mod containers;
mod kubernetes;
mod machine;
mod server;

use super::*;

use self::cgroups::Layout;
pub(super) use self::{
    containers::container_host,
    kubernetes::{kubernetes_v1, kubernetes_v2},
    server::{big_server, hardware},
};

/// A moment of a host's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    First,
    /// Ten seconds later.
    Later,
}

impl Moment {
    /// A counter that stands at `first` and grows by `growth` until later.
    fn count(self, first: u64, growth: u64) -> u64 {
        match self {
            Self::First => first,
            Self::Later => first + growth,
        }
    }
}

/// Files of a host by path below its root.
#[derive(Debug, Default)]
pub(super) struct Tree {
    files: std::collections::BTreeMap<PathBuf, String>,
    links: Vec<(PathBuf, PathBuf)>,
}

impl Tree {
    /// Adds a file, with the newline that the kernel ends it with.
    fn file(&mut self, path: impl AsRef<Path>, text: impl std::fmt::Display) {
        let text = text.to_string();
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let known = self
            .files
            .insert(path.as_ref().to_owned(), format!("{text}{end}"));
        assert!(known.is_none(), "{} twice", path.as_ref().display());
    }

    /// Adds a symbolic link.
    fn link(&mut self, path: impl AsRef<Path>, target: impl AsRef<Path>) {
        let link = (path.as_ref().to_owned(), target.as_ref().to_owned());
        self.links.push(link);
    }

    /// Writes them below `directory`, over what is there.
    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        for (path, text) in &self.files {
            let path = directory.join(path);
            fs::create_dir_all(path.parent().expect("a file is in a directory"))?;
            fs::write(path, text)?;
        }
        for (path, target) in &self.links {
            let path = directory.join(path);
            fs::create_dir_all(path.parent().expect("a link is in a directory"))?;
            if !path.is_symlink() {
                std::os::unix::fs::symlink(target, path)?;
            }
        }
        Ok(())
    }
}

/// A host at a moment.
pub(super) type Host = fn(Moment) -> Tree;

/// The host's files in a directory of their own.
pub(super) fn directory_of(host: Host) -> io::Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    host(Moment::First).write(directory.path())?;
    Ok(directory)
}

/// Two snapshots of the host, ten seconds apart.
pub(super) fn two_snapshots(host: Host) -> io::Result<[String; 2]> {
    let directory = directory_of(host)?;
    // statvfs(3) would tell of the build machine.
    let mut resources = Resources::new(root(directory.path()), |name| name != "filesystem");
    let now = Instant::now();
    let first = snapshot(&mut resources, now);
    host(Moment::Later).write(directory.path())?;
    let second = snapshot(&mut resources, now + LATER);
    Ok([render(&first), render(&second)])
}
