//! What a thread sleeps for: by the kernel's own mark for I/O, else by the system call that it is in.

use sonde_common::event::sched::Sleep;

use crate::{
    kernel::{Direct, Task},
    regs::{Regs, wait},
    scratch::bounded,
};

/// System call numbers that are told apart.
const CALLS: usize = 512;

/// Those in which a descriptor, the first argument, says what is waited for.
const BY_DESCRIPTOR: u8 = 4;

/// By system call number: a [`Sleep`] or [`BY_DESCRIPTOR`].
static CALL: [u8; CALLS] = {
    let calls = [Sleep::Other as u8; CALLS];
    let calls = assign(calls, wait::DISK, Sleep::Disk as u8);
    let calls = assign(calls, wait::NETWORK, Sleep::Network as u8);
    let calls = assign(calls, wait::LOCK, Sleep::Lock as u8);
    assign(calls, wait::DESCRIPTOR, BY_DESCRIPTOR)
};

const fn assign(mut calls: [u8; CALLS], numbers: &[u32], value: u8) -> [u8; CALLS] {
    let mut index = 0;
    while index < numbers.len() {
        calls[numbers[index] as usize] = value;
        index += 1;
    }
    calls
}

/// What a task that is asleep, or about to be, waits for.
#[inline(always)]
pub(super) fn of(task: &Task<Direct>) -> Sleep {
    if task.waits_for_io() {
        return Sleep::Disk;
    }
    let Some((number, descriptor)) = Regs::call_of(task) else {
        return Sleep::Other;
    };
    if number as usize >= CALLS {
        return Sleep::Other;
    }
    // SAFETY: within the table. Checked indexing would bring in a way to panic.
    match unsafe { *CALL.as_ptr().add(bounded::<511>(number)) } {
        BY_DESCRIPTOR if task.is_socket(descriptor) => Sleep::Network,
        kind if kind == Sleep::Disk as u8 => Sleep::Disk,
        kind if kind == Sleep::Network as u8 => Sleep::Network,
        kind if kind == Sleep::Lock as u8 => Sleep::Lock,
        _ => Sleep::Other,
    }
}
