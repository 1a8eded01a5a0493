//! Kernel 6.3 and later: `sock_recv_length` and `sock_send_length`, which fire for every kind of
//! socket read and write and for nothing else.

use aya_ebpf::{
    macros::{btf_tracepoint, map},
    maps::LruHashMap,
    programs::BtfTracePointContext,
};
use sonde_common::event::{
    connection::{Connection, verdict},
    http::Direction,
    tls::Reason,
};

use super::{Io, Slot, adopt, is_told, on_io, payload::Payload, state_of};
use crate::{
    connection::Storage,
    current::{self, Ids},
    kernel::{Direct, Sock, Task},
    probe::{tls, uncovered},
    regs::{Regs, number},
};

const MSG_PEEK: i32 = 0x2;
const MSG_TRUNC: i32 = 0x20;
const MSG_ERRQUEUE: i32 = 0x2000;

/// `sock_recv_length(sk, ret, flags)`
#[btf_tracepoint(function = "sock_recv_length")]
pub(crate) fn http_receive(ctx: BtfTracePointContext) -> i32 {
    let sk = Sock::new(ctx.arg(0));
    let (length, flags): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    if length < 0 {
        messages_end(&sk);
    } else if flags & (MSG_PEEK | MSG_ERRQUEUE) == 0 {
        on_call(&sk, Direction::Receive, length, flags);
    }
    0
}

/// `sock_send_length(sk, ret, flags)`
#[btf_tracepoint(function = "sock_send_length")]
pub(crate) fn http_send(ctx: BtfTracePointContext) -> i32 {
    let sk = Sock::new(ctx.arg(0));
    let length: i32 = ctx.arg(1);
    if length < 0 {
        messages_end(&sk);
    } else if length > 0 {
        on_call(&sk, Direction::Send, length, 0);
    }
    0
}

#[inline(always)]
fn on_call(sk: &Sock<Direct>, direction: Direction, length: i32, flags: i32) {
    if !sk.is_tcp() || (length == 0 && !sk.at_end_of_file()) {
        return;
    }
    let task = current::task();
    let ids = Ids::of(&task);
    if ids.are_own() {
        return;
    }
    let Some(connection) = state_of::<Storage>(sk) else {
        return;
    };
    // SAFETY: the map's value is alive while the program runs.
    let connection = unsafe { &mut *connection };
    adopt::<Storage>(connection, ids.tgid);
    if tls::is_settled(connection) {
        return;
    }
    let payload = if flags & MSG_TRUNC != 0 || connection.stream.verdict == verdict::TLS {
        Payload::None
    } else {
        payload(&task)
    };
    let Some(slot) = Slot::of_cpu(direction) else {
        return;
    };
    let io = Io {
        direction,
        length: length as u32,
        tgid: ids.tgid,
        payload,
        slot,
    };
    if is_undecided(connection) && length > 0 && is_by_uring(&task) {
        let stream = &mut connection.stream;
        stream.offset[direction as usize & 1] += u64::from(io.length);
        stream.late = 1;
        uncovered::tell(sk, connection, Reason::IoUring);
        return;
    }
    let told = is_told(&mut connection.stream, &io);
    if connection.stream.verdict != verdict::TLS {
        on_io(sk, connection, &io, told);
    } else if length > 0 {
        let goroutine = Regs::of(&task).goroutine();
        tls::ciphertext(sk, connection, direction, ids, goroutine);
    }
}

#[inline(always)]
fn is_undecided(connection: &Connection) -> bool {
    connection.stream.verdict == verdict::UNDECIDED
}

/// Whether `io_uring` moves the bytes, of which it isn't seen where they are: within
/// `io_uring_enter`, or in a worker thread of the ring's, which has no system call.
#[inline(always)]
fn is_by_uring(task: &Task<Direct>) -> bool {
    matches!(Regs::of(task).number(), None | Some(number::IO_URING_ENTER))
}

/// Where the bytes of the present system call stand.
#[inline(always)]
fn payload(task: &Task<Direct>) -> Payload {
    let regs = Regs::of(task);
    let Some(call) = regs.number() else {
        return Payload::None;
    };
    let index = match call {
        number::SENDMMSG | number::RECVMMSG => message_index(regs.argument(1), regs.argument(2)),
        _ => 0,
    };
    Payload::of_call(call, &regs, index)
}

/// How far a thread has come in a sendmmsg or recvmmsg.
#[repr(C)]
#[derive(Clone, Copy)]
struct Progress {
    vector: u64,
    next: u32,
    pad: u32,
}

/// Threads within sendmmsg or recvmmsg.
#[map]
static PROGRESS: LruHashMap<u32, Progress> = LruHashMap::with_max_entries(1024, 0);

/// Which message of the vector this is, `count` long. A call ends at the vector's end or at an
/// error, which [`messages_end`] sees.
#[inline(always)]
fn message_index(vector: u64, count: u64) -> u32 {
    let tid = current::ids().tid;
    if let Some(progress) = PROGRESS.get_ptr_mut(&tid) {
        // SAFETY: the map's value is alive while the program runs; one thread writes it.
        let progress = unsafe { &mut *progress };
        let index = progress.next;
        if progress.vector == vector && u64::from(index) < count {
            progress.next = index + 1;
            return index;
        }
    }
    let progress = Progress {
        vector,
        next: 1,
        pad: 0,
    };
    let _ = PROGRESS.insert(&tid, &progress, 0);
    0
}

/// An error ends a sendmmsg or recvmmsg early: the next one begins at its first message.
#[inline(always)]
fn messages_end(sk: &Sock<Direct>) {
    if sk.is_tcp()
        && matches!(
            Regs::of(&current::task()).number(),
            Some(number::SENDMMSG | number::RECVMMSG)
        )
    {
        let _ = PROGRESS.remove(&current::ids().tid);
    }
}
