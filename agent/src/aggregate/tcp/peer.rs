//! What tells the TCP series of a service apart: the server side of a connection.

use std::collections::HashSet;

use sonde_common::event::{
    http::Tuple,
    tcp::{Role, Totals},
};

use crate::{
    aggregate::server::ip,
    metric::{AttributeValue, Attributes},
};

/// Ports that something listens on, with the inode number of their network namespace.
pub type Listening = HashSet<(u32, u16)>;

/// The server side of a connection. The client's own address and port never are part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Peer {
    /// This side accepted: the local end.
    Inbound { address: [u8; 16], port: u16 },
    /// This side connected: the remote end.
    Outbound { address: [u8; 16], port: u16 },
    /// The connection was there before sonde, and nothing says which end is the server.
    Unknown,
}

impl Peer {
    /// A connection that was there before sonde is one that its listener accepted, if there is
    /// one on its local port. None there proves nothing: a listener may be closed meanwhile.
    pub(super) fn of(totals: &Totals, listening: &Listening) -> Self {
        let tuple = &totals.tuple;
        let is_inbound = totals.role == Role::Inbound as u8
            || totals.role == Role::Unknown as u8
                && listening.contains(&(tuple.netns, tuple.local_port));
        if is_inbound {
            Self::Inbound {
                address: tuple.local,
                port: tuple.local_port,
            }
        } else if totals.role == Role::Outbound as u8 {
            Self::outbound(tuple)
        } else {
            Self::Unknown
        }
    }

    pub(super) fn outbound(tuple: &Tuple) -> Self {
        Self::Outbound {
            address: tuple.remote,
            port: tuple.remote_port,
        }
    }

    pub(super) fn pairs(self) -> Vec<(&'static str, AttributeValue)> {
        let (direction, address, port) = match self {
            Self::Inbound { address, port } => ("inbound", address, port),
            Self::Outbound { address, port } => ("outbound", address, port),
            Self::Unknown => return Vec::new(),
        };
        vec![
            ("network.connection.direction", direction.into()),
            ("server.address", ip(address).to_string().into()),
            ("server.port", port.into()),
        ]
    }

    pub(super) fn attributes(self) -> Attributes {
        self.pairs().into_iter().collect()
    }
}

/// Names of the kernel's TCP states by number (`include/net/tcp_states.h`), as the conventions
/// spell them. 0 is what the kernel has no state for.
pub(super) const STATES: [&str; 14] = [
    "unknown",
    "established",
    "syn_sent",
    "syn_received",
    "fin_wait_1",
    "fin_wait_2",
    "time_wait",
    "closed",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
    "new_syn_received",
    "bound_inactive",
];
