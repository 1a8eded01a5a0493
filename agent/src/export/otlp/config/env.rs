//! The `OTEL_*` environment variables.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use super::{
    Compression, ConfigError, Endpoint, Headers, HistogramAggregation, OtlpConfig, Protocol,
    SignalConfig, TemporalityPreference,
};

type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn read(get: Get<'_>) -> Result<OtlpConfig, ConfigError> {
    Ok(OtlpConfig {
        general: signal(get, "")?,
        traces: with_switch(get, "TRACES")?,
        metrics: with_switch(get, "METRICS")?,
        logs: with_switch(get, "LOGS")?,
        metrics_temporality: choice(
            get,
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            &[
                ("cumulative", TemporalityPreference::Cumulative),
                ("delta", TemporalityPreference::Delta),
                ("lowmemory", TemporalityPreference::LowMemory),
            ],
        )?,
        metrics_histogram_aggregation: choice(
            get,
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            &[
                (
                    "explicit_bucket_histogram",
                    HistogramAggregation::ExplicitBucketHistogram,
                ),
                (
                    "base2_exponential_bucket_histogram",
                    HistogramAggregation::Base2ExponentialBucketHistogram,
                ),
            ],
        )?,
        metrics_interval: span_of_time(get, "OTEL_METRIC_EXPORT_INTERVAL")?,
        traces_delay: delay(get, "OTEL_BSP_SCHEDULE_DELAY")?,
        logs_delay: delay(get, "OTEL_BLRP_SCHEDULE_DELAY")?,
        traces_batch: count(get, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE")?,
        logs_batch: count(get, "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE")?,
        queue_bytes: None,
    })
}

/// The settings that exist for all signals (`infix` empty) and for each (`TRACES_`, ...).
fn signal(get: Get<'_>, infix: &str) -> Result<SignalConfig, ConfigError> {
    let name = |setting: &str| format!("OTEL_EXPORTER_OTLP_{infix}{setting}");
    let path = |setting: &str| value(get, &name(setting)).map(PathBuf::from);
    Ok(SignalConfig {
        enabled: None,
        endpoint: parse::<Endpoint>(get, &name("ENDPOINT"), Endpoint::EXPECTED)?,
        protocol: choice(
            get,
            &name("PROTOCOL"),
            &[
                ("grpc", Protocol::Grpc),
                ("http/protobuf", Protocol::HttpProtobuf),
            ],
        )?,
        headers: headers(get, name("HEADERS"))?,
        timeout: span_of_time(get, &name("TIMEOUT"))?,
        compression: choice(
            get,
            &name("COMPRESSION"),
            &[("gzip", Compression::Gzip), ("none", Compression::None)],
        )?,
        certificate: path("CERTIFICATE"),
        client_key: path("CLIENT_KEY"),
        client_certificate: path("CLIENT_CERTIFICATE"),
        insecure: boolean(get, &name("INSECURE"))?,
    })
}

/// One signal's settings with its `OTEL_<SIGNAL>_EXPORTER`.
fn with_switch(get: Get<'_>, signal_name: &str) -> Result<SignalConfig, ConfigError> {
    let enabled = choice(
        get,
        &format!("OTEL_{signal_name}_EXPORTER"),
        &[
            ("otlp", true),
            ("none", false),
            ("console", false),
            ("prometheus", false),
        ],
    )?;
    Ok(SignalConfig {
        enabled,
        ..signal(get, &format!("{signal_name}_"))?
    })
}

/// A variable that is set to something.
fn value(get: Get<'_>, variable: &str) -> Option<String> {
    get(variable)
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

fn parse<T: FromStr>(
    get: Get<'_>,
    variable: &str,
    expected: &str,
) -> Result<Option<T>, ConfigError> {
    let Some(value) = value(get, variable) else {
        return Ok(None);
    };
    match value.parse() {
        Ok(parsed) => Ok(Some(parsed)),
        Err(_) => Err(ConfigError::Variable {
            variable: variable.to_owned(),
            // Whoever puts a password in a URL shall not find it in a log.
            value: if value.contains('@') {
                REDACTED.to_owned()
            } else {
                value
            },
            expected: expected.to_owned(),
        }),
    }
}

const REDACTED: &str = "[redacted]";

fn headers(get: Get<'_>, variable: String) -> Result<Option<Headers>, ConfigError> {
    let parsed = value(get, &variable).map(|value| value.parse()).transpose();
    parsed.map_err(|_| ConfigError::Variable {
        variable,
        value: REDACTED.to_owned(),
        expected: Headers::EXPECTED.to_owned(),
    })
}

/// Milliseconds. Zero would mean never to wait for an answer, or to do nothing but export.
fn span_of_time(get: Get<'_>, variable: &str) -> Result<Option<Duration>, ConfigError> {
    let expected = "a whole number of milliseconds above 0";
    let number = parse::<NonZeroU32>(get, variable, expected)?;
    Ok(number.map(|number| Duration::from_millis(number.get().into())))
}

/// Milliseconds; zero means at once.
fn delay(get: Get<'_>, variable: &str) -> Result<Option<Duration>, ConfigError> {
    let number = parse::<u32>(get, variable, "a whole number of milliseconds")?;
    Ok(number.map(|number| Duration::from_millis(number.into())))
}

fn count(get: Get<'_>, variable: &str) -> Result<Option<usize>, ConfigError> {
    let number = parse::<NonZeroUsize>(get, variable, "a whole number above 0")?;
    Ok(number.map(NonZeroUsize::get))
}

fn boolean(get: Get<'_>, variable: &str) -> Result<Option<bool>, ConfigError> {
    choice(get, variable, &[("true", true), ("false", false)])
}

/// One of a few words, in any case, as the specification asks for enumerations and booleans.
fn choice<T: Copy>(
    get: Get<'_>,
    variable: &str,
    words: &[(&str, T)],
) -> Result<Option<T>, ConfigError> {
    let Some(value) = value(get, variable) else {
        return Ok(None);
    };
    let found = words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(&value));
    match found {
        Some((_, meaning)) => Ok(Some(*meaning)),
        None => Err(ConfigError::Variable {
            variable: variable.to_owned(),
            value,
            expected: words
                .iter()
                .map(|(word, _)| *word)
                .collect::<Vec<_>>()
                .join(" or "),
        }),
    }
}
