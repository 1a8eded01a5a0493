//! Kernels before 6.3: the end of every system call, where registers tell call and arguments, and
//! the socket is found through the descriptor table.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_task},
    macros::{map, raw_tracepoint},
    maps::PerCpuArray,
    programs::RawTracePointContext,
};
use sonde_common::{
    event::{connection::Connection, http::Direction},
    fault::Fault,
};

use super::{Io, adopt, on_io, payload::Payload, state_of};
use crate::{
    connection::{Table, note_progress},
    emit::fault,
    filter::is_self,
    kernel::{Probed, Sock, Task},
    regs::{Regs, number},
};

const MSG_PEEK: u64 = 0x2;
const MSG_TRUNC: u64 = 0x20;
const MSG_ERRQUEUE: u64 = 0x2000;
/// Messages of one sendmmsg or recvmmsg that are looked at.
const MESSAGES: u32 = 4;
/// Messages whose bytes are counted.
const COUNTED: u32 = 32;

/// What a call moved. It goes through memory, so that all that the verifier knows of it is that it
/// is some number: it would follow each kind of call on its own otherwise, and give up.
#[repr(C)]
#[derive(Clone, Copy)]
struct Call {
    address: u64,
    vector: u64,
    length: u32,
    pieces: u32,
    messages: u32,
    sends: u32,
}

#[map]
static CALL: PerCpuArray<Call> = PerCpuArray::with_max_entries(1, 0);

impl Call {
    /// As the rest of this module takes it.
    #[inline(always)]
    unsafe fn io(call: *const Self, tgid: u32) -> Io {
        // SAFETY: the caller's pointer is a live map value, this CPU's own.
        let call = unsafe { call.read_volatile() };
        Io {
            direction: if call.sends != 0 {
                Direction::Send
            } else {
                Direction::Receive
            },
            length: call.length,
            tgid,
            payload: match call.pieces {
                0 => Payload::None,
                1 => Payload::Buffer(call.address),
                pieces => Payload::Vector(call.address, pieces),
            },
        }
    }

    #[inline(always)]
    fn set(&mut self, payload: Payload) {
        (self.address, self.pieces) = match payload {
            Payload::None => (0, 0),
            Payload::Buffer(address) => (address, 1),
            Payload::Vector(address, pieces) => (address, pieces),
        };
    }

    /// Turns to a message of the vector.
    #[inline(always)]
    fn set_message(&mut self, index: u32) {
        self.length = Payload::message_length(self.vector, index);
        self.set(Payload::of_message(self.vector, index));
    }
}

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
    let Some(connection) = state_of::<Table>(&sk) else {
        return;
    };
    // SAFETY: the map's value is alive while the program runs.
    let connection = unsafe { &mut *connection };
    adopt(connection, tgid);
    note_progress(&sk, connection);
    let Some(place) = CALL.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: this CPU's own copy, and calls don't nest on a CPU.
    let moved = unsafe { &mut *place };
    moved.sends = (direction as u8 == Direction::Send as u8).into();
    moved.vector = regs.argument(1);
    if matches!(call, number::SENDMMSG | number::RECVMMSG) {
        moved.messages = result as u32;
        moved.set_message(0);
    } else {
        moved.messages = 1;
        moved.length = result as u32;
        moved.set(if flags & MSG_TRUNC == 0 {
            Payload::of_call(call, regs, 0)
        } else {
            Payload::None
        });
    }
    follow(&sk, connection, place, tgid);
}

/// Follows what a call moved; each message of a vector as a read or write of its own.
#[inline(always)]
fn follow(sk: &Sock<Probed>, connection: &mut Connection, place: *mut Call, tgid: u32) {
    let mut index = 0;
    loop {
        // SAFETY: this CPU's own copy, and calls don't nest on a CPU.
        let io = unsafe { Call::io(place, tgid) };
        // An empty message isn't the end of the stream.
        if io.length != 0 || index == 0 {
            on_io::<Table>(sk, connection, &io);
        }
        index += 1;
        // SAFETY: as above.
        let moved = unsafe { &mut *place };
        if index >= moved.messages {
            return;
        }
        if index >= MESSAGES {
            connection.offset[io.direction as usize & 1] += uncaptured(moved);
            return;
        }
        moved.set_message(index);
    }
}

/// Bytes of the messages after those that are looked at.
#[inline(always)]
fn uncaptured(moved: &Call) -> u64 {
    fault(Fault::UnseenBytes);
    let mut bytes = 0u64;
    let mut index = MESSAGES;
    while index < COUNTED && index < moved.messages {
        bytes += u64::from(Payload::message_length(moved.vector, index));
        index += 1;
    }
    bytes
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
        number::RECVFROM => regs.argument(3),
        number::RECVMSG => regs.argument(2),
        number::RECVMMSG => regs.argument(3),
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
