//! Beginnings and ends: of the state that is kept of a connection, of its directions, and what moved
//! in between without being seen.

use sonde_common::{
    event::{
        connection::{Connection, Stream, verdict},
        http::{Direction, flag},
    },
    fault::Fault,
};

use super::{Io, Payload, Slot, body, now, pass, tell_of};
use crate::{
    connection::Store,
    emit::fault,
    kernel::{Access, Sock, Tcp},
    probe::tls,
};

/// The state of a socket that is read or written, made if there is none. None is made for a closed
/// one, of which bytes may still be read: its end has been told, and there won't be another.
#[inline(always)]
pub(super) fn state_of<S: Store>(sk: &Sock<S::Access>) -> Option<*mut Connection> {
    if sk.is_closed() {
        S::find(sk)
    } else {
        S::find_or_create(sk)
    }
}

/// Sets up the state of a connection that was open before the programs were attached.
#[inline(always)]
pub(super) fn adopt<S: Store>(connection: &mut Connection, tgid: u32) {
    if connection.stream.connection == 0 {
        connection.stream.connection = S::next_id();
        connection.stream.late = 1;
        connection.opened = now();
    }
    if connection.tgid == 0 {
        connection.tgid = tgid;
    }
}

/// Notes a read or write on a TCP socket; whether it moves bytes, for [`advance`].
#[inline(always)]
pub(super) fn moves<A: Access>(tcp: &Tcp<A>, connection: &mut Connection, io: &Io) -> bool {
    if io.length == 0 {
        end(&connection.stream, io);
        return false;
    }
    if io.direction as u8 == Direction::Receive as u8 {
        let unseen = unseen_bytes(tcp, connection, io.length);
        if unseen != 0 {
            pass(&mut connection.stream, Direction::Receive, unseen);
        }
    }
    true
}

/// Nothing more comes from this direction.
#[inline(always)]
pub(crate) fn end(stream: &Stream, io: &Io) {
    if stream.announced != 0 {
        tell_of(stream, io, now(), flag::END);
    }
}

/// Bytes that left the receive queue since the last read that was seen, other than by this one:
/// splice out of the socket, `io_uring` before 6.3.
#[inline(always)]
fn unseen_bytes<A: Access>(tcp: &Tcp<A>, connection: &mut Connection, seen: u32) -> u32 {
    let Some(now) = tcp.copied_seq() else {
        return 0;
    };
    let moved = now.wrapping_sub(connection.copied_seq);
    let known = connection.copied_seq_known != 0;
    connection.copied_seq = now;
    connection.copied_seq_known = 1;
    let unseen = moved.wrapping_sub(seen);
    // A smaller move than the read is kernel TLS or a racing reader: no gap to tell of.
    if !known || unseen == 0 || unseen > u32::MAX / 2 {
        return 0;
    }
    // The FIN is taken with the last bytes when it came with them.
    let unseen = unseen - u32::from(tcp.sock().fin_is_read());
    if unseen != 0 {
        fault(Fault::UnseenBytes);
    }
    unseen
}

/// The process has shut or closed its sending side: a FIN follows the last byte.
#[inline(always)]
pub(crate) fn sending_ended<A: Access>(sk: &Sock<A>, connection: &mut Connection) {
    let stream = &mut connection.stream;
    stream.tcp = sk.tcp().and_then(|tcp| tcp.info()).unwrap_or(stream.tcp);
    if stream.announced != 0 && stream.verdict != verdict::OPAQUE {
        let end = unseen(Direction::Send, 0, connection.tgid);
        tell_of(stream, &end, now(), flag::END);
    }
}

/// The connection is gone: what was read unseen since the last read that was seen is told; the
/// `TcpClosed` record follows.
#[inline(always)]
pub(crate) fn closing<A: Access>(sk: &Sock<A>, connection: &mut Connection) {
    if connection.stream.verdict == verdict::TLS {
        tls::closing(sk, connection);
        return;
    }
    if connection.stream.announced == 0 || connection.stream.verdict == verdict::OPAQUE {
        return;
    }
    let bytes = sk.tcp().map_or(0, |tcp| unseen_bytes(&tcp, connection, 0));
    if bytes != 0 {
        let io = unseen(Direction::Receive, bytes, connection.tgid);
        let stream = &mut connection.stream;
        body::lose(stream, &io, now());
        tell_of(stream, &io, now(), flag::OPAQUE);
    }
}

/// A read or write without any bytes that can be looked at.
#[inline(always)]
fn unseen(direction: Direction, length: u32, tgid: u32) -> Io {
    Io {
        direction,
        length,
        tgid,
        payload: Payload::NONE,
        slot: Slot::NONE,
    }
}
