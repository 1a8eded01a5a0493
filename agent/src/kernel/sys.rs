//! The few commands of bpf(2), and the other system calls, that aya doesn't offer.

use std::{
    fs::File,
    io,
    mem::size_of,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

pub(super) mod program;
pub(super) mod uprobe;

/// Commands of `enum bpf_cmd`.
const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_MAP_LOOKUP_BATCH: libc::c_int = 24;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_ITER_CREATE: libc::c_int = 33;
/// `BPF_TRACE_ITER` of `enum bpf_attach_type`.
const BPF_TRACE_ITER: u32 = 28;
/// `union bpf_attr`, the part for batches.
#[repr(C)]
#[derive(Default)]
struct BatchAttributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    element_flags: u64,
    flags: u64,
}

/// `union bpf_attr`, the part for links with an iterator's target.
#[repr(C)]
#[derive(Default)]
struct LinkAttributes {
    program_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    iterator: u64,
    iterator_length: u32,
    pad: u32,
}

/// `union bpf_attr`, the part for iterators.
#[repr(C)]
#[derive(Default)]
struct IteratorAttributes {
    link_fd: u32,
    flags: u32,
}

/// `union bpf_iter_link_info` with a map.
#[repr(C)]
struct MapTarget {
    map_fd: u32,
    pad: [u32; 3],
}

/// `union bpf_attr`, the part for elements of maps.
#[repr(C)]
#[derive(Default)]
struct ElementAttributes {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_long> {
    let pointer = std::ptr::from_mut(attributes);
    // SAFETY: the structs above have the layout that the command expects; pointers in them are
    // to memory that the caller holds during the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size_of::<T>()) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn fd_number(fd: BorrowedFd<'_>) -> u32 {
    u32::try_from(fd.as_raw_fd()).unwrap_or(u32::MAX)
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = libc::c_int::try_from(result).map_err(|_| io::Error::other("no descriptor"))?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives free heap memory back to the host: reading the kernel's types takes tens of megabytes for
/// a moment, which the allocator would keep.
pub fn release_free_memory() {
    // Only the GNU C library has it; others give memory back by themselves.
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointers and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// `union bpf_attr`, the part for `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
struct InfoAttributes {
    fd: u32,
    length: u32,
    info: u64,
}

/// What the kernel counts of a program's runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Nanoseconds that they took, while BPF statistics were on.
    pub time: u64,
    /// How many there were, while BPF statistics were on.
    pub count: u64,
    /// Those that were left out because another run of it was under way on that CPU (kernel 5.12;
    /// 0 before).
    pub missed: u64,
}

/// Puts a program into a program array. aya's own way takes only programs that it has loaded.
pub fn set_program(array: BorrowedFd<'_>, index: u32, program: BorrowedFd<'_>) -> io::Result<()> {
    let program = fd_number(program);
    let mut attributes = ElementAttributes {
        map_fd: fd_number(array),
        key: (&raw const index) as u64,
        value: (&raw const program) as u64,
        ..ElementAttributes::default()
    };
    bpf(BPF_MAP_UPDATE_ELEM, &mut attributes).map(|_| ())
}

/// The runs of a program: `run_time_ns`, `run_cnt` and `recursion_misses` of `struct bpf_prog_info`.
pub fn runs(program: BorrowedFd<'_>) -> io::Result<Runs> {
    /// Place of the first of these fields, which follow each other, in words of 8 bytes.
    const RUN_TIME: usize = 24;
    let mut info = [0u64; RUN_TIME + 3];
    let mut attributes = InfoAttributes {
        fd: fd_number(program),
        length: u32::try_from(size_of_val(&info)).unwrap_or(0),
        info: info.as_mut_ptr() as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attributes)?;
    Ok(Runs {
        time: info[RUN_TIME],
        count: info[RUN_TIME + 1],
        missed: info[RUN_TIME + 2],
    })
}

/// A run of an iterator program over the entries of a map, or over all that there are of what it is
/// made for: reading it runs the program.
pub fn iterate(program: BorrowedFd<'_>, map: Option<BorrowedFd<'_>>) -> io::Result<File> {
    let target = map.map(|map| MapTarget {
        map_fd: fd_number(map),
        pad: [0; 3],
    });
    let mut attributes = LinkAttributes {
        program_fd: fd_number(program),
        attach_type: BPF_TRACE_ITER,
        ..LinkAttributes::default()
    };
    if let Some(target) = &target {
        attributes.iterator = std::ptr::from_ref(target) as u64;
        attributes.iterator_length = u32::try_from(size_of::<MapTarget>()).unwrap_or(0);
    }
    let link = owned(bpf(BPF_LINK_CREATE, &mut attributes)?)?;
    let mut attributes = IteratorAttributes {
        link_fd: u32::try_from(link.as_raw_fd()).unwrap_or(u32::MAX),
        flags: 0,
    };
    Ok(File::from(owned(bpf(BPF_ITER_CREATE, &mut attributes)?)?))
}

/// Raises the limit on open descriptors as far as that takes no privilege, to `wanted` at most; to
/// how many that is then. What counts is the hard limit (setrlimit(2)).
pub fn raise_descriptor_limit(wanted: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the struct is valid for the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let raised = wanted.min(limit.rlim_max);
    if raised <= limit.rlim_cur {
        return Ok(limit.rlim_cur);
    }
    limit.rlim_cur = raised;
    // SAFETY: as above.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(raised)
}

/// A page of a file, mapped to be looked at in `/proc/self/maps`.
#[derive(Debug)]
pub struct Page {
    address: *mut libc::c_void,
}

impl Page {
    const SIZE: usize = 4096;

    /// Maps the first page of `file`, which isn't read.
    pub fn map(file: &File) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice takes nobody's memory; it is
        // never read, so it doesn't matter when the file gets shorter.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                Self::SIZE,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { address })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address as u64
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, unmapped once; nothing refers into it.
        unsafe {
            libc::munmap(self.address, Self::SIZE);
        }
    }
}

/// Where a batch look-up goes on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// The kernel's opaque position; 8 bytes are enough for every hash map.
    position: u64,
    started: bool,
}

/// Reads up to `count` entries into the two buffers; how many, and whether there are more.
///
/// `keys` and `values` must have room for `count` entries of the map's sizes.
pub fn lookup_batch(
    map: BorrowedFd<'_>,
    cursor: &mut Cursor,
    keys: &mut [u8],
    values: &mut [u8],
    count: u32,
) -> io::Result<(usize, bool)> {
    let from = cursor.position;
    let mut attributes = BatchAttributes {
        in_batch: if cursor.started {
            std::ptr::from_ref(&from) as u64
        } else {
            0
        },
        out_batch: std::ptr::from_mut(&mut cursor.position) as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count,
        map_fd: fd_number(map),
        ..BatchAttributes::default()
    };
    cursor.started = true;
    match bpf(BPF_MAP_LOOKUP_BATCH, &mut attributes) {
        Ok(_) => Ok((attributes.count as usize, true)),
        // The end of the map; the count is of those before it.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            Ok((attributes.count as usize, false))
        }
        Err(error) => Err(error),
    }
}
