//! Kernels before 6.3: the end of every system call, where registers tell call and arguments, and
//! the socket is found through the descriptor table.
//!
//! Not in one program, for the verifier would give up on that: `http_sys_exit` finds out what was
//! moved on which connection; `http_received` or `http_sent` follows that, once for each message
//! of a vector.

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::{map, raw_tracepoint},
    maps::PerCpuArray,
    programs::RawTracePointContext,
};
use sonde_common::{
    event::{
        connection::{Connection, verdict},
        http::Direction,
        tcp::Info,
    },
    fault::Fault,
};

use self::call::{direction, flags, socket};
use super::{
    Io, Left, Rest, Slot, adopt, advance, arrival, give_up, give_up_messages, is_told, moves,
    payload::Payload, state_of, tell_messages, tell_parts,
};
use crate::{
    connection::{Store, Table, note_progress},
    current::{self, is_self},
    emit::fault,
    jump::{jump, targets},
    kernel::{Probed, Sock},
    probe::tls,
    regs::{Regs, number},
};

mod call;

const MSG_PEEK: u64 = 0x2;
const MSG_TRUNC: u64 = 0x20;
const MSG_ERRQUEUE: u64 = 0x2000;
/// Messages of one sendmmsg or recvmmsg that are followed: the kernel allows 33 jumps from program
/// to program.
const MESSAGES: u32 = 32;
/// Times that parts of one message are told, for the same reason.
const RUNS: u64 = 32;

/// What a call moved, for the program that follows it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Call {
    /// What is to be told of the present message.
    rest: Rest,
    vector: u64,
    messages: u32,
    /// The present message.
    index: u32,
    sk: u64,
    /// Times that some of the message was told.
    runs: u64,
}

#[map]
static CALL: PerCpuArray<Call> = PerCpuArray::with_max_entries(1, 0);

targets!(
    HTTP_RECEIVED,
    HTTP_RECEIVED_MORE,
    HTTP_RECEIVED_BODY,
    HTTP_SENT,
    HTTP_SENT_MORE,
    HTTP_SENT_BODY,
);

impl Call {
    /// Bytes of the messages after the first.
    #[inline(always)]
    fn later_bytes(&self) -> u32 {
        let mut bytes = 0u32;
        let mut index = 1;
        while index < MESSAGES && index < self.messages {
            bytes = bytes.wrapping_add(Payload::message_length(self.vector, index));
            index += 1;
        }
        bytes
    }

    /// Turns to a message of the vector.
    #[inline(always)]
    fn set_message(&mut self, index: u32) {
        self.index = index;
        self.runs = 0;
        self.rest = Rest::new(
            Payload::of_message(self.vector, index),
            Payload::message_length(self.vector, index),
            self.rest.tgid,
        );
    }
}

/// `sys_exit(regs, ret)`
#[raw_tracepoint(tracepoint = "sys_exit")]
pub(crate) fn http_sys_exit(ctx: RawTracePointContext) -> i32 {
    let result: i64 = ctx.arg(1);
    if result >= 0
        && let Some(direction) = on_exit(&Regs::new(ctx.arg(0)), result as u64)
    {
        next(&ctx, direction, Next::Message);
    }
    0
}

/// Follows what `http_sys_exit` has found to be read.
#[raw_tracepoint(tracepoint = "sys_exit")]
#[inline(always)]
pub(crate) fn http_received(ctx: RawTracePointContext) -> i32 {
    if let Some(step) = on_moved(Direction::Receive, &Regs::new(ctx.arg(0))) {
        next(&ctx, Direction::Receive, step);
    }
    0
}

/// Tells parts of what `http_received` has begun with.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub(crate) fn http_received_more(ctx: RawTracePointContext) -> i32 {
    if let Some(step) = on_part(Direction::Receive, Left::Frames) {
        next(&ctx, Direction::Receive, step);
    }
    0
}

/// Follows the messages of HTTP/1.x that `http_received` has begun with.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub(crate) fn http_received_body(ctx: RawTracePointContext) -> i32 {
    if let Some(step) = on_part(Direction::Receive, Left::Messages) {
        next(&ctx, Direction::Receive, step);
    }
    0
}

/// Follows what `http_sys_exit` has found to be written.
#[raw_tracepoint(tracepoint = "sys_exit")]
#[inline(always)]
pub(crate) fn http_sent(ctx: RawTracePointContext) -> i32 {
    if let Some(step) = on_moved(Direction::Send, &Regs::new(ctx.arg(0))) {
        next(&ctx, Direction::Send, step);
    }
    0
}

/// Tells parts of what `http_sent` has begun with.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub(crate) fn http_sent_more(ctx: RawTracePointContext) -> i32 {
    if let Some(step) = on_part(Direction::Send, Left::Frames) {
        next(&ctx, Direction::Send, step);
    }
    0
}

/// Follows the messages of HTTP/1.x that `http_sent` has begun with.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub(crate) fn http_sent_body(ctx: RawTracePointContext) -> i32 {
    if let Some(step) = on_part(Direction::Send, Left::Messages) {
        next(&ctx, Direction::Send, step);
    }
    0
}

/// What there is to do next of a call.
#[derive(Clone, Copy)]
enum Next {
    /// To follow the present message.
    Message,
    /// To tell more of it.
    Part(Left),
}

/// Goes on with a program of a direction; comes back only when it can't.
#[inline(always)]
fn next(ctx: &RawTracePointContext, direction: Direction, step: Next) {
    match (direction, step) {
        (Direction::Receive, Next::Message) => jump(ctx, &HTTP_RECEIVED),
        (Direction::Receive, Next::Part(Left::Frames)) => jump(ctx, &HTTP_RECEIVED_MORE),
        (Direction::Receive, Next::Part(Left::Messages)) => jump(ctx, &HTTP_RECEIVED_BODY),
        (Direction::Send, Next::Message) => jump(ctx, &HTTP_SENT),
        (Direction::Send, Next::Part(Left::Frames)) => jump(ctx, &HTTP_SENT_MORE),
        (Direction::Send, Next::Part(Left::Messages)) => jump(ctx, &HTTP_SENT_BODY),
    }
    fault(Fault::PayloadUnreadable);
}

/// Finds out what the call moved, if that was on a TCP socket.
#[inline(always)]
fn on_exit(regs: &Regs<Probed>, result: u64) -> Option<Direction> {
    let call = regs.number()?;
    let direction = direction(call)?;
    if direction as u8 == Direction::Send as u8 && result == 0 {
        return None;
    }
    let flags = flags(call, regs);
    if flags & (MSG_PEEK | MSG_ERRQUEUE) != 0 {
        return None;
    }
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if is_self(tgid) {
        return None;
    }
    let sk = socket(call, regs)?;
    if !sk.is_tcp() || (result == 0 && !sk.at_end_of_file()) {
        return None;
    }
    if direction as u8 == Direction::Receive as u8 {
        // Of several messages it isn't known how many bytes they have.
        let many = call == number::RECVMMSG;
        arrival::read_ended(&sk.tcp()?, if many { 0 } else { result as u32 });
    }
    // SAFETY: the map's value is alive while the program runs.
    let connection = unsafe { &mut *state_of::<Table>(&sk)? };
    adopt::<Table>(connection, tgid);
    note_progress(&sk, connection);
    connection.stream.tcp = Info {
        srtt: connection.progress.srtt,
        retransmits: connection.progress.retransmits,
    };
    if tls::is_settled(connection) {
        return None;
    }
    if connection.stream.verdict == verdict::TLS {
        if result > 0 {
            tls::ciphertext(&sk, connection, direction, current::ids(), regs.goroutine());
        }
        return None;
    }
    // SAFETY: this CPU's own copy, and calls don't nest on a CPU.
    let moved = unsafe { &mut *CALL.get_ptr_mut(0)? };
    moved.sk = sk.0 as u64;
    moved.vector = regs.argument(1);
    moved.index = 0;
    moved.runs = 0;
    moved.rest.tgid = tgid;
    if matches!(call, number::SENDMMSG | number::RECVMMSG) {
        moved.messages = result as u32;
        moved.set_message(0);
        // The sequence number stands behind all messages already; the first is compared alone.
        if direction as u8 == Direction::Receive as u8 {
            connection.copied_seq = connection.copied_seq.wrapping_add(moved.later_bytes());
        }
    } else {
        moved.messages = 1;
        let payload = if flags & MSG_TRUNC == 0 {
            Payload::of_call(call, regs, 0)
        } else {
            Payload::NONE
        };
        moved.rest = Rest::new(payload, result as u32, tgid);
    }
    Some(direction)
}

/// Follows a message; what there is to do next.
#[inline(always)]
fn on_moved(direction: Direction, regs: &Regs<Probed>) -> Option<Next> {
    // SAFETY: this CPU's own copy, and calls don't nest on a CPU.
    let moved = unsafe { &mut *CALL.get_ptr_mut(0)? };
    let sk = Sock::<Probed>::new(moved.sk as *const u8);
    // SAFETY: the map's value is alive while the program runs.
    let connection = unsafe { &mut *Table::find(&sk)? };
    let io = moved.rest.io(direction, Slot::of_cpu(direction)?);
    // An empty message isn't the end of the stream.
    if is_followed(connection) && (io.length != 0 || moved.messages == 1) {
        let left = on_message(&sk, connection, &io, regs);
        if left > 0 {
            moved.rest = Rest::behind(&io, left);
            return Some(Next::Part(Left::of(&mut connection.stream)));
        }
    }
    next_message(moved, connection)
}

/// Tells some of what is left of a message.
#[inline(always)]
fn on_part(direction: Direction, left: Left) -> Option<Next> {
    // SAFETY: this CPU's own copy, and calls don't nest on a CPU.
    let moved = unsafe { &mut *CALL.get_ptr_mut(0)? };
    let sk = Sock::<Probed>::new(moved.sk as *const u8);
    // SAFETY: the map's value is alive while the program runs.
    let connection = unsafe { &mut *Table::find(&sk)? };
    let (stream, rest) = (&mut connection.stream, &mut moved.rest);
    let tcp = sk.tcp()?;
    let slot = Slot::of_cpu(direction)?;
    let stays = match left {
        Left::Frames => tell_parts(stream, &tcp, rest, direction, slot),
        Left::Messages => tell_messages(stream, &tcp, rest, direction, slot),
    };
    if stays.is_none() {
        return next_message(moved, connection);
    }
    moved.runs += 1;
    if moved.runs < RUNS {
        return Some(Next::Part(left));
    }
    match left {
        Left::Frames => give_up(stream, direction, rest),
        Left::Messages => give_up_messages(stream, direction, rest),
    }
    next_message(moved, connection)
}

/// Turns to the next message of a vector, if there is one.
#[inline(always)]
fn next_message(moved: &mut Call, connection: &mut Connection) -> Option<Next> {
    let index = moved.index + 1;
    if index >= moved.messages {
        return None;
    }
    if index >= MESSAGES {
        // Where the next bytes stand in the stream can't be told any more.
        fault(Fault::UnseenBytes);
        connection.stream.verdict = verdict::OPAQUE;
        return None;
    }
    moved.set_message(index);
    Some(Next::Message)
}

/// Follows a message from its beginning; how many of its bytes are left to be told.
#[inline(always)]
fn on_message(sk: &Sock<Probed>, connection: &mut Connection, io: &Io, regs: &Regs<Probed>) -> u32 {
    let told = is_told(&mut connection.stream, io);
    if connection.stream.verdict != verdict::TLS {
        let Some(tcp) = sk.tcp() else {
            return 0;
        };
        if !moves(&tcp, connection, io) {
            return 0;
        }
        return advance(&mut connection.stream, &tcp, io, told);
    }
    if io.length > 0 {
        let goroutine = regs.goroutine();
        tls::ciphertext(sk, connection, io.direction, current::ids(), goroutine);
    }
    0
}

/// Whether the bytes of the connection's own stream are looked at.
#[inline(always)]
fn is_followed(connection: &Connection) -> bool {
    !matches!(connection.stream.verdict, verdict::OPAQUE | verdict::TLS)
}
