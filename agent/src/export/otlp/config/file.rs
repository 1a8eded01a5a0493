//! The `otlp:` section as it is written in the config file.
//!
//! serde can't flatten a struct and refuse unknown keys at once, hence the general settings once
//! more, key by key.

use std::path::PathBuf;

use serde::Deserialize;

use super::{
    Compression, Endpoint, Headers, HistogramAggregation, OtlpConfig, Protocol, SignalConfig,
    TemporalityPreference,
};

/// See [`OtlpConfig`] for the meaning of each key.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Section {
    enabled: Option<bool>,
    endpoint: Option<Endpoint>,
    protocol: Option<Protocol>,
    headers: Option<Headers>,
    timeout: Option<u64>,
    compression: Option<Compression>,
    certificate: Option<PathBuf>,
    client_key: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    insecure: Option<bool>,
    traces: SignalConfig,
    metrics: SignalConfig,
    logs: SignalConfig,
    metrics_temporality: Option<TemporalityPreference>,
    metrics_histogram_aggregation: Option<HistogramAggregation>,
    metrics_interval: Option<u64>,
    traces_delay: Option<u64>,
    logs_delay: Option<u64>,
    traces_batch: Option<usize>,
    logs_batch: Option<usize>,
    queue_bytes: Option<usize>,
}

impl From<Section> for OtlpConfig {
    fn from(section: Section) -> Self {
        Self {
            general: SignalConfig {
                enabled: section.enabled,
                endpoint: section.endpoint,
                protocol: section.protocol,
                headers: section.headers,
                timeout: section.timeout,
                compression: section.compression,
                certificate: section.certificate,
                client_key: section.client_key,
                client_certificate: section.client_certificate,
                insecure: section.insecure,
            },
            traces: section.traces,
            metrics: section.metrics,
            logs: section.logs,
            metrics_temporality: section.metrics_temporality,
            metrics_histogram_aggregation: section.metrics_histogram_aggregation,
            metrics_interval: section.metrics_interval,
            traces_delay: section.traces_delay,
            logs_delay: section.logs_delay,
            traces_batch: section.traces_batch,
            logs_batch: section.logs_batch,
            queue_bytes: section.queue_bytes,
        }
    }
}
