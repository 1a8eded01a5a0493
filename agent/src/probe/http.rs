//! HTTP/1.x on plain sockets.

use super::{
    Family, Hook, tcp, tracepoint, with_socket_tracepoints, with_types, without_socket_tracepoints,
};
use crate::kernel::attach::Attach;

/// The family.
pub const FAMILY: Family = Family {
    name: "http",
    help: "HTTP/1.x requests of servers and clients on plain sockets",
    hooks: &[
        tcp::STATE,
        tcp::DESTROY,
        Hook {
            name: "socket reads",
            required: true,
            lost: "no HTTP requests",
            any_of: &[
                Attach::tp_btf("http_receive", "sock_recv_length", with_socket_tracepoints)
                    .then(&["http_receive_more", "http_receive_body"]),
                SYS_EXIT,
            ],
        },
        Hook {
            name: "socket writes",
            required: true,
            lost: "no HTTP requests",
            any_of: &[
                Attach::tp_btf("http_send", "sock_send_length", with_socket_tracepoints)
                    .then(&["http_send_more", "http_send_body"]),
                SYS_EXIT,
            ],
        },
        Hook {
            name: "tcp_rcv_space_adjust",
            required: false,
            lost: "how long requests lie in the socket",
            any_of: &tracepoint(
                "tcp_rcv_space_adjust",
                "http_arrival",
                "http_arrival_raw",
                with_types,
            ),
        },
    ],
    maps: &[],
};

/// Before 6.3 the same programs see reads and writes.
const SYS_EXIT: Attach = Attach::raw_tp("http_sys_exit", "sys_exit", without_socket_tracepoints)
    .then(&[
        "http_received",
        "http_received_more",
        "http_sent",
        "http_sent_more",
        "http_received_body",
        "http_sent_body",
    ]);
