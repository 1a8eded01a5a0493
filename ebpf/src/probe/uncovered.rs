//! Connections whose requests can't be seen: told once each.

use sonde_common::{
    event::{
        connection::Connection,
        tls::{Reason, Uncovered, state},
    },
    fault::Fault,
    header::Kind,
};

use crate::{
    emit::{fault, header, send},
    kernel::{Access, Sock},
    probe::tls,
};

/// Tells of a connection, unless that has been done.
#[inline(always)]
pub(super) fn tell<A: Access>(sk: &Sock<A>, connection: &mut Connection, reason: Reason) {
    if connection.tls != state::UNKNOWN {
        return;
    }
    connection.tls = state::UNCOVERED;
    fault(match reason {
        Reason::Tls => Fault::Tls,
        Reason::IoUring => Fault::IoUring,
    });
    let mut record = Uncovered {
        header: header(Kind::Uncovered),
        connection: connection.stream.connection,
        reason: reason as u32,
        late: tls::is_late(connection).into(),
        tuple: sk.tuple(),
    };
    record.header.tgid = connection.tgid;
    send(Kind::Uncovered, &record, Fault::RingHttp);
}
