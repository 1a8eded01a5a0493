//! The parts behind the first of what a call has moved; see `super::super::http`.

use aya_ebpf::{
    EbpfContext,
    macros::{map, uprobe},
    maps::HashMap,
    programs::ProbeContext,
};
use sonde_common::{
    event::{connection::Stream, http::Direction, tls::Key},
    fault::Fault,
};

use super::{TLS_SESSIONS, buffer::Claim, carrier::Inside};
use crate::{
    current::{self, Ids},
    emit::fault,
    jump::{jump, targets},
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

/// By thread. Not one for each CPU, since another thread may come between two programs; so there are
/// at most as many as CPUs, and a few.
#[map]
static TLS_LEFT: HashMap<u32, Left> = HashMap::with_max_entries(512, 0);

targets!(TLS_MORE, TLS_BODY, GO_TLS_MORE, GO_TLS_BODY);

/// Tells the next part of what `tls_return` has begun with.
#[uprobe]
pub(crate) fn tls_more(ctx: ProbeContext) -> u32 {
    let ids = current::ids();
    if part(ids, http::Left::Frames).is_some() {
        go_on(&ctx, ids, http::Left::Frames);
    }
    0
}

/// Follows the messages that `tls_return` has begun with.
#[uprobe]
pub(crate) fn tls_body(ctx: ProbeContext) -> u32 {
    let ids = current::ids();
    if part(ids, http::Left::Messages).is_some() {
        go_on(&ctx, ids, http::Left::Messages);
    }
    0
}

/// Tells the next part of what `go_tls_return` has begun with.
#[uprobe]
pub(crate) fn go_tls_more(ctx: ProbeContext) -> u32 {
    let ids = current::ids();
    if part(ids, http::Left::Frames).is_some() {
        go_on_in_go(&ctx, ids, http::Left::Frames);
    }
    0
}

/// Follows the messages that `go_tls_return` has begun with.
#[uprobe]
pub(crate) fn go_tls_body(ctx: ProbeContext) -> u32 {
    let ids = current::ids();
    if part(ids, http::Left::Messages).is_some() {
        go_on_in_go(&ctx, ids, http::Left::Messages);
    }
    0
}

/// Goes on with the program for what is left, or gives that up.
#[inline(always)]
pub(super) fn go_on(ctx: &impl EbpfContext, ids: Ids, left: http::Left) {
    match left {
        http::Left::Frames => jump(ctx, &TLS_MORE),
        http::Left::Messages => jump(ctx, &TLS_BODY),
    }
    give_up(ids);
}

/// The same for a call of Go's.
#[inline(always)]
pub(super) fn go_on_in_go(ctx: &ProbeContext, ids: Ids, left: http::Left) {
    match left {
        http::Left::Frames => jump(ctx, &GO_TLS_MORE),
        http::Left::Messages => jump(ctx, &GO_TLS_BODY),
    }
    give_up(ids);
}

/// Keeps what is left for the next program; what that is, if there is any.
#[inline(always)]
pub(super) fn keep(
    session: Key,
    stream: &mut Stream,
    ids: Ids,
    io: &Io,
    left: u32,
) -> Option<http::Left> {
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
    Some(http::Left::of(stream))
}

/// Tells some parts; whether there are more.
#[inline(always)]
fn part(ids: Ids, what: http::Left) -> Option<()> {
    // SAFETY: the map's value is alive while the program runs; one thread uses it.
    let left = unsafe { &mut *TLS_LEFT.get_ptr_mut(&ids.tid)? };
    let direction = direction(left);
    let rest = tell(left, direction, what);
    if rest.is_none() {
        let _ = TLS_LEFT.remove(&ids.tid);
    }
    rest
}

#[inline(always)]
fn tell(left: &mut Left, direction: Direction, what: http::Left) -> Option<()> {
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
    let (rest, slot) = (&mut left.rest, claim.slot);
    let more = match what {
        http::Left::Frames => http::tell_parts(stream, &inside, rest, direction, slot),
        http::Left::Messages => http::tell_messages(stream, &inside, rest, direction, slot),
    };
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
fn give_up(ids: Ids) {
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
        http::give_up(stream, direction(left), &left.rest);
    }
}
