//! OTLP/gRPC.

use bytes::{Buf, BufMut, Bytes};
use tonic::{
    Code, Request, Status,
    client::Grpc as Rpc,
    codec::{BufferSettings, Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_types::StatusExt;

use super::{Outcome, Transport, TransportError, USER_AGENT, accepted, chain, tls};
use crate::export::otlp::{
    config::{Compression, Target},
    message::Message,
    retry,
};

/// Largest answer; a real one is a few bytes, with a partial success some hundred.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// A gRPC client of one service.
#[derive(Debug)]
pub(in super::super) struct Grpc {
    target: Target,
    endpoint: Endpoint,
    channel: Channel,
}

impl Grpc {
    pub(super) fn new(target: &Target) -> Result<Self, TransportError> {
        let endpoint = endpoint(target)?;
        Ok(Self {
            target: target.clone(),
            channel: endpoint.connect_lazy(),
            endpoint,
        })
    }

    async fn call(&self, message: &Message) -> Result<Bytes, Status> {
        let mut rpc = Rpc::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES);
        if self.target.compression == Compression::Gzip {
            rpc = rpc.send_compressed(CompressionEncoding::Gzip);
        }
        rpc.ready()
            .await
            .map_err(|error| Status::unavailable(chain(&error)))?;
        let mut request = Request::new(message.bytes.clone());
        *request.metadata_mut() = MetadataMap::from_headers(self.target.headers.as_map().clone());
        let path = http::uri::PathAndQuery::from_static(message.signal.grpc_path());
        let answer = rpc.unary(request, path, RawCodec).await?;
        Ok(answer.into_inner())
    }
}

impl Transport for Grpc {
    async fn send(&mut self, message: &Message) -> Outcome {
        match tokio::time::timeout(self.target.timeout, self.call(message)).await {
            Ok(Ok(answer)) => accepted(message, answer),
            Ok(Err(status)) => outcome(&status),
            Err(_) => {
                // The connection may be dead without knowing it, and would time out again and
                // again: the next attempt gets a new one.
                self.channel = self.endpoint.connect_lazy();
                Outcome::Retry {
                    after: None,
                    error: format!("no answer within {:?}", self.target.timeout),
                }
            }
        }
    }
}

/// A channel to `target` that connects when it is used first. To be called within a tokio
/// runtime.
pub(crate) fn channel(target: &Target) -> Result<Channel, TransportError> {
    Ok(endpoint(target)?.connect_lazy())
}

fn endpoint(target: &Target) -> Result<Endpoint, TransportError> {
    let client_error = |error: tonic::transport::Error| TransportError::Client(chain(&error));
    let endpoint = Endpoint::from(target.endpoint.clone())
        .connect_timeout(target.timeout)
        .user_agent(USER_AGENT)
        .map_err(client_error)?;
    if target.endpoint.scheme_str() != Some("https") {
        return Ok(endpoint);
    }
    // Read here what tonic would read at the first connection only, to tell of errors at start.
    let material = tls::Material::read(target)?;
    let mut config = ClientTlsConfig::new();
    config = match material.authorities {
        Some(pem) => config.ca_certificate(tonic::transport::Certificate::from_pem(pem)),
        None => config.with_native_roots(),
    };
    if let Some(identity) = material.identity {
        let identity = tonic::transport::Identity::from_pem(identity.certificate, identity.key);
        config = config.identity(identity);
    }
    endpoint
        .tls_config(config)
        .map_err(|error| TransportError::Tls(chain(&error)))
}

/// What a status means (OTLP specification, "OTLP/gRPC Failures" and "Throttling").
fn outcome(status: &Status) -> Outcome {
    let error = format!("{:?}: {}", status.code(), status.message());
    let delay = status
        .get_details_retry_info()
        .map(|info| retry::cap(info.retry_delay.unwrap_or_default()));
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted if says_too_large(status) => {
            Outcome::TooLarge { error }
        }
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Outcome::Retry {
            after: delay,
            error,
        },
        Code::ResourceExhausted if delay.is_some() => Outcome::Retry {
            after: delay,
            error,
        },
        // Not the receiver's word but the transport's: the connection broke, which is like
        // UNAVAILABLE.
        _ if std::error::Error::source(status).is_some() => Outcome::Retry {
            after: None,
            error: chain(status),
        },
        _ => Outcome::Refused { error },
    }
}

/// Whether the receiver's gRPC library found the message too large. They have no code of their
/// own for it: grpc-go and grpc-java say `RESOURCE_EXHAUSTED`, tonic `OUT_OF_RANGE`, which the
/// specification would have us retry for ever.
fn says_too_large(status: &Status) -> bool {
    let text = status.message().to_ascii_lowercase();
    ["larger than max", "exceeds maximum", "length too large"]
        .iter()
        .any(|phrase| text.contains(phrase))
}

/// Messages are encoded already, and stay so for retries; answers are decoded by their signal.
#[derive(Debug, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length)))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tonic_types::ErrorDetails;

    fn is_retry(status: &Status) -> bool {
        matches!(outcome(status), Outcome::Retry { .. })
    }

    #[test]
    fn fault_24_codes_are_retried_as_the_specification_says() {
        use Code::{
            Aborted, AlreadyExists, Cancelled, DataLoss, DeadlineExceeded, FailedPrecondition,
            Internal, InvalidArgument, NotFound, OutOfRange, PermissionDenied, ResourceExhausted,
            Unauthenticated, Unavailable, Unimplemented, Unknown,
        };
        for code in [
            Cancelled,
            DeadlineExceeded,
            Aborted,
            OutOfRange,
            Unavailable,
            DataLoss,
        ] {
            assert!(is_retry(&Status::new(code, "")), "{code:?}");
        }
        for code in [
            Unknown,
            InvalidArgument,
            NotFound,
            AlreadyExists,
            PermissionDenied,
            Unauthenticated,
            FailedPrecondition,
            Unimplemented,
            Internal,
            ResourceExhausted,
        ] {
            let outcome = outcome(&Status::new(code, ""));
            assert!(matches!(outcome, Outcome::Refused { .. }), "{code:?}");
        }
    }

    #[test]
    fn fault_24_resource_exhausted_is_retried_with_retry_info_only() {
        let with = |code, delay| {
            Status::with_error_details(code, "", ErrorDetails::with_retry_info(delay))
        };
        let after = |status: &Status| match outcome(status) {
            Outcome::Retry { after, .. } => after,
            other => panic!("{other:?}"),
        };
        let seconds = Duration::from_secs;
        let exhausted = Code::ResourceExhausted;
        assert_eq!(after(&with(exhausted, Some(seconds(7)))), Some(seconds(7)));
        assert_eq!(
            after(&with(exhausted, Some(seconds(86_400)))),
            Some(seconds(3600))
        );
        assert_eq!(
            after(&with(Code::Unavailable, Some(seconds(2)))),
            Some(seconds(2))
        );
        assert_eq!(after(&Status::unavailable("")), None);
        let garbage = Status::with_details(exhausted, "", Bytes::from_static(b"\xff\xff\x01"));
        assert!(matches!(outcome(&garbage), Outcome::Refused { .. }));
    }

    #[test]
    fn fault_24_too_large_is_told_from_other_refusals() {
        for (code, text) in [
            (
                Code::ResourceExhausted,
                "grpc: received message larger than max (5 vs. 4)",
            ),
            (
                Code::ResourceExhausted,
                "gRPC message exceeds maximum size 4194304: 5000000",
            ),
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 5 bytes",
            ),
        ] {
            let outcome = outcome(&Status::new(code, text));
            assert!(matches!(outcome, Outcome::TooLarge { .. }), "{text}");
        }
    }
}
