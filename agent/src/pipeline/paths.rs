//! Whether the paths lead to the host's file systems, before anything relies on them.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::config::Paths;

/// Why nothing can be told with this `path.procfs`. Its text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A file that every procfs has can't be read.
    #[error(
        "path.procfs is {directory}, which isn't the host's procfs: set it to where that is \
         mounted, /proc outside of containers; can't read {file}"
    )]
    Unreadable {
        /// The setting.
        directory: PathBuf,
        /// What was tried.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `stat` is another file than the kernel's.
    #[error(
        "path.procfs is {directory}, which isn't the host's procfs: set it to where that is \
         mounted, /proc outside of containers; its file stat doesn't begin with the CPUs' times"
    )]
    NotProcfs {
        /// The setting.
        directory: PathBuf,
    },
}

/// How `/proc/stat` begins: proc(5).
const STAT: &[u8; 4] = b"cpu ";

/// Refuses a procfs that isn't one: without it there are neither resources nor names of services.
pub(super) fn check(paths: &Paths) -> Result<(), Error> {
    let directory = &paths.procfs;
    let unreadable = |file: PathBuf| {
        let directory = directory.clone();
        move |source| Error::Unreadable {
            directory,
            file,
            source,
        }
    };
    let stat = directory.join("stat");
    let mut found = [0; STAT.len()];
    match File::open(&stat).and_then(|mut file| file.read_exact(&mut found)) {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            return Err(unreadable(stat)(error));
        }
        Ok(()) if &found == STAT => {}
        _ => {
            let directory = directory.clone();
            return Err(Error::NotProcfs { directory });
        }
    }
    // The agent isn't there where procfs is of a process namespace that hasn't got it; the first
    // process isn't where others' are hidden (hidepid).
    let own = directory.join("self");
    fs::read_link(&own)
        .map(drop)
        .or_else(|error| fs::metadata(directory.join("1")).map_or(Err(error), |_| Ok(())))
        .map_err(unreadable(own))
}

/// What is lost with a `path.sysfs` that isn't a sysfs; the rest goes on without.
pub(super) fn sysfs_warning(paths: &Paths) -> Option<String> {
    let directory = paths.sysfs.join("devices/system/cpu");
    fs::read_dir(&directory)
        .err()
        .map(|error| warning(&paths.sysfs, &directory, &error))
}

fn warning(sysfs: &Path, directory: &Path, error: &io::Error) -> String {
    format!(
        "path.sysfs is {}, which isn't the host's sysfs: the kernel's types, and what only sysfs \
         tells of devices, can't be had; can't read {}: {error}",
        sysfs.display(),
        directory.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    fn procfs(directory: &Path) -> Paths {
        Paths {
            procfs: directory.to_owned(),
            ..Paths::default()
        }
    }

    #[test]
    fn the_hosts_own_file_systems_are_taken() {
        assert!(check(&Paths::default()).is_ok());
        assert_eq!(sysfs_warning(&Paths::default()), None);
    }

    #[test]
    fn a_directory_that_is_no_procfs_is_refused_with_what_to_do() {
        for directory in ["/nonexistent", "/etc"] {
            let error = check(&procfs(Path::new(directory))).unwrap_err();
            let told = cli::error_lines(&error);
            let start = format!("sonde: error: path.procfs is {directory}, ");
            assert!(told.starts_with(&start), "{told}");
            let end = format!("can't read {directory}/stat: No such file or directory");
            assert!(told.contains(&end), "{told}");
            assert_eq!(told.lines().count(), 1, "{told}");
        }
    }

    #[test]
    fn a_procfs_has_the_kernels_stat_and_processes() {
        let directory = tempfile::tempdir().unwrap();
        let found = || check(&procfs(directory.path()));
        let stat = directory.path().join("stat");
        for other in ["", "cp", "hello world\n"] {
            fs::write(&stat, other).unwrap();
            assert!(matches!(found(), Err(Error::NotProcfs { .. })), "{other}");
        }
        fs::write(&stat, "cpu  1 2 3 4\n").unwrap();
        assert!(matches!(found(), Err(Error::Unreadable { .. })));
        fs::create_dir(directory.path().join("1")).unwrap();
        assert!(found().is_ok(), "of another process namespace");
    }

    #[test]
    fn a_directory_that_is_no_sysfs_is_told() {
        let paths = Paths {
            sysfs: "/etc".into(),
            ..Paths::default()
        };
        let told = sysfs_warning(&paths).unwrap();
        assert!(told.starts_with("path.sysfs is /etc, "), "{told}");
    }
}
