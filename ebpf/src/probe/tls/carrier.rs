//! The socket under a session, asked from where only its address is known.
//!
//! A session may outlive its connection, and the memory of a socket becomes another's. So what was
//! read there counts only when it is certain afterwards that it still was the same socket.

use sonde_common::event::{
    connection::Connection,
    http::Tuple,
    tcp::{Arrival, Info},
    tls::{Carrier, Session},
};

use crate::{
    connection::{NO_TUPLE, Store, Table},
    kernel::{Access, Probed, Sock, waited},
    probe::http::{Peers, before_last_read},
};

/// None is known.
pub(super) const NONE: Carrier = Carrier {
    tuple: NO_TUPLE,
    connection: 0,
    socket: 0,
    cookie: 0,
};

/// How a connection is found again without its socket at hand.
#[inline(always)]
pub(super) fn of<A: Access>(sk: &Sock<A>, connection: &Connection) -> Carrier {
    Carrier {
        tuple: sk.tuple(),
        connection: connection.stream.connection,
        socket: sk.0 as u64,
        cookie: sk.cookie(),
    }
}

/// Asks the socket for what goes with bytes that were moved inside, if it is still there.
#[inline(always)]
pub(super) fn ask(session: &mut Session) {
    let carrier = &session.carrier;
    let sk = Sock::<Probed>::new(carrier.socket as *const u8);
    session.stream.tcp = sk.probable_tcp_info();
    session.arrival = Arrival::new(before_last_read(carrier.socket), sk.probable_last_data());
    if !is_there(&sk, carrier) {
        session.stream.tcp = Info::UNKNOWN;
        session.arrival.packet = 0;
    }
}

#[inline(always)]
fn is_there(sk: &Sock<Probed>, carrier: &Carrier) -> bool {
    if carrier.cookie != 0 {
        return sk.has_cookie(carrier.cookie);
    }
    // SAFETY: the map's value is alive while the program runs.
    Table::find(sk).is_some_and(|state| unsafe { (*state).stream.connection } == carrier.connection)
}

/// A session's connection, for what is read and written inside.
pub(super) struct Inside<'a> {
    pub(super) carrier: &'a Carrier,
    pub(super) arrival: &'a Arrival,
}

impl Peers for Inside<'_> {
    #[inline(always)]
    fn peers(&self) -> Tuple {
        self.carrier.tuple
    }

    /// What a library has read before it was asked counts as waiting, too.
    #[inline(always)]
    fn waited(&self, now: u64) -> u32 {
        waited(self.arrival, now)
    }
}
