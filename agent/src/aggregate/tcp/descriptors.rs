//! The TCP metrics.

use crate::metric::{Descriptor, Kind, Unit};

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
pub const CONNECT_DURATION: Descriptor = Descriptor {
    name: "tcp.connect.duration",
    help: "Time from SYN sent to established, of connections that this side opened",
    unit: Unit::Seconds,
    kind: Kind::Histogram,
};
/// Connects without a connection.
pub const CONNECT_FAILURES: Descriptor = Descriptor {
    name: "tcp.connect.failures",
    help: "Connects that never reached established, by errno or aborted where the process gave up",
    unit: Unit::Count("{failure}"),
    kind: Kind::Counter,
};
/// Round-trip times.
pub const RTT: Descriptor = Descriptor {
    name: "tcp.rtt",
    help: "Smoothed round-trip time, one value per connection at each reading and at its end",
    unit: Unit::Seconds,
    kind: Kind::Histogram,
};
/// Segments sent again.
pub const RETRANSMITS: Descriptor = Descriptor {
    name: "tcp.retransmits",
    help: "Segments sent again",
    unit: Unit::Count("{segment}"),
    kind: Kind::Counter,
};
/// Connections that were reset.
pub const RESETS: Descriptor = Descriptor {
    name: "tcp.resets",
    help: "Connections that ended with a reset, by the side that sent it",
    unit: Unit::Count("{connection}"),
    kind: Kind::Counter,
};
/// Payload.
pub const IO: Descriptor = Descriptor {
    name: "tcp.io",
    help: "Payload bytes that the peer acknowledged (transmit) or that arrived in order (receive)",
    unit: Unit::Bytes,
    kind: Kind::Counter,
};
/// Open connections.
pub const CONNECTIONS: Descriptor = Descriptor {
    name: "tcp.connections",
    help: "Open connections by TCP state; of those that were open before the agent, the ones that have carried data since",
    unit: Unit::Count("{connection}"),
    kind: Kind::UpDownCounter,
};
/// How long connections lived.
pub const LIFETIME: Descriptor = Descriptor {
    name: "tcp.connection.lifetime",
    help: "Time from established to the end of connections that were seen opening",
    unit: Unit::Seconds,
    kind: Kind::Histogram,
};
