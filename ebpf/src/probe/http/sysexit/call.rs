//! The system calls that read and write sockets.

use aya_ebpf::helpers::generated::bpf_get_current_task;
use sonde_common::event::http::Direction;

use crate::{
    kernel::{Probed, Sock, Task},
    regs::{Regs, number},
};

/// Which way a call moves bytes, if it does.
#[inline(always)]
pub(super) fn direction(call: u32) -> Option<Direction> {
    match call {
        number::READ
        | number::READV
        | number::PREADV2
        | number::RECVFROM
        | number::RECVMSG
        | number::RECVMMSG => Some(Direction::Receive),
        number::WRITE
        | number::WRITEV
        | number::PWRITEV2
        | number::SENDTO
        | number::SENDMSG
        | number::SENDMMSG
        | number::SENDFILE
        | number::SPLICE => Some(Direction::Send),
        _ => None,
    }
}

/// Its `MSG_` flags.
#[inline(always)]
pub(super) fn flags(call: u32, regs: &Regs<Probed>) -> u64 {
    match call {
        number::RECVFROM | number::RECVMMSG => regs.argument(3),
        number::RECVMSG => regs.argument(2),
        _ => 0,
    }
}

/// The socket that the call wrote to or read from.
#[inline(always)]
pub(super) fn socket(call: u32, regs: &Regs<Probed>) -> Option<Sock<Probed>> {
    // splice(in, in_offset, out, ...): only the way into a socket is followed here.
    let index = if call == number::SPLICE { 2 } else { 0 };
    // SAFETY: the helper takes nothing and always succeeds.
    let task = Task::<Probed>::new(unsafe { bpf_get_current_task() } as *const u8);
    task.socket(regs.argument(index) as u32)
}
