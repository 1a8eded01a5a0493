//! Where and how to send: the settings, their merging and their resolution into one [`Target`]
//! per signal.
//!
//! Settings are read by the names of OpenTelemetry's variables ([`OtlpConfig::from_env`]), be it
//! from the environment or from what the config file says under those names. Within one signal,
//! its own setting goes before the general one.
//!
//! Source: OpenTelemetry specification 1.50, "OpenTelemetry Protocol Exporter" and "Environment
//! Variable Specification".

mod endpoint;
mod env;
mod headers;
mod target;

use std::{path::PathBuf, time::Duration};

pub use self::{
    endpoint::{Endpoint, EndpointError},
    headers::{Headers, HeadersError},
    target::{Identity, Target},
};
use super::signal::SignalKind;

/// A setting that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An environment variable's value is not what the specification allows.
    #[error("{variable}={value}: expected {expected}")]
    Variable {
        /// Name of the variable.
        variable: String,
        /// Its value; `[redacted]` where it may hold a secret.
        value: String,
        /// What it should be.
        expected: String,
    },
    /// HTTP needs a whole URL; `host:port` alone is gRPC's old form.
    #[error(
        "OTLP {signal} endpoint {endpoint}: expected a URL such as http://{endpoint}, \
         since the protocol is http/protobuf"
    )]
    NoScheme {
        /// Which signal.
        signal: SignalKind,
        /// The endpoint.
        endpoint: String,
    },
    /// A client key without its certificate, or the other way round.
    #[error("OTLP {signal}: client key and client certificate are needed together")]
    HalfIdentity {
        /// Which signal.
        signal: SignalKind,
    },
}

/// How messages travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC, usually port 4317.
    Grpc,
    /// OTLP/HTTP with binary protobuf, usually port 4318. The specification's default.
    #[default]
    HttpProtobuf,
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, RFC 1952.
    Gzip,
}

/// Whether a sum tells the total since its start or what was added since the last export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemporalityPreference {
    /// Everything cumulative.
    #[default]
    Cumulative,
    /// Counters and histograms as deltas, up-down counters cumulative.
    Delta,
    /// Histograms as deltas; counters are read as totals, so cumulative is what costs least.
    LowMemory,
}

/// Shape in which histograms are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistogramAggregation {
    /// The buckets as they were counted.
    #[default]
    ExplicitBucketHistogram,
    /// Converted, see [`super::convert::exponential`].
    Base2ExponentialBucketHistogram,
}

/// Settings of one signal, or of all of them; what is `None` is left to the next source.
///
/// Each corresponds to `OTEL_EXPORTER_OTLP_*` (general) or `OTEL_EXPORTER_OTLP_<SIGNAL>_*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalConfig {
    /// `false` switches the signal off even where there is an endpoint
    /// (`OTEL_<SIGNAL>_EXPORTER=none`). Per signal only.
    pub enabled: Option<bool>,
    /// Used as it is, unlike the general endpoint. A signal without any is off.
    pub endpoint: Option<Endpoint>,
    /// Transport and encoding.
    pub protocol: Option<Protocol>,
    /// Sent with each request; may hold secrets, so never shown.
    pub headers: Option<Headers>,
    /// Longest wait for one request's answer; 10 s.
    pub timeout: Option<Duration>,
    /// Compression of requests.
    pub compression: Option<Compression>,
    /// PEM file with the authorities that may sign the receiver's certificate, instead of the
    /// system's.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key for mutual TLS.
    pub client_key: Option<PathBuf>,
    /// PEM file with the certificate chain for mutual TLS.
    pub client_certificate: Option<PathBuf>,
    /// Plain text to a gRPC endpoint that has no scheme. A scheme goes before it.
    pub insecure: Option<bool>,
}

impl SignalConfig {
    /// `self`, with what it leaves open taken from `fallback`.
    #[must_use]
    pub fn or(self, fallback: Self) -> Self {
        Self {
            enabled: self.enabled.or(fallback.enabled),
            endpoint: self.endpoint.or(fallback.endpoint),
            protocol: self.protocol.or(fallback.protocol),
            headers: self.headers.or(fallback.headers),
            timeout: self.timeout.or(fallback.timeout),
            compression: self.compression.or(fallback.compression),
            certificate: self.certificate.or(fallback.certificate),
            client_key: self.client_key.or(fallback.client_key),
            client_certificate: self.client_certificate.or(fallback.client_certificate),
            insecure: self.insecure.or(fallback.insecure),
        }
    }
}

/// All OTLP settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpConfig {
    /// What holds for every signal that doesn't say otherwise. Over HTTP, `v1/traces`,
    /// `v1/metrics` or `v1/logs` is appended to its endpoint.
    pub general: SignalConfig,
    /// Spans.
    pub traces: SignalConfig,
    /// Metrics.
    pub metrics: SignalConfig,
    /// Log records.
    pub logs: SignalConfig,
    /// `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.
    pub metrics_temporality: Option<TemporalityPreference>,
    /// `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`.
    pub metrics_histogram_aggregation: Option<HistogramAggregation>,
    /// `OTEL_METRIC_EXPORT_INTERVAL`: time between two exports; 60 s.
    pub metrics_interval: Option<Duration>,
    /// `OTEL_BSP_SCHEDULE_DELAY`: longest time that a span waits for company; 5 s.
    pub traces_delay: Option<Duration>,
    /// `OTEL_BLRP_SCHEDULE_DELAY`: the same for log records; 1 s.
    pub logs_delay: Option<Duration>,
    /// Spans or log records in one batch at most; 4 096. (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE` and
    /// `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE` set it for traces and logs.)
    pub traces_batch: Option<usize>,
    /// See `traces_batch`.
    pub logs_batch: Option<usize>,
    /// Bytes that may wait per signal while the receiver is away; 16 MiB.
    pub queue_bytes: Option<usize>,
}

/// Bytes that may wait per signal, unless set.
pub const DEFAULT_QUEUE_BYTES: usize = 16 << 20;
const DEFAULT_METRICS_INTERVAL: Duration = Duration::from_mins(1);
const DEFAULT_TRACES_DELAY: Duration = Duration::from_secs(5);
const DEFAULT_LOGS_DELAY: Duration = Duration::from_secs(1);
const DEFAULT_BATCH: usize = 4_096;

impl OtlpConfig {
    /// Reads the `OTEL_*` variables through `get`, which may look further than the environment.
    /// An empty value counts as unset, as the specification says.
    ///
    /// # Errors
    /// [`ConfigError::Variable`] for the first value that is not what it should be.
    pub fn from_env(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        env::read(get)
    }

    fn signal(&self, signal: SignalKind) -> &SignalConfig {
        match signal {
            SignalKind::Traces => &self.traces,
            SignalKind::Metrics => &self.metrics,
            SignalKind::Logs => &self.logs,
        }
    }

    /// Time between two exports of metrics.
    #[must_use]
    pub fn metrics_interval(&self) -> Duration {
        self.metrics_interval.unwrap_or(DEFAULT_METRICS_INTERVAL)
    }

    /// How items of `signal` gather into batches: the longest wait and the most items. Metrics
    /// are batched when they are built, so nothing waits there.
    #[must_use]
    pub(super) fn gathering(&self, signal: SignalKind) -> (Duration, usize) {
        let (delay, batch) = match signal {
            SignalKind::Traces => (
                self.traces_delay.unwrap_or(DEFAULT_TRACES_DELAY),
                self.traces_batch.unwrap_or(DEFAULT_BATCH),
            ),
            SignalKind::Logs => (
                self.logs_delay.unwrap_or(DEFAULT_LOGS_DELAY),
                self.logs_batch.unwrap_or(DEFAULT_BATCH),
            ),
            SignalKind::Metrics => (Duration::ZERO, 1),
        };
        (delay, batch.max(1))
    }

    /// Bytes that may wait per signal.
    #[must_use]
    pub fn queue_bytes(&self) -> usize {
        self.queue_bytes.unwrap_or(DEFAULT_QUEUE_BYTES)
    }
}

#[cfg(test)]
mod tests;
