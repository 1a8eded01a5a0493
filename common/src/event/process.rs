//! Processes: fork, exec, exit, OOM kills.

use super::sched::Usage;
use crate::{header::Header, pod};

/// `TASK_COMM_LEN` of the kernel.
pub const COMM: usize = 16;
/// Bytes of the executable's path that an [`Exec`] carries.
pub const FILENAME: usize = 128;
/// Bytes of the argument area that an [`Exec`] carries.
pub const ARGS: usize = 256;

/// `Kind::Fork`: a new process (not a thread). The header's tgid is the parent's.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// Common header; tgid is the parent.
    pub header: Header,
    /// When the child started: the kernel's `task_struct.start_boottime` in nanoseconds
    /// (field 22 of /proc/PID/stat, before it is rounded to clock ticks).
    pub start_time: u64,
    /// Id of the child's cgroup in the v2 hierarchy; 0 when there is none.
    pub cgroup: u64,
    /// The child.
    pub child: u32,
    /// Explicit padding.
    pub pad: u32,
    /// The child's command name, NUL-padded.
    pub comm: [u8; COMM],
}

/// `Kind::Exec`: a process runs a new program.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exec {
    /// Common header; tgid is the process.
    pub header: Header,
    /// See [`Fork::start_time`].
    pub start_time: u64,
    /// Id of the cgroup in the v2 hierarchy; 0 when there is none.
    pub cgroup: u64,
    /// Parent process.
    pub parent: u32,
    /// User id, in the initial user namespace.
    pub uid: u32,
    /// The command name, NUL-padded.
    pub comm: [u8; COMM],
    /// Bytes used in `filename`.
    pub filename_length: u16,
    /// Bytes used in `args`.
    pub args_length: u16,
    /// Explicit padding.
    pub pad: u32,
    /// Path of the program as given to exec.
    pub filename: [u8; FILENAME],
    /// Start of the argument area: NUL-separated argv.
    pub args: [u8; ARGS],
}

/// `Kind::Exit`: the last thread of a process is gone.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Common header; tgid is the process.
    pub header: Header,
    /// See [`Fork::start_time`].
    pub start_time: u64,
    /// Wait status as of `wait(2)`: exit code in bits 8-15, signal in bits 0-6, 0x80 for a core dump.
    pub status: u32,
    /// Explicit padding.
    pub pad: u32,
    /// The command name, NUL-padded.
    pub comm: [u8; COMM],
    /// Nanoseconds from its start to its end.
    pub lifetime: u64,
    /// What it used in its life.
    pub usage: Usage,
}

/// `Kind::ExitRest`: what a thread used that found its process's end told already.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitRest {
    /// Common header; tgid is the process.
    pub header: Header,
    /// See [`Fork::start_time`].
    pub start_time: u64,
    /// What the thread used in its life.
    pub usage: Usage,
}

/// `Kind::OomKill`: the kernel chose a victim. The header's tgid is the task that ran out.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomKill {
    /// Common header.
    pub header: Header,
    /// The process that is killed.
    pub victim: u32,
    /// Explicit padding.
    pub pad: u32,
}

const _: () = assert!(size_of::<Fork>() == 64);
const _: () = assert!(size_of::<Exec>() == 24 + 16 + 8 + 16 + 8 + 128 + 256);
const _: () = assert!(size_of::<Exit>() == 64 + size_of::<Usage>());
const _: () = assert!(size_of::<ExitRest>() == 32 + size_of::<Usage>());
const _: () = assert!(size_of::<OomKill>() == 32);

pod!(Fork, Exec, Exit, ExitRest, OomKill);
