//! Kernels before 6.3: the end of every system call, where registers tell call and arguments, and
//! the socket is found through the descriptor table.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_task},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use sonde_common::event::http::Direction;

use super::{Io, adopt, on_io, payload::Payload};
use crate::{
    connection::{Store, Table, note_progress},
    filter::is_self,
    kernel::{Probed, Sock, Task},
    regs::{Regs, number},
};

const MSG_PEEK: u64 = 0x2;
const MSG_TRUNC: u64 = 0x20;
const MSG_ERRQUEUE: u64 = 0x2000;
/// Messages of one sendmmsg or recvmmsg that are looked at.
const MESSAGES: u32 = 4;

/// `sys_exit(regs, ret)`
#[raw_tracepoint(tracepoint = "sys_exit")]
pub(crate) fn http_sys_exit(ctx: RawTracePointContext) -> i32 {
    let result: i64 = ctx.arg(1);
    if result >= 0 {
        on_exit(&Regs::new(ctx.arg(0)), result as u64);
    }
    0
}

#[inline(always)]
fn on_exit(regs: &Regs<Probed>, result: u64) {
    let Some(call) = regs.number() else {
        return;
    };
    let Some(direction) = direction(call) else {
        return;
    };
    if direction as u8 == Direction::Send as u8 && result == 0 {
        return;
    }
    let flags = flags(call, regs);
    if flags & (MSG_PEEK | MSG_ERRQUEUE) != 0 {
        return;
    }
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if is_self(tgid) {
        return;
    }
    let Some(sk) = socket(call, regs) else {
        return;
    };
    if !sk.is_tcp() || (result == 0 && !sk.at_end_of_file()) {
        return;
    }
    let Some(connection) = Table::find_or_create(&sk) else {
        return;
    };
    // SAFETY: the map's value is alive while the program runs.
    let connection = unsafe { &mut *connection };
    adopt(connection, tgid);
    note_progress(&sk, connection);
    let mut io = Io {
        direction,
        length: result as u32,
        tgid,
        payload: Payload::None,
    };
    if matches!(call, number::SENDMMSG | number::RECVMMSG) {
        messages(&sk, connection, &mut io, call, regs, result as u32);
        return;
    }
    if flags & MSG_TRUNC == 0 {
        io.payload = Payload::of_call(call, regs, 0);
    }
    on_io::<Table>(&sk, connection, &io);
}

/// Each message of a vector of `count` as a read or write of its own.
#[inline(always)]
fn messages(
    sk: &Sock<Probed>,
    connection: &mut sonde_common::event::connection::Connection,
    io: &mut Io,
    call: u32,
    regs: &Regs<Probed>,
    count: u32,
) {
    let mut index = 0;
    while index < MESSAGES && index < count {
        io.length = Payload::message_length(regs.argument(1), index);
        io.payload = Payload::of_call(call, regs, index);
        on_io::<Table>(sk, connection, io);
        index += 1;
    }
}

#[inline(always)]
fn direction(call: u32) -> Option<Direction> {
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

#[inline(always)]
fn flags(call: u32, regs: &Regs<Probed>) -> u64 {
    match call {
        number::RECVFROM | number::RECVMMSG => regs.argument(3),
        number::RECVMSG => regs.argument(2),
        _ => 0,
    }
}

/// The socket that the call wrote to or read from.
#[inline(always)]
fn socket(call: u32, regs: &Regs<Probed>) -> Option<Sock<Probed>> {
    // splice(in, in_offset, out, ...): only the way into a socket is followed here.
    let index = if call == number::SPLICE { 2 } else { 0 };
    // SAFETY: the helper takes nothing and always succeeds.
    let task = Task::<Probed>::new(unsafe { bpf_get_current_task() } as *const u8);
    task.socket(regs.argument(index) as u32)
}
