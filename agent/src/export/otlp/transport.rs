//! One request and what its answer means.

mod grpc;
mod http;
mod tls;

use std::{future::Future, path::PathBuf, time::Duration};

pub(crate) use self::{
    grpc::channel,
    http::{client, read_answer},
};
use super::{
    config::{Protocol, Target},
    message::{Message, PartialSuccess},
};

/// Name and version, as the specification asks for.
pub(crate) const USER_AGENT: &str = concat!("OTel-OTLP-Exporter-sonde/", env!("CARGO_PKG_VERSION"));

/// What an answer, or its absence, means for the message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has it.
    Accepted(PartialSuccess),
    /// It may work later, not before `after` has passed.
    Retry {
        after: Option<Duration>,
        error: String,
    },
    /// Fewer records at once may work.
    TooLarge { error: String },
    /// It will never work.
    Refused { error: String },
}

/// Sends messages. One at a time: the next begins when the last one's outcome is known.
pub(super) trait Transport: Send + Sync + 'static {
    /// Sends one; ends within the target's timeout.
    fn send(&mut self, message: &Message) -> impl Future<Output = Outcome> + Send;
}

/// A target that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A PEM file can't be read, or has nothing of use in it.
    #[error("{path}: expected {expected} in PEM: {reason}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The system has no certificate authorities where they are usually found.
    #[error(
        "no certificate authorities found on this host: install ca-certificates, or name a file \
         with OTEL_EXPORTER_OTLP_CERTIFICATE"
    )]
    NoAuthorities,
    /// Key and certificate don't go together, or similar.
    #[error("TLS settings: {0}")]
    Tls(String),
    /// The client can't be set up.
    #[error("OTLP client: {0}")]
    Client(String),
}

/// The transport that a target asks for.
#[derive(Debug)]
pub(super) enum Client {
    Grpc(Box<grpc::Grpc>),
    Http(Box<http::Http>),
}

impl Client {
    /// Sets the client up; connects with the first message. To be called within a tokio runtime.
    pub(super) fn new(target: &Target) -> Result<Self, TransportError> {
        Ok(match target.protocol {
            Protocol::Grpc => Self::Grpc(Box::new(grpc::Grpc::new(target)?)),
            Protocol::HttpProtobuf => Self::Http(Box::new(http::Http::new(target)?)),
        })
    }
}

impl Transport for Client {
    async fn send(&mut self, message: &Message) -> Outcome {
        match self {
            Self::Grpc(grpc) => grpc.send(message).await,
            Self::Http(http) => http.send(message).await,
        }
    }
}

/// A successful answer's content. One that can't be read still was a success: the receiver took
/// the message, and sending it again would double it.
fn accepted(message: &Message, answer: bytes::Bytes) -> Outcome {
    let partial = PartialSuccess::decode(message.signal, answer);
    Outcome::Accepted(partial.unwrap_or_else(|error| PartialSuccess {
        rejected: 0,
        message: format!("answer without sense: {error}"),
    }))
}

/// An error with its causes; connection errors say little without them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
