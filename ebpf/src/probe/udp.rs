//! Bytes of UDP, by whoever sends and receives them: what TCP's own counters are for, UDP's sockets
//! have none of.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use sonde_common::event::http::Direction;

use crate::{
    current,
    kernel::{Direct, Sock},
    probe::http::{MSG_ERRQUEUE, MSG_PEEK},
    thread::{Storage, Store as _},
};

/// `sock_recv_length(sk, ret, flags)`
#[btf_tracepoint(function = "sock_recv_length")]
pub(crate) fn udp_receive(ctx: BtfTracePointContext) -> i32 {
    let flags: i32 = ctx.arg(2);
    if flags & (MSG_PEEK | MSG_ERRQUEUE) == 0 {
        count(&Sock::new(ctx.arg(0)), Direction::Receive, ctx.arg(1));
    }
    0
}

/// `sock_send_length(sk, ret, flags)`
#[btf_tracepoint(function = "sock_send_length")]
pub(crate) fn udp_send(ctx: BtfTracePointContext) -> i32 {
    count(&Sock::new(ctx.arg(0)), Direction::Send, ctx.arg(1));
    0
}

/// Counts for the thread that makes the call: so nobody else writes there.
#[inline(always)]
fn count(sk: &Sock<Direct>, direction: Direction, length: i32) {
    if length <= 0 || !sk.is_udp() {
        return;
    }
    if let Some(thread) = Storage::find(&current::task()) {
        // SAFETY: a live map value of the thread that runs.
        let bytes = unsafe { &mut (*thread).udp[direction as usize & 1] };
        *bytes = bytes.wrapping_add(length as u64);
    }
}
