//! What the kernel has of programs, maps and links.

use std::io;

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
