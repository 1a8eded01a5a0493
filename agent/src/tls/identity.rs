//! Which file is which, and whether it is still the same inside.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
};

use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, fstatfs};

/// Tells files apart for as long as they exist: two names of one file have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    /// Device and inode.
    Inode(u64, u64),
    /// On overlayfs each mount has a device number of its own, while uprobes belong to the file
    /// beneath: containers of one image share it. What all of them tell of it are its inode number
    /// and these.
    Layered(u64, Stamp),
}

/// Changes when a file is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    size: u64,
    modified: (i64, i64),
}

impl Identity {
    /// Of an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if fstatfs(file)?.filesystem_type() == OVERLAYFS_SUPER_MAGIC {
            return Ok(Self::Layered(metadata.ino(), Stamp::of(&metadata)));
        }
        Ok(Self::Inode(metadata.dev(), metadata.ino()))
    }
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn names_of_one_file_have_one_identity() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("1"), directory.path().join("2"));
        let mut file = File::create(&one).unwrap();
        std::fs::hard_link(&one, &two).unwrap();
        let identity = |path| Identity::of(&File::open(path).unwrap()).unwrap();
        assert_eq!(identity(&one), identity(&two));
        let before = Stamp::of(&file.metadata().unwrap());
        file.write_all(b"more").unwrap();
        assert_ne!(before, Stamp::of(&file.metadata().unwrap()));
        std::fs::remove_file(&one).unwrap();
        File::create(&one).unwrap();
        assert_ne!(identity(&one), identity(&two));
    }
}
