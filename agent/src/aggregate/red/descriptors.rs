//! The HTTP metrics (OpenTelemetry HTTP metric conventions).

use crate::{
    l7::exchange::Role,
    metric::{Descriptor, Unit},
};

/// All of them, for the reference.
pub const DESCRIPTORS: &[&Descriptor] = &[
    &SERVER_DURATION,
    &CLIENT_DURATION,
    &SERVER_QUEUE_DURATION,
    &ACTIVE_REQUESTS,
    &SERVER_REQUEST_SIZE,
    &SERVER_RESPONSE_SIZE,
    &CLIENT_REQUEST_SIZE,
    &CLIENT_RESPONSE_SIZE,
];

/// How long servers took.
pub const SERVER_DURATION: Descriptor = Descriptor::histogram(
    "http.server.request.duration",
    "Duration of HTTP server requests, first byte of the request to last byte of the answer",
    Unit::Seconds,
);
/// How long clients waited.
pub const CLIENT_DURATION: Descriptor = Descriptor::histogram(
    "http.client.request.duration",
    "Duration of HTTP client requests, first byte of the request to last byte of the answer",
    Unit::Seconds,
);
/// How long requests waited to be read.
pub const SERVER_QUEUE_DURATION: Descriptor = Descriptor::histogram(
    "http.server.request.queue.duration",
    "Time for which HTTP requests lay in the server's socket before the process read them, the accept queue and a TLS library's memory included: at least, where more of one came after its first packet",
    Unit::Seconds,
);
/// What servers received.
pub const SERVER_REQUEST_SIZE: Descriptor = Descriptor::histogram(
    "http.server.request.body.size",
    "Size of HTTP server request bodies as framed on the wire",
    Unit::Bytes,
);
/// What servers sent.
pub const SERVER_RESPONSE_SIZE: Descriptor = Descriptor::histogram(
    "http.server.response.body.size",
    "Size of HTTP server response bodies as framed on the wire",
    Unit::Bytes,
);
/// What clients sent.
pub const CLIENT_REQUEST_SIZE: Descriptor = Descriptor::histogram(
    "http.client.request.body.size",
    "Size of HTTP client request bodies as framed on the wire",
    Unit::Bytes,
);
/// What clients received.
pub const CLIENT_RESPONSE_SIZE: Descriptor = Descriptor::histogram(
    "http.client.response.body.size",
    "Size of HTTP client response bodies as framed on the wire",
    Unit::Bytes,
);
/// What servers are busy with.
pub const ACTIVE_REQUESTS: Descriptor = Descriptor::up_down_counter(
    "http.server.active_requests",
    "HTTP server requests that have begun and not ended",
    Unit::Count("{request}"),
);

/// The metrics of one side.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) duration: &'static Descriptor,
    pub(super) request_size: &'static Descriptor,
    pub(super) response_size: &'static Descriptor,
}

impl Side {
    pub(super) const fn of(role: Role) -> Self {
        match role {
            Role::Server => Self {
                duration: &SERVER_DURATION,
                request_size: &SERVER_REQUEST_SIZE,
                response_size: &SERVER_RESPONSE_SIZE,
            },
            Role::Client => Self {
                duration: &CLIENT_DURATION,
                request_size: &CLIENT_REQUEST_SIZE,
                response_size: &CLIENT_RESPONSE_SIZE,
            },
        }
    }
}
