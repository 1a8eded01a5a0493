//! One look at a process through `/proc/PID`.
//!
//! All files are read below one descriptor of the directory, which belongs to the process and not
//! to its number: when the process is gone, reads fail instead of telling about a successor.

use std::{
    io::{self, Cursor, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use procfs::{FromBufRead, ProcError, ProcessCGroup, ProcessCGroups, process::Process};

use super::{
    container::Placement,
    counter::{Loss, Losses},
    declared::Declared,
    start::StartTime,
};

/// Longest environment block that is searched.
const ENVIRON_MAX: u64 = 256 * 1024;
/// Longest command line that is looked at; class paths of Java are long.
const CMDLINE_MAX: u64 = 32 * 1024;
/// Longest of the other files.
const FILE_MAX: u64 = 64 * 1024;
/// `PF_KTHREAD` of include/linux/sched.h, in field 9 of `/proc/PID/stat`.
const PF_KTHREAD: u64 = 0x0020_0000;

/// What `/proc/PID/stat` tells of interest.
#[derive(Clone, Debug)]
pub(super) struct Stat {
    /// Field 2 without its parentheses.
    pub(super) comm: String,
    /// Field 3 says that it has ended and isn't reaped yet: its memory is gone, and with it the
    /// arguments and the environment.
    pub(super) is_zombie: bool,
    /// Field 9 says that the kernel itself runs it.
    pub(super) kernel_thread: bool,
    /// Field 22.
    pub(super) start: StartTime,
}

/// What `/proc/PID` tells about a process.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// From `stat`.
    pub(super) stat: Stat,
    /// Last part of the `exe` link; `None` for a program without a file (`memfd_create`), whose
    /// name there may be another one each time.
    pub(super) executable: Option<String>,
    /// `cmdline`, its NULs still in it. Empty for zombies and kernel threads.
    pub(super) args: Vec<u8>,
    /// `cwd` link.
    pub(super) directory: Option<PathBuf>,
    /// From `environ`.
    pub(super) declared: Declared,
    /// From `cgroup`; `None` when that could not be read.
    pub(super) placement: Option<Placement>,
}

/// Looks at process `tgid`, if it exists and if it is the one that started at `expected` (any,
/// if `None`). What can't be read is left out and counted.
pub(super) fn observe(
    procfs: &Path,
    tgid: u32,
    expected: Option<StartTime>,
    losses: &mut Losses,
) -> Option<Observed> {
    let process = Process::new_with_root(procfs.join(tgid.to_string())).ok()?;
    let line = read(&process, "stat", FILE_MAX, losses)?;
    let Some(stat) = parse_stat(&line) else {
        losses.add(Loss::ProcMalformed);
        return None;
    };
    if expected.is_some_and(|start| !start.matches(stat.start)) {
        return None;
    }
    if stat.kernel_thread {
        return Some(Observed {
            stat,
            executable: None,
            args: Vec::new(),
            directory: None,
            declared: Declared::default(),
            placement: None,
        });
    }
    let environ = read(&process, "environ", ENVIRON_MAX, losses).unwrap_or_default();
    let (declared, malformed) = Declared::of_environ(&environ);
    if malformed.is_some() {
        losses.add(Loss::AttributesMalformed);
    }
    Some(Observed {
        executable: process.exe().ok().and_then(|path| file_name(&path)),
        args: read(&process, "cmdline", CMDLINE_MAX, losses).unwrap_or_default(),
        directory: process.cwd().ok(),
        declared,
        placement: placement(&process, losses),
        stat,
    })
}

/// When the process that has the number `tgid` now started.
pub(super) fn start_of(procfs: &Path, tgid: u32, losses: &mut Losses) -> Option<StartTime> {
    let process = Process::new_with_root(procfs.join(tgid.to_string())).ok()?;
    let stat = parse_stat(&read(&process, "stat", FILE_MAX, losses)?)?;
    Some(stat.start)
}

/// The cgroup that the memory of process `tgid` is charged to: that of the v2 hierarchy, unless memory is
/// version 1's here.
pub(super) fn memory_cgroup(procfs: &Path, tgid: u32, losses: &mut Losses) -> Option<String> {
    let process = Process::new_with_root(procfs.join(tgid.to_string())).ok()?;
    let cgroups = cgroups(&process, losses)?;
    let charged = |cgroup: &&ProcessCGroup| cgroup.controllers.iter().any(|name| name == "memory");
    let unified = |cgroup: &&ProcessCGroup| cgroup.hierarchy == 0;
    let all = &cgroups.0;
    let found = all.iter().find(charged).or(all.iter().find(unified))?;
    Some(found.pathname.clone())
}

fn placement(process: &Process, losses: &mut Losses) -> Option<Placement> {
    cgroups(process, losses).as_ref().map(Placement::of_cgroups)
}

fn cgroups(process: &Process, losses: &mut Losses) -> Option<ProcessCGroups> {
    let text = read(process, "cgroup", FILE_MAX, losses)?;
    // Names of cgroups may hold any byte but a newline.
    let text = String::from_utf8_lossy(&text);
    let cgroups = ProcessCGroups::from_buf_read(Cursor::new(text.as_bytes()));
    if cgroups.is_err() {
        losses.add(Loss::ProcMalformed);
    }
    cgroups.ok()
}

/// Reads at most `limit` bytes. That the process is gone is no loss; any other error is counted.
fn read(process: &Process, name: &str, limit: u64, losses: &mut Losses) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let result = process
        .open_relative(name)
        .and_then(|file| Ok(file.take(limit).read_to_end(&mut content)?));
    match result {
        Ok(length) => {
            if u64::try_from(length).is_ok_and(|length| length == limit) {
                losses.add(Loss::TooLong);
            }
            Some(content)
        }
        Err(error) => {
            if !is_gone(&error) {
                losses.add(Loss::ProcInaccessible);
            }
            None
        }
    }
}

/// Whether the process ended: its directory or, for an open one, its files are no more.
fn is_gone(error: &ProcError) -> bool {
    match error {
        ProcError::NotFound(_) => true,
        ProcError::Io(error, _) => {
            error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
        }
        _ => false,
    }
}

/// The form of `proc_pid_stat(5)`. The name in field 2 may hold anything, `)` and newlines too, so that the
/// fields after it begin behind the last `)`. (`procfs::process::Stat` slices by unchecked
/// positions and parses fifty fields; here three are needed from possibly damaged text.)
fn parse_stat(line: &[u8]) -> Option<Stat> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let comm = line.get(open + 1..close)?;
    let rest = std::str::from_utf8(line.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // `fields` begins with field 3.
    let state = fields.first()?;
    let flags: u64 = fields.get(9 - 3)?.parse().ok()?;
    let start: u64 = fields.get(22 - 3)?.parse().ok()?;
    Some(Stat {
        comm: String::from_utf8_lossy(comm).into_owned(),
        is_zombie: matches!(*state, "Z" | "X"),
        kernel_thread: flags & PF_KTHREAD != 0,
        start: StartTime::from_ticks(start),
    })
}

/// The last part of a path that `/proc/PID/exe` gives.
fn file_name(path: &Path) -> Option<String> {
    if path.as_os_str().as_bytes().starts_with(b"/memfd:") {
        return None;
    }
    let name = path.file_name()?.to_string_lossy();
    // d_path appends this when the program's file was replaced or removed.
    let name = name.strip_suffix(" (deleted)").unwrap_or(&name);
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stat_line(comm: &str, flags: u64, start: u64) -> Vec<u8> {
        format!("42 ({comm}) S 1 42 42 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 1 0 {start} 9 9 9").into()
    }

    #[test]
    fn fault_28_a_name_with_parentheses_and_newlines_is_read_whole() {
        for comm in ["a) S (b", ") (", "a\nb", "", "((", "))", "naïve"] {
            let stat = parse_stat(&stat_line(comm, 0x40_0000, 777)).unwrap();
            assert_eq!(stat.comm, comm);
            assert!(stat.start.matches(StartTime::from_ticks(777)));
            assert!(!stat.kernel_thread);
        }
    }

    #[test]
    fn kernel_threads_are_told_by_their_flag() {
        assert!(
            parse_stat(&stat_line("kworker/0:1", 0x0420_8060, 1))
                .unwrap()
                .kernel_thread
        );
    }

    #[test]
    fn fault_28_damaged_stat_is_refused() {
        for line in [
            "",
            "1",
            "1 (a)",
            ")(",
            "1 (a) S 1 2",
            "1 (a) S x x x x x x x x x x x x x x x x x x x x",
        ] {
            assert!(parse_stat(line.as_bytes()).is_none(), "{line:?}");
        }
    }

    #[test]
    fn a_deleted_program_keeps_its_name() {
        assert_eq!(
            file_name(Path::new("/usr/sbin/nginx (deleted)")).as_deref(),
            Some("nginx")
        );
        assert_eq!(file_name(Path::new("/")), None);
        assert_eq!(
            file_name(Path::new("/memfd:x-91173221a7ea (deleted)")),
            None
        );
    }

    proptest! {
        #[test]
        fn fault_28_any_stat_is_read_without_panic(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_stat(&line);
        }
    }
}
