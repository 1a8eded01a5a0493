//! Which connection a session belongs to.
//!
//! Most programs let the library read and write the socket: what moves on a socket while a thread
//! is within a call for a session belongs to that session. That is certain.
//!
//! Others (node, Python's asyncio) move the encrypted bytes themselves, before and after the call.
//! There a thread's read of a socket followed by a call is a sign, if it is the only socket that was
//! read since the last call, and so is a call followed by a write. Two signs in a row that say the
//! same bind the session, if one of them was a read: a program may make several calls before it
//! writes. Both are there before a client has sent its first request.

use aya_ebpf::{
    macros::map,
    maps::{Array, LruHashMap},
};
use sonde_common::{
    event::{
        connection::{Connection, Stream, verdict},
        http::Direction,
        tcp::Arrival,
        tls::{Carrier, Key, Reason, SEVERAL, Session, Thread, call, state},
    },
    fault::Fault,
};

use super::{TLS_SESSIONS, carrier, go, thread};
use crate::{
    connection::NO_STREAM,
    current::Ids,
    emit::fault,
    kernel::{Access, Sock},
    probe::{http::turned, uncovered},
};

/// Whether libraries are looked for at all; the agent sets it.
#[unsafe(no_mangle)]
static TLS_FOLLOWED: u32 = 1;

/// Whether there is nothing to be found out about a connection.
#[inline(always)]
pub(crate) fn is_settled(connection: &mut Connection) -> bool {
    if connection.stream.verdict != verdict::TLS {
        return connection.stream.verdict == verdict::OPAQUE;
    }
    // SAFETY: a static of our own; volatile because the agent overwrites it before loading.
    if unsafe { core::ptr::read_volatile(&raw const TLS_FOLLOWED) } == 0 {
        fault(Fault::Tls);
        connection.stream.verdict = verdict::OPAQUE;
        return true;
    }
    connection.tls == state::BOUND
}

/// Signs in a row that bind.
const VOTES: u32 = 2;
/// Mark among [`Session::votes`]: a read is among them.
const READ: u32 = 1 << 16;
/// Changes of direction after which a connection without a session is told as uncovered: by then
/// both sides have said who they are, and the first request has been sent.
const TURNS: u8 = 3;

/// When a library was attached last: connections that were open by then may have moved bytes that
/// weren't seen. The agent writes it.
#[map]
static TLS_ATTACHED: Array<u64> = Array::with_max_entries(1, 0);

/// Connections that were bound by signs. Looked for until the next encrypted bytes move there.
#[map]
static TLS_BOUND: LruHashMap<u64, u64> = LruHashMap::with_max_entries(4096, 0);

/// Encrypted bytes move on a connection whose session may not be known.
#[inline(always)]
pub(crate) fn ciphertext<A: Access>(
    sk: &Sock<A>,
    connection: &mut Connection,
    direction: Direction,
    ids: Ids,
    goroutine: u64,
) {
    if let Some(session) = go::session_of(ids.tgid, goroutine) {
        join(sk, connection, &session, true);
        return;
    }
    let Some(thread) = thread(ids.tid) else {
        return;
    };
    if thread.call.kind != call::NONE {
        let session = key(thread.call.session, ids);
        thread.within = 1;
        join(
            sk,
            connection,
            &session,
            thread.call.kind == call::HANDSHAKE,
        );
        return;
    }
    let number = connection.stream.connection;
    if TLS_BOUND.get_ptr(&number).is_some() || sign(sk, connection, thread, direction, ids) {
        connection.tls = state::BOUND;
    } else if turned(&mut connection.stream, direction) >= TURNS {
        uncovered::tell(sk, connection, Reason::Tls);
    }
}

/// Takes what moves outside of a call for a sign; whether that binds the connection.
#[inline(always)]
fn sign<A: Access>(
    sk: &Sock<A>,
    connection: &Connection,
    thread: &mut Thread,
    direction: Direction,
    ids: Ids,
) -> bool {
    let number = connection.stream.connection;
    if direction as u8 == Direction::Receive as u8 {
        let several = thread.received != 0 && thread.received != number;
        thread.received = if several { SEVERAL } else { number };
        thread.carrier = carrier::of(sk, connection);
        thread.late = is_late(connection).into();
        return false;
    }
    let called = core::mem::replace(&mut thread.called, 0);
    if called == 0 {
        return false;
    }
    match find(&key(called, ids)) {
        Some(session) if session.stream.connection == 0 => vote(
            session,
            number,
            0,
            is_late(connection),
            &carrier::of(sk, connection),
        ),
        _ => false,
    }
}

/// A library was called for a session, which is made if it isn't known.
#[inline(always)]
pub(super) fn called(thread: &mut Thread, key: &Key) -> Option<&'static mut Session> {
    let found = find(key);
    if let Some(session) = &found
        && session.stream.connection != 0
    {
        return found;
    }
    let received = core::mem::replace(&mut thread.received, 0);
    thread.called = key.pointer;
    let session = found.or_else(|| create(key))?;
    if received != 0 && received != SEVERAL {
        let carrier = thread.carrier;
        if vote(session, received, READ, thread.late != 0, &carrier) {
            thread.called = 0;
        }
    }
    Some(session)
}

/// Counts a sign that a session belongs to a connection; whether it is bound by that.
#[inline(always)]
fn vote(session: &mut Session, number: u64, read: u32, late: bool, carrier: &Carrier) -> bool {
    if session.candidate != number {
        session.candidate = number;
        session.votes = 0;
    }
    session.votes = (session.votes + 1) | read;
    let enough = session.votes >= READ + VOTES;
    if !enough || TLS_BOUND.get_ptr(&number).is_some() {
        return false;
    }
    bind(session, number, late, carrier);
    let _ = TLS_BOUND.insert(&number, &1, 0);
    true
}

/// Binds a session that is certain to belong to a connection. One that was bound before is taken
/// for another at the same place in memory where that `may_be`.
#[inline(always)]
fn join<A: Access>(sk: &Sock<A>, connection: &mut Connection, key: &Key, may_be: bool) {
    let Some(session) = find(key).or_else(|| create(key)) else {
        return;
    };
    let number = connection.stream.connection;
    if session.stream.connection != number {
        if session.stream.connection != 0 && !may_be {
            return;
        }
        bind(
            session,
            number,
            is_late(connection),
            &carrier::of(sk, connection),
        );
    }
    connection.tls = state::BOUND;
}

#[inline(always)]
fn bind(session: &mut Session, number: u64, late: bool, carrier: &Carrier) {
    let missed = session.missed != 0 && session.stream.connection == 0;
    session.stream = Stream {
        connection: number,
        late: (late || missed).into(),
        tls: 1,
        ..NO_STREAM
    };
    session.carrier = *carrier;
}

/// Whether bytes may have moved inside that weren't seen.
#[inline(always)]
pub(crate) fn is_late(connection: &Connection) -> bool {
    let attached = TLS_ATTACHED.get(0).copied().unwrap_or(0);
    connection.stream.late != 0 || connection.opened < attached
}

/// Identifies the session with this pointer in the current process.
#[inline(always)]
pub(super) fn key(pointer: u64, ids: Ids) -> Key {
    Key {
        pointer,
        tgid: ids.tgid,
        pad: 0,
    }
}

/// What is known of a session.
#[inline(always)]
pub(super) fn find(key: &Key) -> Option<&'static mut Session> {
    let session = TLS_SESSIONS.get_ptr_mut(key)?;
    // SAFETY: the map's value is alive while the program runs. Two threads may read and write at
    // once; they change different fields.
    Some(unsafe { &mut *session })
}

#[inline(always)]
fn create(key: &Key) -> Option<&'static mut Session> {
    static EMPTY: Session = Session {
        stream: NO_STREAM,
        carrier: carrier::NONE,
        arrival: Arrival::new(0, 0),
        candidate: 0,
        votes: 0,
        missed: 0,
    };
    let _ = TLS_SESSIONS.insert(key, &EMPTY, 0);
    find(key)
}

/// An encrypted connection is gone; it may have been too short to be told as uncovered before.
#[inline(always)]
pub(crate) fn closing<A: Access>(sk: &Sock<A>, connection: &mut Connection) {
    if connection.tls == state::UNKNOWN
        && TLS_BOUND.get_ptr(&connection.stream.connection).is_none()
    {
        uncovered::tell(sk, connection, Reason::Tls);
    }
}
