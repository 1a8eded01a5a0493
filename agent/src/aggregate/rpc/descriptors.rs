//! The RPC metrics (OpenTelemetry RPC metric conventions).

use crate::metric::{Descriptor, Kind, Unit};

/// All of them, for the reference.
pub const DESCRIPTORS: &[&Descriptor] = &[&SERVER_DURATION, &CLIENT_DURATION];

/// How long servers took.
pub const SERVER_DURATION: Descriptor = Descriptor {
    name: "rpc.server.call.duration",
    help: "Duration of gRPC calls that were answered, first byte of the request to last byte of the \
           answer",
    unit: Unit::Seconds,
    kind: Kind::Histogram,
};

/// How long clients waited.
pub const CLIENT_DURATION: Descriptor = Descriptor {
    name: "rpc.client.call.duration",
    help: "Duration of gRPC calls that were made, first byte of the request to last byte of the \
           answer",
    unit: Unit::Seconds,
    kind: Kind::Histogram,
};
