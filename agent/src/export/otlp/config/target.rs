//! Settings resolved: the way of one signal.

use std::{path::PathBuf, time::Duration};

use super::{Compression, ConfigError, Headers, OtlpConfig, Protocol, SignalKind};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Key and certificate with which the agent shows who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM file of the private key.
    pub key: PathBuf,
    /// PEM file of the certificate chain.
    pub certificate: PathBuf,
}

/// Everything about the way of one signal, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which signal.
    pub signal: SignalKind,
    /// HTTP: the whole URL; gRPC: scheme and authority.
    pub endpoint: http::Uri,
    /// Transport and encoding.
    pub protocol: Protocol,
    /// Whether the protocol was chosen, not the default.
    pub protocol_given: bool,
    /// Sent with each request.
    pub headers: Headers,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// Compression of requests.
    pub compression: Compression,
    /// PEM file with authorities; the system's when `None`.
    pub authorities: Option<PathBuf>,
    /// For mutual TLS.
    pub identity: Option<Identity>,
}

impl Target {
    /// Whether this is HTTP to the port that receivers open for gRPC, only because no protocol
    /// was chosen: almost always a slip.
    #[must_use]
    pub fn looks_like_grpc(&self) -> bool {
        !self.protocol_given && self.endpoint.port_u16() == Some(4317)
    }
}

impl OtlpConfig {
    /// Where `signal` goes; `None` when it is off.
    ///
    /// # Errors
    /// Settings that contradict each other.
    pub fn target(&self, signal: SignalKind) -> Result<Option<Target>, ConfigError> {
        let own = self.signal(signal);
        let merged = own.clone().or(self.general.clone());
        if merged.enabled == Some(false) {
            return Ok(None);
        }
        let Some(endpoint) = merged.endpoint else {
            return Ok(None);
        };
        let protocol = merged.protocol.unwrap_or_default();
        let endpoint = match protocol {
            Protocol::Grpc => endpoint.for_grpc(merged.insecure.unwrap_or(false)),
            Protocol::HttpProtobuf => {
                let path = own.endpoint.is_none().then(|| signal.http_path());
                endpoint.for_http(path).ok_or(ConfigError::NoScheme {
                    signal,
                    endpoint: endpoint.to_string(),
                })?
            }
        };
        let identity = match (merged.client_key, merged.client_certificate) {
            (Some(key), Some(certificate)) => Some(Identity { key, certificate }),
            (None, None) => None,
            _ => return Err(ConfigError::HalfIdentity { signal }),
        };
        Ok(Some(Target {
            signal,
            endpoint,
            protocol,
            protocol_given: merged.protocol.is_some(),
            headers: merged.headers.unwrap_or_default(),
            timeout: merged.timeout.unwrap_or(DEFAULT_TIMEOUT),
            compression: merged.compression.unwrap_or_default(),
            authorities: merged.certificate,
            identity,
        }))
    }
}
