//! Kernel 6.3 and later: `sock_recv_length` and `sock_send_length`, which fire for every kind of
//! socket read and write and for nothing else.

use aya_ebpf::{
    macros::{btf_tracepoint, map},
    maps::{LruHashMap, PerCpuArray},
    programs::BtfTracePointContext,
};
use sonde_common::event::{
    connection::{Connection, Stream, verdict},
    http::Direction,
    tls::Reason,
};

use super::{
    Io, Left, Rest, Slot, adopt, advance, arrival, give_up, give_up_messages, is_told, moves,
    payload::Payload, state_of, tell_messages, tell_parts,
};
use crate::{
    connection::{Storage, Store as _},
    current::{self, Ids},
    jump::{jump, targets},
    kernel::{Direct, Sock, Task},
    probe::{tls, uncovered},
    regs::{Regs, number},
};

pub(crate) const MSG_PEEK: i32 = 0x2;
const MSG_TRUNC: i32 = 0x20;
pub(crate) const MSG_ERRQUEUE: i32 = 0x2000;

/// `sock_recv_length(sk, ret, flags)`
#[btf_tracepoint(function = "sock_recv_length")]
#[inline(always)]
pub(crate) fn http_receive(ctx: BtfTracePointContext) -> i32 {
    let sk = Sock::new(ctx.arg(0));
    let (length, flags): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    if length < 0 {
        messages_end(&sk);
    } else if flags & (MSG_PEEK | MSG_ERRQUEUE) == 0
        && let Some(left) = on_call(&sk, Direction::Receive, length, flags)
    {
        next(&ctx, &sk, Direction::Receive, left, false);
    }
    0
}

/// `sock_send_length(sk, ret, flags)`
#[btf_tracepoint(function = "sock_send_length")]
#[inline(always)]
pub(crate) fn http_send(ctx: BtfTracePointContext) -> i32 {
    let sk = Sock::new(ctx.arg(0));
    let length: i32 = ctx.arg(1);
    if length < 0 {
        messages_end(&sk);
    } else if length > 0
        && let Some(left) = on_call(&sk, Direction::Send, length, 0)
    {
        next(&ctx, &sk, Direction::Send, left, false);
    }
    0
}

/// Tells the next part of what `http_receive` has begun with.
#[btf_tracepoint(function = "sock_recv_length")]
pub(crate) fn http_receive_more(ctx: BtfTracePointContext) -> i32 {
    let sk = Sock::new(ctx.arg(0));
    if on_part(&sk, Direction::Receive, Left::Frames).is_some() {
        next(&ctx, &sk, Direction::Receive, Left::Frames, false);
    }
    0
}

/// Follows the messages that `http_receive` has begun with.
#[btf_tracepoint(function = "sock_recv_length")]
pub(crate) fn http_receive_body(ctx: BtfTracePointContext) -> i32 {
    let sk = Sock::new(ctx.arg(0));
    if on_part(&sk, Direction::Receive, Left::Messages).is_some() {
        next(&ctx, &sk, Direction::Receive, Left::Messages, true);
    }
    0
}

/// Tells the next part of what `http_send` has begun with.
#[btf_tracepoint(function = "sock_send_length")]
pub(crate) fn http_send_more(ctx: BtfTracePointContext) -> i32 {
    let sk = Sock::new(ctx.arg(0));
    if on_part(&sk, Direction::Send, Left::Frames).is_some() {
        next(&ctx, &sk, Direction::Send, Left::Frames, false);
    }
    0
}

/// Follows the messages that `http_send` has begun with.
#[btf_tracepoint(function = "sock_send_length")]
pub(crate) fn http_send_body(ctx: BtfTracePointContext) -> i32 {
    let sk = Sock::new(ctx.arg(0));
    if on_part(&sk, Direction::Send, Left::Messages).is_some() {
        next(&ctx, &sk, Direction::Send, Left::Messages, true);
    }
    0
}

/// What is left of the read or write that is told in parts, by [`Direction`].
#[map]
static REST: PerCpuArray<Rest> = PerCpuArray::with_max_entries(2, 0);

targets!(
    HTTP_RECEIVE_MORE,
    HTTP_RECEIVE_BODY,
    HTTP_SEND_MORE,
    HTTP_SEND_BODY,
);

/// Keeps what is left for the next program; what that is, if there is any.
#[inline(always)]
fn keep(stream: &mut Stream, io: &Io, left: u32) -> Option<Left> {
    if left == 0 {
        return None;
    }
    let place = REST.get_ptr_mut(io.direction as u32)?;
    // SAFETY: this CPU's own copy, which nobody else uses while the program or those it jumps to run.
    unsafe { *place = Rest::behind(io, left) };
    Some(Left::of(stream))
}

/// Tells some parts; whether there are more.
#[inline(always)]
fn on_part(sk: &Sock<Direct>, direction: Direction, left: Left) -> Option<()> {
    // SAFETY: as in `keep`.
    let rest = unsafe { &mut *REST.get_ptr_mut(direction as u32)? };
    let slot = Slot::of_cpu(direction)?;
    // SAFETY: the map's value is alive while the program runs.
    let connection = unsafe { &mut *Storage::find(sk)? };
    let (stream, tcp) = (&mut connection.stream, sk.tcp()?);
    match left {
        Left::Frames => tell_parts(stream, &tcp, rest, direction, slot),
        Left::Messages => tell_messages(stream, &tcp, rest, direction, slot),
    }
}

/// Goes on with the program for what is left, or gives that up. `followed`: it was by one that
/// follows messages.
#[inline(always)]
fn next(
    ctx: &BtfTracePointContext,
    sk: &Sock<Direct>,
    direction: Direction,
    left: Left,
    followed: bool,
) {
    match (direction, left) {
        (Direction::Receive, Left::Frames) => jump(ctx, &HTTP_RECEIVE_MORE),
        (Direction::Receive, Left::Messages) => jump(ctx, &HTTP_RECEIVE_BODY),
        (Direction::Send, Left::Frames) => jump(ctx, &HTTP_SEND_MORE),
        (Direction::Send, Left::Messages) => jump(ctx, &HTTP_SEND_BODY),
    }
    if let Some(rest) = REST.get_ptr(direction as u32)
        && let Some(connection) = Storage::find(sk)
    {
        // SAFETY: as in `keep` and `on_part`.
        let (rest, connection) = unsafe { (&*rest, &mut *connection) };
        let stream = &mut connection.stream;
        if followed {
            give_up_messages(stream, direction, rest);
        } else {
            give_up(stream, direction, rest);
        }
    }
}

/// Follows a call; what of it is left to be told, if there is anything.
#[inline(always)]
fn on_call(sk: &Sock<Direct>, direction: Direction, length: i32, flags: i32) -> Option<Left> {
    if !sk.is_tcp() || (length == 0 && !sk.at_end_of_file()) {
        return None;
    }
    let task = current::task();
    let ids = Ids::of(&task);
    if ids.are_own() {
        return None;
    }
    let tcp = sk.tcp()?;
    if direction as u8 == Direction::Receive as u8 {
        arrival::read_ended(&tcp, length as u32);
    }
    // SAFETY: the map's value is alive while the program runs.
    let connection = unsafe { &mut *state_of::<Storage>(sk)? };
    adopt::<Storage>(connection, ids.tgid);
    if tls::is_settled(connection) {
        return None;
    }
    let payload = if flags & MSG_TRUNC != 0 || connection.stream.verdict == verdict::TLS {
        Payload::NONE
    } else {
        payload(&task)
    };
    let slot = Slot::of_cpu(direction)?;
    connection.stream.tcp = tcp.info()?;
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
        return None;
    }
    let told = is_told(&mut connection.stream, &io);
    if connection.stream.verdict != verdict::TLS {
        if !moves(&tcp, connection, &io) {
            return None;
        }
        let left = advance(&mut connection.stream, &tcp, &io, told);
        return keep(&mut connection.stream, &io, left);
    }
    if length > 0 {
        let goroutine = Regs::of(&task).goroutine();
        tls::ciphertext(sk, connection, direction, ids, goroutine);
    }
    None
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
        return Payload::NONE;
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
