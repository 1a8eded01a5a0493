//! TCP connection lifecycle: `inet_sock_set_state`, and who sent a reset.

pub(crate) mod iterator;
mod listener;

use core::mem::MaybeUninit;

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use sonde_common::{
    event::{
        connection::{Connection, verdict},
        tcp::{Closed, ConnectFailed, Role, Totals},
    },
    fault::Fault,
    header::Kind,
};

use super::http;
use crate::{
    connection::{self, Storage, Store, Table},
    current::is_self,
    emit::{fault, header, send},
    kernel::{Access, Direct, Sock},
    seq,
};

/// TCP states of `include/net/tcp_states.h`.
mod state {
    pub(super) const ESTABLISHED: u32 = 1;
    pub(super) const SYN_SENT: u32 = 2;
    pub(super) const FIN_WAIT1: u32 = 4;
    pub(super) const CLOSE: u32 = 7;
    pub(super) const CLOSE_WAIT: u32 = 8;
    pub(super) const LAST_ACK: u32 = 9;
    pub(super) const LISTEN: u32 = 10;
}

/// `inet_sock_set_state(sk, oldstate, newstate)`, kernel 4.16.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub(crate) fn tcp_state(ctx: BtfTracePointContext) -> i32 {
    on_state::<Storage>(&Sock::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2));
    0
}

/// The same below 6.3.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub(crate) fn tcp_state_table(ctx: RawTracePointContext) -> i32 {
    on_state::<Table>(&Sock::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2));
    0
}

/// `tcp_destroy_sock(sk)`, kernel 4.16: the process has let the socket go.
#[btf_tracepoint(function = "tcp_destroy_sock")]
pub(crate) fn tcp_destroy(ctx: BtfTracePointContext) -> i32 {
    on_destroy::<Storage>(&Sock::new(ctx.arg(0)));
    0
}

/// The same below 6.3.
#[raw_tracepoint(tracepoint = "tcp_destroy_sock")]
pub(crate) fn tcp_destroy_table(ctx: RawTracePointContext) -> i32 {
    on_destroy::<Table>(&Sock::new(ctx.arg(0)));
    0
}

/// `tcp_receive_reset(sk)`, kernel 4.16.
#[btf_tracepoint(function = "tcp_receive_reset")]
pub(crate) fn tcp_reset_received(ctx: BtfTracePointContext) -> i32 {
    on_reset::<Storage>(&Sock::new(ctx.arg(0)), 1);
    0
}

/// The same below 6.3.
#[raw_tracepoint(tracepoint = "tcp_receive_reset")]
pub(crate) fn tcp_reset_received_table(ctx: RawTracePointContext) -> i32 {
    on_reset::<Table>(&Sock::new(ctx.arg(0)), 1);
    0
}

/// `tcp_send_reset(sk, ...)`, kernel 4.16; the socket may be missing or no full one.
#[btf_tracepoint(function = "tcp_send_reset")]
pub(crate) fn tcp_reset_sent(ctx: BtfTracePointContext) -> i32 {
    on_reset::<Storage>(&Sock::new(ctx.arg(0)), 2);
    0
}

/// The same below 6.3.
#[raw_tracepoint(tracepoint = "tcp_send_reset")]
pub(crate) fn tcp_reset_sent_table(ctx: RawTracePointContext) -> i32 {
    on_reset::<Table>(&Sock::new(ctx.arg(0)), 2);
    0
}

#[inline(always)]
fn on_reset<S: Store>(sk: &Sock<S::Access>, direction: u8) {
    if sk.0.is_null() {
        fault(Fault::ResetWithoutSocket);
        return;
    }
    if let Some(connection) = S::find(sk) {
        // SAFETY: the map's value is alive while the program runs.
        unsafe { (*connection).reset = direction };
    }
}

#[inline(always)]
fn on_state<S: Store>(sk: &Sock<S::Access>, old: u32, new: u32) {
    if !sk.is_tcp() {
        return;
    }
    match new {
        state::SYN_SENT => connecting::<S>(sk),
        state::ESTABLISHED => established::<S>(sk, old),
        state::LISTEN => listening(sk),
        state::FIN_WAIT1 | state::LAST_ACK => {
            if let Some(connection) = S::find(sk) {
                // SAFETY: the map's value is alive while the program runs.
                http::sending_ended(sk, unsafe { &mut *connection });
            }
        }
        state::CLOSE if old == state::LISTEN => listening_ended(sk),
        state::CLOSE => closed::<S>(sk, old),
        _ => {}
    }
}

fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

#[inline(always)]
fn listening<A: Access>(sk: &Sock<A>) {
    let tgid = current_tgid();
    if is_self(tgid) {
        connection::remember_own(&connection::listener(&sk.tuple()));
    } else {
        // SAFETY: the helper takes nothing and always succeeds.
        listener::begins(sk, unsafe { bpf_ktime_get_ns() }, tgid);
    }
}

#[inline(always)]
fn listening_ended<A: Access>(sk: &Sock<A>) {
    if is_self(current_tgid()) {
        connection::forget_own(&connection::listener(&sk.tuple()));
    }
    listener::ends(sk);
}

#[inline(always)]
fn connecting<S: Store>(sk: &Sock<S::Access>) {
    let Some(connection) = S::find_or_create(sk) else {
        return;
    };
    let id = S::next_id();
    // SAFETY: the map's value is alive while the program runs.
    let connection = unsafe { &mut *connection };
    connection::reset(connection, id);
    // SAFETY: the helper takes nothing and always succeeds.
    connection.connect_start = unsafe { bpf_ktime_get_ns() };
    connection.tgid = current_tgid();
    connection.role = Role::Outbound as u8;
    if is_self(connection.tgid) {
        connection.own = 1;
        connection.stream.verdict = verdict::OPAQUE;
    }
}

#[inline(always)]
fn established<S: Store>(sk: &Sock<S::Access>, old: u32) {
    let Some(connection) = S::find_or_create(sk) else {
        return;
    };
    // SAFETY: the helper takes nothing and always succeeds.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: the map's value is alive while the program runs.
    let connection = unsafe { &mut *connection };
    let tuple = sk.tuple();
    if old == state::SYN_SENT && connection.connect_start != 0 {
        connection.connect_duration = now - connection.connect_start;
        if connection.own != 0 {
            connection::remember_own(&connection::opened(&tuple));
        }
    } else {
        connection::reset(connection, S::next_id());
        if old != state::SYN_SENT {
            connection.role = Role::Inbound as u8;
        }
    }
    connection.opened = now;
    let accepted = connection.role == Role::Inbound as u8;
    if connection::peer_is_own(&tuple) || (accepted && connection::is_accepted_by_own(&tuple)) {
        connection.own = 1;
        connection.stream.verdict = verdict::OPAQUE;
    }
}

#[inline(always)]
fn closed<S: Store>(sk: &Sock<S::Access>, old: u32) {
    let Some(pointer) = S::find(sk) else {
        return;
    };
    // SAFETY: the map's value is alive while the program runs.
    let connection = unsafe { &mut *pointer };
    if connection.own == 0 && connection.stream.connection != 0 {
        if old == state::SYN_SENT {
            connect_failed(sk, connection);
        } else if connection.opened != 0 {
            if connection.reset == 0 && resets(sk, old) {
                connection.reset = 2;
            }
            if sk.has_unread() || sk.is_being_written() {
                // The peer's answer and FIN came before the process read them: it still may. And
                // a long write is told when it ends: a reset has ended it, but it doesn't know yet.
                // SAFETY: the helper takes nothing and always succeeds.
                connection.closed = unsafe { bpf_ktime_get_ns() };
                return;
            }
            http::closing(sk, connection);
            report_closed(sk, connection);
        }
    } else if connection.own != 0 && connection.role == Role::Outbound as u8 {
        connection::forget_own(&connection::opened(&sk.tuple()));
    }
    S::remove(sk);
}

/// Tells the end of a connection that was closed with bytes left to read.
#[inline(always)]
fn on_destroy<S: Store>(sk: &Sock<S::Access>) {
    http::forget_arrivals(sk);
    let Some(pointer) = S::find(sk) else {
        return;
    };
    // SAFETY: the map's value is alive while the program runs.
    let connection = unsafe { &mut *pointer };
    if connection.closed != 0 {
        http::closing(sk, connection);
        report_closed(sk, connection);
    }
    S::remove(sk);
}

/// Whether this side ends the connection with a reset, as by closing it with bytes unread or with
/// `SO_LINGER` of no time: it leaves a state in which data may flow for no state, without an
/// error. `tcp_send_reset` comes only after this.
#[inline(always)]
fn resets<A: Access>(sk: &Sock<A>, old: u32) -> bool {
    matches!(
        old,
        state::ESTABLISHED | state::CLOSE_WAIT | state::FIN_WAIT1
    ) && sk.error() == 0
}

#[inline(always)]
fn connect_failed<A: Access>(sk: &Sock<A>, connection: &Connection) {
    let mut record = ConnectFailed {
        header: header(Kind::TcpConnectFailed),
        tuple: sk.tuple(),
        duration: 0,
        error: sk.error(),
        pad: 0,
    };
    record.duration = record.header.time - connection.connect_start;
    record.header.tgid = connection.tgid;
    send(Kind::TcpConnectFailed, &record, Fault::RingTcp);
}

#[inline(always)]
fn report_closed<A: Access>(sk: &Sock<A>, connection: &Connection) {
    let mut record = Closed {
        header: header(Kind::TcpClosed),
        totals: totals(sk, connection),
        error: sk.error(),
        reset: connection.reset,
        pad: [0; 3],
    };
    record.header.tgid = connection.tgid;
    if connection.closed != 0 {
        record.header.time = connection.closed;
    }
    send(Kind::TcpClosed, &record, Fault::RingTcp);
}

#[inline(always)]
fn totals<A: Access>(sk: &Sock<A>, connection: &Connection) -> Totals {
    Totals {
        connection: connection.stream.connection,
        opened: connection.opened,
        connect_duration: connection.connect_duration,
        bytes_sent: sk.bytes_sent(),
        bytes_received: sk.bytes_received(),
        srtt: sk.srtt(),
        retransmits: sk.retransmits(),
        tgid: connection.tgid,
        role: connection.role,
        state: sk.state(),
        pad: [0; 2],
        tuple: sk.tuple(),
    }
}

/// Writes the totals of every open connection to the reader of the iterator.
#[unsafe(link_section = "iter/bpf_sk_storage_map")]
#[unsafe(no_mangle)]
extern "C" fn tcp_sweep(ctx: *const iterator::Storage) -> i32 {
    // SAFETY: the kernel's context of this program type; null members are checked.
    unsafe {
        let (sk, value) = ((*ctx).sk, (*ctx).value.cast::<Connection>());
        if sk.is_null() || value.is_null() {
            return 0;
        }
        let mut connection = MaybeUninit::<Connection>::uninit();
        connection.write(core::ptr::read_volatile(value));
        let connection = connection.assume_init_ref();
        if connection.own != 0 || connection.opened == 0 || connection.closed != 0 {
            return 0;
        }
        let record = totals(&Sock::<Direct>::new(sk), connection);
        seq::write((*ctx).meta, &record);
    }
    0
}
