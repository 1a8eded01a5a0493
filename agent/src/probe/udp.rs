//! Bytes of UDP per service.

use super::{Family, Hook, sched::with_storage, with_socket_tracepoints};
use crate::kernel::{attach::Attach, feature::Kernel};

/// The family.
pub const FAMILY: Family = Family {
    name: "udp",
    help: "bytes of UDP by who sends and receives them",
    hooks: &[
        Hook {
            name: "sock_recv_length",
            required: false,
            lost: "bytes that services receive by UDP are not counted",
            any_of: &[Attach::tp_btf("udp_receive", "sock_recv_length", by_thread)],
        },
        Hook {
            name: "sock_send_length",
            required: false,
            lost: "bytes that services send by UDP are not counted",
            any_of: &[Attach::tp_btf("udp_send", "sock_send_length", by_thread)],
        },
    ],
    maps: &[],
};

/// They are added up where `sched` keeps what threads use.
fn by_thread(kernel: &Kernel) -> Result<(), String> {
    with_socket_tracepoints(kernel)?;
    with_storage(kernel)
}
