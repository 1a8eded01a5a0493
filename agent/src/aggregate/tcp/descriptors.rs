//! The TCP metrics.

use crate::metric::{Descriptor, Unit};

/// All of them, for the reference.
pub const DESCRIPTORS: &[&Descriptor] = &[
    &CONNECT_DURATION,
    &CONNECT_FAILURES,
    &RTT,
    &RETRANSMITS,
    &RESETS,
    &IO,
    &CONNECTIONS,
    &LIFETIME,
];

/// Time to connect.
pub const CONNECT_DURATION: Descriptor = Descriptor::histogram(
    "tcp.connect.duration",
    "Time from SYN sent to established, of connections that this side opened",
    Unit::Seconds,
);
/// Connects without a connection.
pub const CONNECT_FAILURES: Descriptor = Descriptor::counter(
    "tcp.connect.failures",
    "Connects that never reached established, by errno or aborted where the process gave up",
    Unit::Count("{failure}"),
);
/// Round-trip times.
pub const RTT: Descriptor = Descriptor::histogram(
    "tcp.rtt",
    "Smoothed round-trip time, one value per connection at each reading and at its end",
    Unit::Seconds,
);
/// Segments sent again.
pub const RETRANSMITS: Descriptor = Descriptor::counter(
    "tcp.retransmits",
    "Segments sent again",
    Unit::Count("{segment}"),
);
/// Connections that were reset.
pub const RESETS: Descriptor = Descriptor::counter(
    "tcp.resets",
    "Connections that ended with a reset, by the side that sent it",
    Unit::Count("{connection}"),
);
/// Payload.
pub const IO: Descriptor = Descriptor::counter(
    "tcp.io",
    "Payload bytes that the peer acknowledged (transmit) or that arrived in order (receive)",
    Unit::Bytes,
);
/// Open connections.
pub const CONNECTIONS: Descriptor = Descriptor::up_down_counter(
    "tcp.connections",
    "Open connections by TCP state; of those that were open before the agent, the ones that have carried data since",
    Unit::Count("{connection}"),
);
/// How long connections lived.
pub const LIFETIME: Descriptor = Descriptor::histogram(
    "tcp.connection.lifetime",
    "Time from established to the end of connections that were seen opening",
    Unit::Seconds,
);
