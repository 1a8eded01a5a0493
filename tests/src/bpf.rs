//! What the kernel has of programs, maps and links, and what it keeps from them.

use std::{
    fs,
    io::{self, ErrorKind},
    os::fd::{AsRawFd as _, BorrowedFd},
};

/// A kind of object that `bpf(2)` numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// A program.
    Program,
    /// A map.
    Map,
    /// A program's attachment.
    Link,
}

/// Whether the kernel has an object of this id: `BPF_PROG_GET_NEXT_ID` and its like.
///
/// The object isn't opened: closing the last descriptor of a program array has the kernel empty it
/// later, and when that is asked for again before it was done, the array is never freed
/// (`prog_array_map_clear` takes a reference each time, its work item drops one).
pub fn exists(kind: Object, id: u32) -> io::Result<bool> {
    const PROG_GET_NEXT_ID: libc::c_int = 11;
    const MAP_GET_NEXT_ID: libc::c_int = 12;
    const LINK_GET_NEXT_ID: libc::c_int = 31;
    /// The part of `union bpf_attr` that these commands use.
    #[repr(C)]
    struct Attributes {
        start_id: u32,
        next_id: u32,
        open_flags: u32,
    }
    let command = match kind {
        Object::Program => PROG_GET_NEXT_ID,
        Object::Map => MAP_GET_NEXT_ID,
        Object::Link => LINK_GET_NEXT_ID,
    };
    let mut attributes = Attributes {
        start_id: id.wrapping_sub(1),
        next_id: 0,
        open_flags: 0,
    };
    let (place, size) = (&raw mut attributes, size_of::<Attributes>());
    // SAFETY: pointer and length are those of one structure.
    if unsafe { libc::syscall(libc::SYS_bpf, command, place, size) } >= 0 {
        return Ok(attributes.next_id == id);
    }
    match io::Error::last_os_error() {
        // None from there on.
        error if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        error => Err(error),
    }
}

/// Whether the kernel keeps init from being traced, and with it the interrupts that come while that runs:
/// elsewhere root may see what it runs.
#[must_use]
pub fn init_is_hidden() -> bool {
    fs::read_link("/proc/1/exe").is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// How often a loaded program calls helpers of the kernel, in the code that the verifier has left of it.
pub fn helper_calls(program: BorrowedFd<'_>) -> io::Result<usize> {
    const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
    /// `BPF_JMP | BPF_CALL` without a source register: no call of the program's own functions.
    const HELPER_CALL: [u8; 2] = [0x85, 0];
    /// The front of `struct bpf_prog_info`.
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        kind: u32,
        id: u32,
        tag: [u8; 8],
        machine_length: u32,
        code_length: u32,
        machine_code: u64,
        code: u64,
    }
    /// The part of `union bpf_attr` that the command uses.
    #[repr(C)]
    struct Attributes {
        program: i32,
        info_length: u32,
        info: u64,
    }
    let ask = |info: &mut Info| {
        let mut attributes = Attributes {
            program: program.as_raw_fd(),
            info_length: u32::try_from(size_of::<Info>()).map_err(io::Error::other)?,
            info: std::ptr::from_mut(info) as u64,
        };
        let (place, size) = (&raw mut attributes, size_of::<Attributes>());
        // SAFETY: pointers and lengths are those of two structures, and of the code's buffer in one.
        let result = unsafe { libc::syscall(libc::SYS_bpf, OBJ_GET_INFO_BY_FD, place, size) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    };
    let mut info = Info::default();
    ask(&mut info)?;
    let mut code = vec![0u8; info.code_length as usize];
    let mut info = Info {
        code_length: info.code_length,
        code: code.as_mut_ptr() as u64,
        ..Info::default()
    };
    ask(&mut info)?;
    let calls = code
        .chunks_exact(8)
        .filter(|code| code.starts_with(&HELPER_CALL));
    Ok(calls.count())
}
