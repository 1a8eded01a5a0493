//! TLS: what programs read and write inside, from the calls of their TLS libraries.
//!
//! A uprobe at a function's start notes what it was called with, one at its return finds out how
//! many bytes moved and follows them as `super::http` follows those of plain sockets. Which TCP
//! connection they belong to is found out in [`bind`].

use aya_ebpf::{
    helpers::bpf_probe_read_user,
    macros::{map, uprobe, uretprobe},
    maps::LruHashMap,
    programs::{ProbeContext, RetProbeContext},
};
use sonde_common::{
    event::{
        connection::verdict,
        http::Direction,
        tls::{CALLS, Call, Key, SESSIONS, Session, Thread, call},
    },
    fault::Fault,
};

use self::buffer::Claim;
use super::http::{Io, Left, Payload, Slot, end, follow, pass};
use crate::{
    current::{self, Ids},
    emit::fault,
    scratch::forget,
};

mod bind;
mod buffer;
mod carrier;
mod go;
mod more;

pub(crate) use self::bind::{ciphertext, closing, is_late, is_settled};
use self::carrier::Inside;

/// Sessions of all processes.
#[map]
static TLS_SESSIONS: LruHashMap<Key, Session> = LruHashMap::with_max_entries(SESSIONS, 0);

/// Threads that call a TLS library, or move what is encrypted.
#[map]
static TLS_THREADS: LruHashMap<u32, Thread> = LruHashMap::with_max_entries(CALLS, 0);

/// `SSL_read(ssl, buffer, size)`, `gnutls_record_recv(session, buffer, size)`
#[uprobe]
pub(crate) fn tls_read(ctx: ProbeContext) -> u32 {
    enter(&ctx, call::READ, None)
}

/// `SSL_write(ssl, buffer, size)`, `gnutls_record_send(session, buffer, size)`
#[uprobe]
pub(crate) fn tls_write(ctx: ProbeContext) -> u32 {
    enter(&ctx, call::WRITE, None)
}

/// `SSL_read_ex(ssl, buffer, size, read)`
#[uprobe]
pub(crate) fn tls_read_ex(ctx: ProbeContext) -> u32 {
    enter(&ctx, call::READ_EX, ctx.arg(3))
}

/// `SSL_write_ex(ssl, buffer, size, written)`
#[uprobe]
pub(crate) fn tls_write_ex(ctx: ProbeContext) -> u32 {
    enter(&ctx, call::WRITE_EX, ctx.arg(3))
}

/// `SSL_write_ex2(ssl, buffer, size, flags, written)`
#[uprobe]
pub(crate) fn tls_write_ex2(ctx: ProbeContext) -> u32 {
    enter(&ctx, call::WRITE_EX, ctx.arg(4))
}

/// `SSL_sendfile(ssl, descriptor, offset, size, flags)`
#[uprobe]
pub(crate) fn tls_sendfile(ctx: ProbeContext) -> u32 {
    enter(&ctx, call::SENDFILE, None)
}

/// `SSL_do_handshake(ssl)`, `gnutls_handshake(session)`
#[uprobe]
pub(crate) fn tls_handshake(ctx: ProbeContext) -> u32 {
    enter(&ctx, call::HANDSHAKE, None)
}

/// `SSL_free(ssl)`, `gnutls_deinit(session)`
#[uprobe]
pub(crate) fn tls_free(ctx: ProbeContext) -> u32 {
    let session = Key {
        pointer: ctx.arg(0).unwrap_or(0),
        tgid: current::ids().tgid,
        pad: 0,
    };
    let _ = TLS_SESSIONS.remove(&session);
    0
}

/// The end of any of them.
#[uretprobe]
pub(crate) fn tls_return(ctx: RetProbeContext) -> u32 {
    let ids = current::ids();
    let Some(thread) = TLS_THREADS.get_ptr_mut(&ids.tid) else {
        return 0;
    };
    // SAFETY: the map's value is alive while the program runs; one thread uses it.
    let thread = unsafe { &mut *thread };
    let call = thread.call;
    thread.call.kind = call::NONE;
    // An `int`, or a length.
    let result: u64 = ctx.ret();
    let moved = match call.kind {
        call::NONE => {
            fault(Fault::TlsBusy);
            return 0;
        }
        call::READ_EX | call::WRITE_EX if result as i32 > 0 => {
            // SAFETY: the helper checks the address.
            let moved = unsafe { bpf_probe_read_user(call.result as *const u64) };
            moved.map_or(-1, u64::cast_signed)
        }
        call::HANDSHAKE | call::READ_EX | call::WRITE_EX => -1,
        _ => i64::from(result as i32),
    };
    // Such a thread's calls that move nothing are many, and say nothing.
    if moved >= 0 || call.kind == call::HANDSHAKE || thread.within == 0 || thread.received != 0 {
        // However it was found out, it is one number to the verifier from here on; the call is over,
        // and its place free.
        thread.call.length = moved.cast_unsigned();
        let moved = forget(&mut thread.call.length).cast_signed();
        let key = bind::key(call.session, ids);
        if let Some(session) = bind::called(thread, &key)
            && let Some(left) = done(&call, &key, session, ids, moved)
        {
            more::go_on(&ctx, ids, left);
        }
    }
    0
}

/// Notes what a function was called with.
#[inline(always)]
fn enter(ctx: &ProbeContext, kind: u8, result: Option<u64>) -> u32 {
    let ids = current::ids();
    if ids.are_own() {
        return 0;
    }
    let Some(thread) = thread(ids.tid) else {
        return 0;
    };
    let length: u64 = ctx.arg(2).unwrap_or(0);
    thread.call = Call {
        session: ctx.arg(0).unwrap_or(0),
        buffer: ctx.arg(1).unwrap_or(0),
        length,
        result: result.unwrap_or(0),
        kind,
        on_stack: 0,
        pad: [0; 6],
    };
    0
}

/// What is kept of a thread, made if there is nothing.
#[inline(always)]
fn thread(tid: u32) -> Option<&'static mut Thread> {
    static EMPTY: Thread = Thread {
        call: NO_CALL,
        received: 0,
        carrier: carrier::NONE,
        called: 0,
        late: 0,
        within: 0,
        pad: [0; 6],
    };
    let found = TLS_THREADS.get_ptr_mut(&tid).or_else(|| {
        let _ = TLS_THREADS.insert(&tid, &EMPTY, 0);
        TLS_THREADS.get_ptr_mut(&tid)
    });
    // SAFETY: the map's value is alive while the program runs; one thread uses it.
    found.map(|thread| unsafe { &mut *thread })
}

/// No call is under way.
const NO_CALL: Call = Call {
    session: 0,
    buffer: 0,
    length: 0,
    result: 0,
    kind: call::NONE,
    on_stack: 0,
    pad: [0; 6],
};

/// A call has moved so many bytes, found the end of what there is to read (0), or failed; whether
/// some of them are left to be told.
#[inline(always)]
fn done(call: &Call, key: &Key, session: &mut Session, ids: Ids, moved: i64) -> Option<Left> {
    let direction = match call.kind {
        call::READ | call::READ_EX => Direction::Receive,
        _ => Direction::Send,
    };
    let at_end = moved == 0 && call.length > 0 && call.kind == call::READ;
    if moved < 0 || moved == 0 && !at_end {
        return None;
    }
    if session.stream.connection == 0 {
        if moved > 0 {
            session.missed = 1;
            fault(Fault::TlsUnbound);
        }
        return None;
    }
    carrier::ask(session);
    let mut io = Io {
        direction,
        length: moved as u32,
        tgid: ids.tgid,
        payload: if call.kind == call::SENDFILE {
            Payload::NONE
        } else {
            Payload::buffer(call.buffer)
        },
        slot: Slot::NONE,
    };
    if at_end {
        end(&session.stream, &io);
        return None;
    }
    if session.stream.verdict == verdict::OPAQUE {
        return None;
    }
    let Some(claim) = Claim::take() else {
        fault(Fault::TlsBusy);
        pass(&mut session.stream, direction, io.length);
        return None;
    };
    io.slot = claim.slot;
    let inside = Inside {
        carrier: &session.carrier,
        arrival: &session.arrival,
    };
    let left = follow(&mut session.stream, &inside, &io);
    claim.end();
    more::keep(*key, &mut session.stream, ids, &io, left)
}
