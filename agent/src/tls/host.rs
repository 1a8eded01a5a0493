//! The host's own files: libraries that its programs find by themselves, and what stays watched for
//! how long.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    maps::{names_in, open_in},
    watched::Keep,
};

/// How the files of TLS libraries are called.
const LIBRARIES: [&str; 2] = ["libssl.so", "libgnutls.so"];

/// Where libraries are, for hosts without the cache of ld.so(8) (musl).
const DIRECTORIES: [&str; 5] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// Longest cache that is read.
const CACHE: u64 = 16 << 20;

/// The host's file system.
#[derive(Debug)]
pub(super) struct Host {
    rootfs: PathBuf,
    /// Device numbers of what is there as long as the host is up.
    devices: Vec<u64>,
}

impl Host {
    /// Whose root is `rootfs`.
    pub(super) fn new(rootfs: PathBuf) -> Self {
        let device = |path: &str| {
            let metadata = fs::metadata(rootfs.join(path));
            metadata.ok().map(|metadata| metadata.dev())
        };
        let devices = ["", "usr", "usr/lib"].into_iter().filter_map(device);
        Self {
            devices: devices.collect(),
            rootfs,
        }
    }

    /// How long a file stays watched without a user.
    pub(super) fn keep(&self, file: &File) -> Keep {
        let device = file.metadata().map(|metadata| metadata.dev());
        if device.is_ok_and(|device| self.devices.contains(&device)) {
            Keep::AWhile
        } else {
            Keep::WhileUsed
        }
    }

    /// TLS libraries that programs find without being told where.
    pub(super) fn libraries(&self) -> Vec<File> {
        let mut paths: BTreeSet<PathBuf> = BTreeSet::new();
        let cache = self.rootfs.join("etc/ld.so.cache");
        if fs::metadata(&cache).is_ok_and(|metadata| metadata.len() <= CACHE) {
            paths.extend(cached(&fs::read(&cache).unwrap_or_default()));
        }
        for directory in DIRECTORIES {
            let directory = Path::new(directory);
            let names = names_in(&self.rootfs, directory).unwrap_or_default();
            let below = names.iter().map(|name| directory.join(name));
            paths.extend(below.filter(|path| is_library(path)));
        }
        let open = |path: &PathBuf| open_in(&self.rootfs, path).ok();
        paths.iter().filter_map(open).collect()
    }
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| LIBRARIES.iter().any(|prefix| name.starts_with(prefix)))
}

/// The paths of these libraries in `/etc/ld.so.cache`: among its strings, each with a NUL behind it.
fn cached(cache: &[u8]) -> impl Iterator<Item = PathBuf> {
    let strings = cache.split(|byte| *byte == 0);
    let paths = strings.filter_map(|string| std::str::from_utf8(string).ok());
    paths
        .map(PathBuf::from)
        .filter(|path| path.is_absolute() && is_library(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_tells_paths_among_other_strings() {
        let cache = b"glibc-ld.so.cache1.1\0\x01\xff\0libssl.so.3\0/lib/x/libssl.so.3\0\
                      /lib/libssl3.so\0/opt/libgnutls.so.30\0/lib/libcrypto.so.3\0";
        let paths: Vec<_> = cached(cache).collect();
        let expected = ["/lib/x/libssl.so.3", "/opt/libgnutls.so.30"];
        assert_eq!(paths, expected.map(PathBuf::from));
    }

    #[test]
    fn links_within_another_root_are_followed_there() {
        let root = tempfile::tempdir().unwrap();
        let make = |path: &str| fs::create_dir_all(root.path().join(path)).unwrap();
        make("usr/lib");
        fs::write(root.path().join("usr/lib/libssl.so.3"), "library").unwrap();
        std::os::unix::fs::symlink("/usr/lib", root.path().join("lib")).unwrap();
        let host = Host::new(root.path().into());
        let found = host.libraries();
        assert_eq!(found.len(), 2, "once by each path");
        assert_eq!(host.keep(&found[0]), Keep::AWhile);
        let elsewhere = File::open("/proc/self/maps").unwrap();
        assert_eq!(host.keep(&elsewhere), Keep::WhileUsed);
    }
}
