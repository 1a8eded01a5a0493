//! Code that a process has mapped: `/proc/PID/maps` (proc(5)), and opening what it names.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Read as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::makedev,
};

use crate::kernel::sys::Page;

/// Longest `maps` that is read: of some 150,000 mappings.
const LONGEST: u64 = 16 << 20;

/// Which file is mapped, as `maps` tells it: on btrfs and overlayfs that differs from what stat(2)
/// tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Mapped {
    /// Device number.
    pub(super) device: u64,
    /// Inode number.
    pub(super) inode: u64,
}

/// A range of executable memory that comes from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    /// First address, and the one behind the last.
    range: (u64, u64),
    /// The file.
    pub(super) file: Mapped,
    /// Its path within the process's root, as it was when it was last linked.
    pub(super) path: PathBuf,
    /// Whether that path is gone.
    pub(super) deleted: bool,
}

/// The files whose code a process has mapped, each once.
pub(super) fn executable(procfs: &Path, tgid: u32) -> io::Result<Vec<Mapping>> {
    let file = File::open(procfs.join(tgid.to_string()).join("maps"))?;
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    let mut mappings: Vec<Mapping> = Vec::new();
    for mapping in text.split(|byte| *byte == b'\n').filter_map(mapping) {
        if !mappings.iter().any(|known| known.file == mapping.file) {
            mappings.push(mapping);
        }
    }
    Ok(mappings)
}

/// `55d0c8e00000-55d0c8e21000 r-xp 00002000 fe:01 1234   /usr/bin/cat`
fn mapping(line: &[u8]) -> Option<Mapping> {
    let (mapping, _) = any(line)?;
    mapping.filter(|_| is_executable(line))
}

fn is_executable(line: &[u8]) -> bool {
    let permissions = line.split(|byte| *byte == b' ').nth(1);
    permissions.is_some_and(|permissions| permissions.get(2) == Some(&b'x'))
}

/// A line of any memory: the mapping when a file is behind it, and its first address.
fn any(line: &[u8]) -> Option<(Option<Mapping>, u64)> {
    // The path may have spaces in it.
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let (start, end) = text()?.split_once('-')?;
    let (start, end) = (hex(start)?, hex(end)?);
    let (_permissions, _offset) = (text()?, text()?);
    let (major, minor) = text()?.split_once(':')?;
    let device = makedev(hex(major)?, hex(minor)?);
    let inode = text()?.parse().ok()?;
    let path = fields.next().unwrap_or_default().trim_ascii_start();
    if inode == 0 || !path.starts_with(b"/") {
        return Some((None, start));
    }
    let whole = path.strip_suffix(b" (deleted)");
    let mapping = Mapping {
        range: (start, end),
        file: Mapped { device, inode },
        path: OsStr::from_bytes(whole.unwrap_or(path)).into(),
        deleted: whole.is_some(),
    };
    Some((Some(mapping), start))
}

impl Mapping {
    /// Opens the file that is mapped, and no other that has got its name since. Three ways, of which
    /// the first that works is taken:
    ///
    /// - `/proc/PID/exe`, when it is the process's main program;
    /// - `/proc/PID/map_files`, which takes `CAP_CHECKPOINT_RESTORE` and finds deleted files too;
    /// - its path within the process's root. What is found there is mapped for a moment: it is the
    ///   same file when the kernel tells the same of both mappings.
    pub(super) fn open(&self, procfs: &Path, tgid: u32) -> io::Result<File> {
        let process = procfs.join(tgid.to_string());
        if fs::read_link(process.join("exe")).is_ok_and(|exe| exe == self.linked()) {
            return regular(File::open(process.join("exe"))?);
        }
        let range = format!("{:x}-{:x}", self.range.0, self.range.1);
        match File::open(process.join("map_files").join(range)) {
            Ok(file) => regular(file),
            Err(error) if self.deleted => Err(error),
            Err(_) => self.open_path(&process.join("root")),
        }
    }

    /// The path as links in `/proc/PID` have it.
    fn linked(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        if self.deleted {
            path.push(" (deleted)");
        }
        path.into()
    }

    fn open_path(&self, root: &Path) -> io::Result<File> {
        let file = open_in(root, &self.path)?;
        if mapped(&file)? == self.file {
            Ok(file)
        } else {
            Err(io::Error::new(
                io::ErrorKind::NotFound,
                "another file has its name",
            ))
        }
    }
}

/// Opens a file within a root: no link in its path leads out, and nothing that blocks is opened.
pub(super) fn open_in(root: &Path, path: &Path) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    regular(resolve_in(root, path, flags)?)
}

/// The names in a directory within a root.
pub(super) fn names_in(root: &Path, path: &Path) -> io::Result<Vec<OsString>> {
    let directory = resolve_in(root, path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
    let entries = fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))?;
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

fn resolve_in(root: &Path, path: &Path, flags: OFlag) -> io::Result<File> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let fd: OwnedFd = openat2(&File::open(root)?, path, how)?;
    Ok(File::from(fd))
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "no file"))
    }
}

/// What `maps` tells of a mapping of this file.
pub(super) fn mapped(file: &File) -> io::Result<Mapped> {
    let page = Page::map(file)?;
    let maps = fs::read("/proc/self/maps")?;
    let mut lines = maps.split(|byte| *byte == b'\n');
    let mapping = lines.find_map(|line| any(line).filter(|(_, start)| *start == page.address()));
    let mapping = mapping.and_then(|(mapping, _)| mapping);
    let found = mapping.ok_or(io::ErrorKind::NotFound)?;
    Ok(found.file)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_path_holds() {
        let line = b"7f0a00001000-7f0a00002000 r-xp 00001000 fd:01 1234    /opt/a b/lib (x).so";
        let found = mapping(line).unwrap();
        assert_eq!(found.path, Path::new("/opt/a b/lib (x).so"));
        assert_eq!(found.file.device, makedev(0xfd, 1));
        assert_eq!((found.file.inode, found.deleted), (1234, false));
        let gone = mapping(b"1000-2000 r-xp 0 00:2f 9 /a/lib.so (deleted)").unwrap();
        assert_eq!(
            (gone.path.as_path(), gone.deleted),
            (Path::new("/a/lib.so"), true)
        );
    }

    #[test]
    fn what_is_no_code_of_a_file_is_left_out() {
        for line in [
            "1000-2000 r--p 0 fd:01 1234 /lib.so",
            "1000-2000 r-xp 0 00:00 0 ",
            "1000-2000 r-xp 0 00:00 0 [vdso]",
            "1000-2000 r-xp 0 00:01 77 anon_inode:x",
            "x-2000 r-xp 0 fd:01 1234 /lib.so",
            "1000 r-xp",
            "",
        ] {
            assert_eq!(mapping(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn own_mappings_open_as_the_files_that_they_are() {
        let own = std::process::id();
        let mappings = executable(Path::new("/proc"), own).unwrap();
        assert!(
            mappings
                .iter()
                .any(|it| it.path.to_string_lossy().contains("libc"))
        );
        // Other tests load libraries of their own for a moment.
        let lasts = |it: &&Mapping| !it.path.starts_with(std::env::temp_dir());
        for mapping in mappings.iter().filter(lasts) {
            let file = mapping.open(Path::new("/proc"), own).unwrap();
            assert_eq!(mapped(&file).unwrap(), mapping.file, "{mapping:?}");
            let by_path = mapping.open_path(Path::new("/proc/self/root")).unwrap();
            assert_eq!(mapped(&by_path).unwrap(), mapping.file, "{mapping:?}");
        }
    }

    #[test]
    fn a_file_that_has_taken_the_name_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lib.so");
        let write = |text: &str| {
            let mut file = File::create(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            File::open(&path).unwrap()
        };
        let mapping = Mapping {
            range: (0, 0),
            file: mapped(&write("old")).unwrap(),
            path: path.clone(),
            deleted: false,
        };
        assert!(mapping.open_path(Path::new("/")).is_ok());
        let kept = directory.path().join("kept");
        fs::rename(&path, kept).unwrap();
        write("new");
        let error = mapping.open_path(Path::new("/")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn neither_a_link_leads_out_nor_a_pipe_blocks() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("out")).unwrap();
        assert!(open_in(root.path(), Path::new("/out")).is_err());
        let pipe = root.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open_in(root.path(), Path::new("/pipe")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_survived(line: Vec<u8>) {
            mapping(&line);
        }
    }
}
