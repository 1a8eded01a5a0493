//! The parts behind the first of what a call has moved; see `super::super::http`.

use aya_ebpf::{
    macros::{map, uprobe},
    maps::{HashMap, ProgramArray},
    programs::ProbeContext,
};
use sonde_common::{
    event::{
        http::Direction,
        tls::{BUFFERS, Key},
    },
    fault::Fault,
};

use super::{TLS_SESSIONS, buffer::Claim, carrier::Inside};
use crate::{
    current::{self, Ids},
    emit::fault,
    probe::http::{self, Io, Rest},
};

/// What is left of a thread's call.
#[repr(C)]
#[derive(Clone, Copy)]
struct Left {
    session: Key,
    rest: Rest,
    /// A [`Direction`].
    direction: u64,
}

/// By thread. Not one for each CPU, since another thread may come between two programs.
#[map]
static TLS_LEFT: HashMap<u32, Left> = HashMap::with_max_entries(BUFFERS, 0);

/// Holds `tls_more`; the agent puts it there.
#[map]
pub(super) static TLS_MORE: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Holds `go_tls_more`. The kernel wants all programs of an array to be attached in the same way.
#[map]
pub(super) static GO_TLS_MORE: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Tells the next part of what `tls_return` has begun with.
#[uprobe]
pub(crate) fn tls_more(ctx: ProbeContext) -> u32 {
    let ids = current::ids();
    if part(ids).is_some() {
        // SAFETY: a program of the same type, which needs nothing but the context.
        unsafe { TLS_MORE.tail_call(&ctx, 0) };
        give_up(ids);
    }
    0
}

/// Tells the next part of what `go_tls_return` has begun with.
#[uprobe]
pub(crate) fn go_tls_more(ctx: ProbeContext) -> u32 {
    let ids = current::ids();
    if part(ids).is_some() {
        // SAFETY: as in `tls_more`.
        unsafe { GO_TLS_MORE.tail_call(&ctx, 0) };
        give_up(ids);
    }
    0
}

/// Keeps what is left for the next program; whether there is any.
#[inline(always)]
pub(super) fn keep(session: Key, ids: Ids, io: &Io, left: u32) -> Option<()> {
    if left == 0 {
        return None;
    }
    let left = Left {
        session,
        rest: Rest::behind(io, left),
        direction: io.direction as u64,
    };
    if TLS_LEFT.insert(&ids.tid, &left, 0).is_err() {
        lose(&left);
        return None;
    }
    Some(())
}

/// Tells some parts; whether there are more.
#[inline(always)]
fn part(ids: Ids) -> Option<()> {
    // SAFETY: the map's value is alive while the program runs; one thread uses it.
    let left = unsafe { &mut *TLS_LEFT.get_ptr_mut(&ids.tid)? };
    let direction = direction(left);
    let rest = tell(left, direction);
    if rest.is_none() {
        let _ = TLS_LEFT.remove(&ids.tid);
    }
    rest
}

#[inline(always)]
fn tell(left: &mut Left, direction: Direction) -> Option<()> {
    // SAFETY: as in `bind::find`.
    let session = unsafe { &mut *TLS_SESSIONS.get_ptr_mut(&left.session)? };
    let Some(claim) = Claim::take() else {
        lose(left);
        return None;
    };
    let inside = Inside {
        carrier: &session.carrier,
        arrival: &session.arrival,
    };
    let stream = &mut session.stream;
    let more = http::tell_parts(stream, &inside, &mut left.rest, direction, claim.slot);
    claim.end();
    more
}

#[inline(always)]
fn direction(left: &Left) -> Direction {
    if left.direction == Direction::Receive as u64 {
        Direction::Receive
    } else {
        Direction::Send
    }
}

/// There can't be another part.
#[inline(always)]
pub(super) fn give_up(ids: Ids) {
    if let Some(left) = TLS_LEFT.get_ptr(&ids.tid) {
        // SAFETY: as in `part`.
        lose(unsafe { &*left });
        let _ = TLS_LEFT.remove(&ids.tid);
    }
}

#[inline(always)]
fn lose(left: &Left) {
    fault(Fault::TlsBusy);
    if let Some(session) = TLS_SESSIONS.get_ptr_mut(&left.session) {
        // SAFETY: as in `bind::find`.
        let stream = unsafe { &mut (*session).stream };
        http::give_up(stream, direction(left), left.rest.length);
    }
}
