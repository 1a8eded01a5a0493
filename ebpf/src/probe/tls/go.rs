//! Go's crypto/tls. A goroutine may go on in another thread, and its stack may move: so a call is
//! kept by goroutine, and bytes on the stack by their distance from its end, which stays. The end
//! of a call is seen at its return instructions; a return probe would put an address on the stack
//! that the runtime doesn't know.
//!
//! Arguments and results are in registers (`ABIInternal`, Go 1.17); the goroutine is in one, too.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, pt_regs},
    helpers::bpf_probe_read_user,
    macros::{map, uprobe},
    maps::{LruHashMap, Queue},
    programs::ProbeContext,
};
use sonde_common::event::tls::{CALLS, Call, Key, call};

use super::{NO_CALL, TLS_SESSIONS, bind, done, more};
use crate::current::{self, Ids};

/// Goroutines within a call.
#[map]
static TLS_GOROUTINES: LruHashMap<Key, Call> = LruHashMap::with_max_entries(CALLS, 0);

/// `crypto/tls.(*Conn).Read(c, b []byte)`
#[uprobe]
pub(crate) fn go_tls_read(ctx: ProbeContext) -> u32 {
    enter(&ctx, call::READ, 0)
}

/// `crypto/tls.(*Conn).Write(c, b []byte)`
#[uprobe]
pub(crate) fn go_tls_write(ctx: ProbeContext) -> u32 {
    enter(&ctx, call::WRITE, 0)
}

/// `crypto/tls.(*Conn).handshakeContext(c, ctx)`: binds the session before the first request, which
/// may come with the handshake's end. Within a read or a write it adds nothing.
#[uprobe]
pub(crate) fn go_tls_handshake(ctx: ProbeContext) -> u32 {
    enter(&ctx, call::HANDSHAKE, u64::from(BPF_NOEXIST))
}

/// A return instruction of `handshakeContext`.
#[uprobe]
pub(crate) fn go_tls_handshake_return(ctx: ProbeContext) -> u32 {
    let key = goroutine(&registers(&ctx), current::ids());
    if let Some(call) = TLS_GOROUTINES.get_ptr(&key)
        // SAFETY: the map's value is alive while the program runs.
        && unsafe { (*call).kind } == call::HANDSHAKE
    {
        let _ = TLS_GOROUTINES.remove(&key);
    }
    0
}

/// A return instruction of `Read` or `Write`.
#[uprobe]
pub(crate) fn go_tls_return(ctx: ProbeContext) -> u32 {
    let regs = registers(&ctx);
    let ids = current::ids();
    let key = goroutine(&regs, ids);
    let Some(found) = TLS_GOROUTINES.get_ptr(&key) else {
        return 0;
    };
    // SAFETY: the map's value is alive while the program runs; one goroutine uses it.
    let mut call = unsafe { *found };
    let _ = TLS_GOROUTINES.remove(&key);
    if call.on_stack != 0 {
        match stack(regs.goroutine) {
            Some((_, end)) => call.buffer = end - call.buffer,
            None => return 0,
        }
    }
    // Nothing may be an error of any kind: only the connection's end says that it is the end.
    let moved = regs.argument0.cast_signed();
    let moved = if moved == 0 { -1 } else { moved };
    let session = bind::key(call.session, ids);
    if let Some(found) = bind::find(&session)
        && let Some(left) = done(&call, &session, found, ids, moved)
    {
        more::go_on_in_go(&ctx, ids, left);
    }
    0
}

/// A session that was closed, and its connection: at the same place there may be another one by now.
#[repr(C)]
#[derive(Clone, Copy)]
struct Closed {
    session: Key,
    connection: u64,
}

/// Sessions that are let go of when as many others have been closed: one goroutine may close what
/// another still writes to, and whose call returns later.
#[map]
static GO_TLS_CLOSED: Queue<Closed> = Queue::with_max_entries(256, 0);

/// `crypto/tls.(*Conn).Close(c)`
#[uprobe]
pub(crate) fn go_tls_close(ctx: ProbeContext) -> u32 {
    let session = bind::key(registers(&ctx).argument0, current::ids());
    let Some(found) = bind::find(&session) else {
        return 0;
    };
    let closed = Closed {
        session,
        connection: found.stream.connection,
    };
    if GO_TLS_CLOSED.push(&closed, 0).is_err() {
        let_go();
        let _ = GO_TLS_CLOSED.push(&closed, 0);
    }
    0
}

/// Lets go of the session that was closed first.
#[inline(always)]
fn let_go() {
    if let Ok(Some(closed)) = GO_TLS_CLOSED.pop()
        && let Some(session) = bind::find(&closed.session)
        && session.stream.connection == closed.connection
    {
        let _ = TLS_SESSIONS.remove(&closed.session);
    }
}

/// The session that a goroutine makes a call for.
#[inline(always)]
pub(super) fn session_of(tgid: u32, goroutine: u64) -> Option<Key> {
    if goroutine == 0 {
        return None;
    }
    let key = Key {
        pointer: goroutine,
        tgid,
        pad: 0,
    };
    let call = TLS_GOROUTINES.get_ptr(&key)?;
    Some(Key {
        // SAFETY: the map's value is alive while the program runs.
        pointer: unsafe { (*call).session },
        tgid,
        pad: 0,
    })
}

#[inline(always)]
fn enter(ctx: &ProbeContext, kind: u8, flags: u64) -> u32 {
    let ids = current::ids();
    if ids.are_own() {
        return 0;
    }
    let regs = registers(ctx);
    let mut call = Call {
        session: regs.argument0,
        buffer: regs.argument1,
        length: regs.argument2,
        kind,
        ..NO_CALL
    };
    if let Some((start, end)) = stack(regs.goroutine)
        && call.buffer >= start
        && call.buffer < end
    {
        call.buffer = end - call.buffer;
        call.on_stack = 1;
    }
    let _ = TLS_GOROUTINES.insert(&goroutine(&regs, ids), &call, flags);
    0
}

/// What Go has in registers at the start and the end of a function.
struct Registers {
    goroutine: u64,
    argument0: u64,
    argument1: u64,
    argument2: u64,
}

#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
fn registers(ctx: &ProbeContext) -> Registers {
    // SAFETY: the kernel's context of this program type.
    let regs: &pt_regs = unsafe { &*ctx.regs };
    Registers {
        goroutine: regs.r14,
        argument0: regs.rax,
        argument1: regs.rbx,
        argument2: regs.rcx,
    }
}

#[cfg(not(bpf_target_arch = "x86_64"))]
#[inline(always)]
fn registers(ctx: &ProbeContext) -> Registers {
    // SAFETY: the kernel's context of this program type.
    let regs: &pt_regs = unsafe { &*ctx.regs };
    Registers {
        goroutine: regs.regs[28],
        argument0: regs.regs[0],
        argument1: regs.regs[1],
        argument2: regs.regs[2],
    }
}

#[inline(always)]
fn goroutine(regs: &Registers, ids: Ids) -> Key {
    Key {
        pointer: regs.goroutine,
        tgid: ids.tgid,
        pad: 0,
    }
}

/// Start and end of a goroutine's stack: the first members of `runtime.g`.
#[inline(always)]
fn stack(goroutine: u64) -> Option<(u64, u64)> {
    // SAFETY: the helper checks the address.
    let bounds = unsafe { bpf_probe_read_user(goroutine as *const [u64; 2]) }.ok()?;
    Some((bounds[0], bounds[1]))
}
