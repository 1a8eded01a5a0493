//! A kernel program that does nothing: what attaching costs, before any work is done.

use std::{
    ffi::CStr,
    io, mem,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// Commands of bpf(2), from the kernel's include/uapi/linux/bpf.h.
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_RAW_TRACEPOINT_OPEN: libc::c_long = 17;
const BPF_PROG_TYPE_RAW_TRACEPOINT: u32 = 17;

const INSTRUCTIONS: u32 = 2;

/// `r0 = 0; exit`, as `struct bpf_insn`.
const RETURN_0: [u64; INSTRUCTIONS as usize] = [0x0000_0000_0000_00b7, 0x0000_0000_0000_0095];

/// The members of `union bpf_attr` that `BPF_PROG_LOAD` reads, up to the license.
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
}

/// The members that `BPF_RAW_TRACEPOINT_OPEN` reads.
#[repr(C)]
struct Open {
    name: u64,
    prog_fd: u32,
    /// Explicit, so that no byte that the kernel reads is uninitialized.
    padding: u32,
}

/// The program, attached to a raw tracepoint until this is dropped.
pub(super) struct Empty {
    _link: OwnedFd,
}

impl Empty {
    /// Attaches it to a tracepoint.
    pub(super) fn at(tracepoint: &'static CStr) -> io::Result<Self> {
        let load = Load {
            prog_type: BPF_PROG_TYPE_RAW_TRACEPOINT,
            insn_cnt: INSTRUCTIONS,
            insns: RETURN_0.as_ptr() as u64,
            license: c"GPL".as_ptr() as u64,
        };
        let program = bpf(BPF_PROG_LOAD, &load)?;
        let open = Open {
            name: tracepoint.as_ptr() as u64,
            prog_fd: program.as_raw_fd().cast_unsigned(),
            padding: 0,
        };
        Ok(Self {
            _link: bpf(BPF_RAW_TRACEPOINT_OPEN, &open)?,
        })
    }
}

/// bpf(2), for the commands that give a descriptor.
fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attributes` is a prefix of union bpf_attr of the given size, without padding; the
    // pointers in it are to constants. The kernel takes members after it for zero.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            mem::size_of::<T>(),
        )
    };
    let fd = i32::try_from(fd)
        .ok()
        .filter(|fd| *fd >= 0)
        .ok_or_else(io::Error::last_os_error)?;
    // SAFETY: both commands give a new descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
