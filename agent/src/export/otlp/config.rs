//! Where and how to send: the settings, their merging and their resolution into one [`Target`]
//! per signal.
//!
//! Settings come from the environment ([`OtlpConfig::from_env`]) and from the `otlp:` section of
//! the config file (through serde); [`OtlpConfig::or`] lays one over the other. Within one
//! signal, its own setting goes before the general one.
//!
//! Source: OpenTelemetry specification 1.50, "OpenTelemetry Protocol Exporter" and "Environment
//! Variable Specification".

mod endpoint;
mod env;
mod file;
mod headers;
mod target;

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Protocol {
    /// OTLP/gRPC, usually port 4317.
    #[serde(rename = "grpc")]
    Grpc,
    /// OTLP/HTTP with binary protobuf, usually port 4318. The specification's default.
    #[default]
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, RFC 1952.
    Gzip,
}

/// Whether a sum tells the total since its start or what was added since the last export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistogramAggregation {
    /// The buckets as they were counted.
    #[default]
    ExplicitBucketHistogram,
    /// Converted, see [`super::convert::exponential`].
    #[serde(rename = "base2_exponential_bucket_histogram")]
    Base2ExponentialBucketHistogram,
}

/// Settings of one signal, or of all of them; what is `None` is left to the next source.
///
/// Each corresponds to `OTEL_EXPORTER_OTLP_*` (general) or `OTEL_EXPORTER_OTLP_<SIGNAL>_*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
    /// Longest wait for one request's answer, milliseconds; 10 000.
    pub timeout: Option<u64>,
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

/// All OTLP settings: the `otlp:` section of the config file, where the fields of `general` stand
/// beside the others rather than under a key of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "file::Section")]
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
    /// `OTEL_METRIC_EXPORT_INTERVAL`: time between two exports, milliseconds; 60 000.
    pub metrics_interval: Option<u64>,
    /// `OTEL_BSP_SCHEDULE_DELAY`: longest time that a span waits for company, milliseconds;
    /// 5 000.
    pub traces_delay: Option<u64>,
    /// `OTEL_BLRP_SCHEDULE_DELAY`: the same for log records; 1 000.
    pub logs_delay: Option<u64>,
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
const DEFAULT_METRICS_INTERVAL: u64 = 60_000;
const DEFAULT_TRACES_DELAY: u64 = 5_000;
const DEFAULT_LOGS_DELAY: u64 = 1_000;
const DEFAULT_BATCH: usize = 4_096;

impl OtlpConfig {
    /// Reads the `OTEL_*` variables through `get`. An empty value counts as unset, as the
    /// specification says.
    ///
    /// # Errors
    /// [`ConfigError::Variable`] for the first value that is not what it should be.
    pub fn from_env(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        env::read(get)
    }

    /// `self`, with what it leaves open taken from `fallback`: `from_env(..)?.or(file)`.
    #[must_use]
    pub fn or(self, fallback: Self) -> Self {
        Self {
            general: self.general.or(fallback.general),
            traces: self.traces.or(fallback.traces),
            metrics: self.metrics.or(fallback.metrics),
            logs: self.logs.or(fallback.logs),
            metrics_temporality: self.metrics_temporality.or(fallback.metrics_temporality),
            metrics_histogram_aggregation: self
                .metrics_histogram_aggregation
                .or(fallback.metrics_histogram_aggregation),
            metrics_interval: self.metrics_interval.or(fallback.metrics_interval),
            traces_delay: self.traces_delay.or(fallback.traces_delay),
            logs_delay: self.logs_delay.or(fallback.logs_delay),
            traces_batch: self.traces_batch.or(fallback.traces_batch),
            logs_batch: self.logs_batch.or(fallback.logs_batch),
            queue_bytes: self.queue_bytes.or(fallback.queue_bytes),
        }
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
        Duration::from_millis(
            self.metrics_interval
                .unwrap_or(DEFAULT_METRICS_INTERVAL)
                .max(1),
        )
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
            SignalKind::Metrics => (0, 1),
        };
        (Duration::from_millis(delay), batch.max(1))
    }

    /// Bytes that may wait per signal.
    #[must_use]
    pub fn queue_bytes(&self) -> usize {
        self.queue_bytes.unwrap_or(DEFAULT_QUEUE_BYTES)
    }
}

#[cfg(test)]
mod tests;
