//! What attaches programs at uprobes, in the ways that aya doesn't.

use std::{
    ffi::CString,
    io,
    mem::size_of,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
};

use super::{
    BPF_LINK_CREATE, LinkAttributes, bpf, fd_number, owned, program::BPF_TRACE_UPROBE_MULTI,
};

/// `BPF_F_UPROBE_MULTI_RETURN`: run at the functions' returns.
const BPF_F_UPROBE_MULTI_RETURN: u32 = 1;
/// `BPF_PERF_EVENT` of `enum bpf_attach_type`.
const BPF_PERF_EVENT: u32 = 41;
/// `_IOW('$', 8, __u32)` and `_IO('$', 0)` of `linux/perf_event.h`.
const PERF_EVENT_IOC_SET_BPF: libc::c_ulong = 0x4004_2408;
const PERF_EVENT_IOC_ENABLE: libc::c_ulong = 0x2400;
/// The descriptor is closed at exec.
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;

/// `union bpf_attr`, the part for links with many uprobes.
#[repr(C)]
#[derive(Default)]
struct UprobesAttributes {
    program_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    reference_counters: u64,
    cookies: u64,
    count: u32,
    uprobe_flags: u32,
    pid: u32,
    pad: u32,
}

/// Has a program run at these places of a file, in all processes, for as long as the link lives.
/// It takes no capability.
pub(in crate::kernel) fn link_uprobes(
    program: BorrowedFd<'_>,
    path: &str,
    offsets: &[u64],
    at_return: bool,
) -> io::Result<OwnedFd> {
    let path = CString::new(path)?;
    let mut attributes = UprobesAttributes {
        program_fd: fd_number(program),
        attach_type: BPF_TRACE_UPROBE_MULTI,
        path: path.as_ptr() as u64,
        offsets: offsets.as_ptr() as u64,
        count: u32::try_from(offsets.len()).unwrap_or(u32::MAX),
        uprobe_flags: if at_return {
            BPF_F_UPROBE_MULTI_RETURN
        } else {
            0
        },
        ..UprobesAttributes::default()
    };
    owned(bpf(BPF_LINK_CREATE, &mut attributes)?)
}

/// `struct perf_event_attr` up to `config2` (`PERF_ATTR_SIZE_VER1`).
#[repr(C)]
#[derive(Default)]
struct PerfAttributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    /// `config1`, for a uprobe the path of its file.
    path: u64,
    /// `config2`, for a uprobe the offset in the file.
    offset: u64,
}

/// A perf event at a place in a file's code, in all processes. It does nothing by itself.
pub(in crate::kernel) fn uprobe_event(
    kind: u32,
    config: u64,
    path: &str,
    offset: u64,
) -> io::Result<OwnedFd> {
    let path = CString::new(path)?;
    let attributes = PerfAttributes {
        kind,
        size: u32::try_from(size_of::<PerfAttributes>()).unwrap_or(0),
        config,
        path: path.as_ptr() as u64,
        offset,
        ..PerfAttributes::default()
    };
    // Any process, so of one CPU by name: the breakpoint is in the code that all CPUs run.
    let (any_process, cpu, no_group): (libc::pid_t, libc::c_int, libc::c_int) = (-1, 0, -1);
    // SAFETY: the struct has the kernel's layout and its own size in it; the path outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(&attributes),
            any_process,
            cpu,
            no_group,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    owned(result)
}

/// Has a program run on a perf event for as long as the link lives (5.15; `EINVAL` before).
pub(in crate::kernel) fn link_perf_event(
    program: BorrowedFd<'_>,
    event: BorrowedFd<'_>,
) -> io::Result<OwnedFd> {
    let mut attributes = LinkAttributes {
        program_fd: fd_number(program),
        target_fd: fd_number(event),
        attach_type: BPF_PERF_EVENT,
        ..LinkAttributes::default()
    };
    owned(bpf(BPF_LINK_CREATE, &mut attributes)?)
}

/// Has a program run on a perf event for as long as that lives.
pub(in crate::kernel) fn run_on_perf_event(
    program: BorrowedFd<'_>,
    event: BorrowedFd<'_>,
) -> io::Result<()> {
    let commands = [
        (PERF_EVENT_IOC_SET_BPF, program.as_raw_fd()),
        (PERF_EVENT_IOC_ENABLE, 0),
    ];
    for (command, argument) in commands {
        // SAFETY: both commands take a number.
        if unsafe { libc::ioctl(event.as_raw_fd(), command as _, argument) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
