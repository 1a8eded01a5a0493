//! TCP connections.

use super::{Family, Hook, with_socket_tracepoints, with_types, without_socket_tracepoints};
use crate::kernel::attach::{Attach, Via};

/// The two ways of a hook whose connection states live on the socket or in a table.
pub(super) const fn by_store(
    name: &'static str,
    storage: &'static str,
    table: &'static str,
) -> [Attach; 2] {
    [
        Attach::tp_btf(storage, name, with_socket_tracepoints),
        Attach::raw_tp(table, name, without_socket_tracepoints),
    ]
}

/// Connection lifecycle: HTTP needs it as well, for the ends of connections.
pub(super) const STATE: Hook = Hook {
    name: "inet_sock_set_state",
    required: true,
    lost: "no connections: neither their counts nor their ends",
    any_of: &by_store("inet_sock_set_state", "tcp_state", "tcp_state_table"),
};

/// The end of a connection that was closed with bytes left to read.
pub(super) const DESTROY: Hook = Hook {
    name: "tcp_destroy_sock",
    required: true,
    lost: "connections that are closed with bytes left to read never end",
    any_of: &by_store("tcp_destroy_sock", "tcp_destroy", "tcp_destroy_table"),
};

/// The family.
pub const FAMILY: Family = Family {
    name: "tcp",
    help: "TCP connections: connect latency, failures, bytes, round-trip time, retransmits, resets",
    hooks: &[
        STATE,
        DESTROY,
        Hook {
            name: "tcp_receive_reset",
            required: false,
            lost: "resets that arrive are not counted",
            any_of: &by_store(
                "tcp_receive_reset",
                "tcp_reset_received",
                "tcp_reset_received_table",
            ),
        },
        Hook {
            name: "tcp_send_reset",
            required: false,
            lost: "resets that are sent are not counted",
            any_of: &by_store("tcp_send_reset", "tcp_reset_sent", "tcp_reset_sent_table"),
        },
        Hook {
            name: "connections",
            required: false,
            lost: "open connections count when they end, not while they live",
            any_of: &[Attach::new(
                "tcp_sweep",
                Via::StorageIterator,
                with_socket_tracepoints,
            )],
        },
        Hook {
            name: "listeners",
            required: false,
            lost: "accept queues are not told",
            any_of: &[Attach::new(
                "tcp_listener_sweep",
                Via::MapIterator,
                with_types,
            )],
        },
        Hook {
            name: "files",
            required: false,
            lost: "accept queues of sockets that listened before are not told",
            any_of: &[Attach::new("tcp_file_sweep", Via::FileIterator, with_types)],
        },
    ],
    maps: &[],
};
