//! Pointers that the verifier has no type for, made ones that it has: `bpf_rdonly_cast` of kernel 6.2.
//!
//! It costs nothing at run time, and what it gives is read by plain loads; a helper that reads costs
//! 15 to 20 ns each time.

use core::{arch::asm, ptr::read_volatile};

use sonde_common::{cast::PLACEHOLDER, field::Field};

use super::{Access as _, Direct, File, offset};

/// Number of `struct files_struct` in the kernel's BTF, where it has `bpf_rdonly_cast`; else 0. Set by
/// the agent.
#[unsafe(no_mangle)]
static FILES_TYPE: u32 = 0;

/// The `struct file` that a task's table of files has there; `None` where the kernel can't cast. One
/// that isn't there reads as zeros.
///
/// A table is an array of pointers, for which the kernel has no name. But `files_struct` has a short
/// one within itself (`fd_array`), and whatever is read where that starts is a pointer to a file.
#[inline(always)]
pub(super) fn file(slot: *const u8) -> Option<File<Direct>> {
    // SAFETY: a static of our own; volatile because the agent overwrites it before loading.
    let files_type = unsafe { read_volatile(&raw const FILES_TYPE) };
    if files_type == 0 {
        return None;
    }
    let array = offset(Field::FilesFdArray)?;
    let files = rdonly_cast(slot.wrapping_sub(array), files_type);
    // SAFETY: the verifier checks type, offset and size.
    unsafe { Direct::load(files, array) }.map(File::new)
}

/// `bpf_rdonly_cast(pointer, type)`. Functions of the kernel are called by their numbers in its BTF, so
/// the agent writes the call in place of this one.
#[inline(always)]
fn rdonly_cast(pointer: *const u8, r#type: u32) -> *const u8 {
    let result;
    // SAFETY: nothing is written, and what may be read is checked later. A call clobbers the
    // registers of its arguments.
    unsafe {
        asm!(
            "call {placeholder}",
            placeholder = const PLACEHOLDER,
            lateout("r0") result,
            inlateout("r1") pointer => _,
            inlateout("r2") u64::from(r#type) => _,
            lateout("r3") _,
            lateout("r4") _,
            lateout("r5") _,
            options(nostack, readonly, pure),
        );
    }
    result
}
