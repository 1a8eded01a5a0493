//! The agent's own logs: to stderr, and over OTLP where logs have an endpoint.
//!
//! Log lines go through `opentelemetry-otlp`, with a resource of their own
//! (`service.name=sonde`): they are few, and the SDK's own queue serves them well. The agent's
//! numbers do not: they are in each snapshot, under the host's resource, and leave with it. A
//! second copy through the SDK would only double them.
//!
//! What the export machinery itself logs (tonic, h2, hyper, reqwest, rustls, the SDK) goes to
//! stderr only. Over OTLP, each export would cause the next.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{LogExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::{Resource, logs::SdkLoggerProvider};
use tokio::runtime::Handle;
use tonic::metadata::MetadataMap;
use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    filter::filter_fn,
    fmt::MakeWriter,
    layer::{Layered, SubscriberExt},
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

use crate::config::value::LogFormat;
use crate::export::otlp::{
    ConfigError, OtlpConfig, SignalKind, TransportError,
    config::{Compression, Protocol, Target},
    transport,
};

/// Logging can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// An OTLP setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A certificate, a key, the client.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The SDK refuses the settings.
    #[error("OTLP exporter of the agent's own logs: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Logging was set up before in this process.
    #[error("logging is set up already")]
    Twice,
}

/// What the layer for OTLP is laid on.
type Levelled = Layered<reload::Layer<LevelFilter, Registry>, Registry>;
type Exported = Option<Box<dyn Layer<Levelled> + Send + Sync>>;

/// Running logging; [`Telemetry::shutdown`] sends what is still there.
pub struct Telemetry {
    level: reload::Handle<LevelFilter, Registry>,
    exported: reload::Handle<Exported, Levelled>,
    provider: Option<SdkLoggerProvider>,
}

impl Telemetry {
    /// Sets up logging to stderr for the whole process.
    ///
    /// # Errors
    /// [`TelemetryError::Twice`].
    pub fn start(level: LevelFilter, format: LogFormat) -> Result<Self, TelemetryError> {
        let (filter, level) = reload::Layer::new(level);
        let (over_otlp, exported) = reload::Layer::new(Exported::None);
        let has_colour = std::io::stderr().is_terminal();
        tracing_subscriber::registry()
            .with(filter)
            .with(over_otlp)
            .with(format_layer(format, std::io::stderr, has_colour))
            .with(without_objects())
            .try_init()
            .map_err(|_| TelemetryError::Twice)?;
        Ok(Self {
            level,
            exported,
            provider: None,
        })
    }

    /// Sends the log over OTLP as well, where logs have an endpoint. This starts threads: it
    /// comes after what a thread must not inherit is gone.
    ///
    /// # Errors
    /// See [`TelemetryError`].
    pub fn export(&mut self, otlp: &OtlpConfig, runtime: &Handle) -> Result<(), TelemetryError> {
        let Some(target) = otlp.target(SignalKind::Logs)? else {
            return Ok(());
        };
        let provider = provider(&target, runtime)?;
        let layer = otlp_layer(&provider);
        self.exported
            .reload(Some(layer))
            .map_err(|_| TelemetryError::Twice)?;
        self.provider = Some(provider);
        Ok(())
    }

    /// Changes the least severe level that is written.
    pub fn set_level(&self, level: LevelFilter) {
        // Fails only when the subscriber is gone, and with it the log.
        let _ = self.level.reload(level);
    }

    /// Sends what is left, until `deadline` at most.
    pub async fn shutdown(self, deadline: Instant) {
        if let Some(provider) = self.provider {
            flush(provider, deadline).await;
        }
    }
}

async fn flush(provider: SdkLoggerProvider, deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    // It blocks, and what it waits for needs the runtime's threads. Its error would have
    // nowhere to go but the log that ends here.
    let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(left));
    drop(tokio::time::timeout(left + Duration::from_millis(50), ended).await);
}

fn format_layer<S, W>(
    format: LogFormat,
    writer: W,
    has_colour: bool,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer = match format {
        LogFormat::Text => layer.with_ansi(has_colour).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    // The SDK's complaint that its own bridge names no logger: nobody can do anything about it.
    let told = filter_fn(|metadata| metadata.name() != "LoggerNameEmpty");
    layer.with_filter(told).boxed()
}

fn otlp_layer<S>(provider: &SdkLoggerProvider) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let bridge = OpenTelemetryTracingBridge::new(provider);
    let machinery = filter_fn(|metadata| !is_export_machinery(metadata));
    bridge.with_filter(machinery).boxed()
}

/// Leaves out what kube's crates say, whoever listens: they write down answers that they can't
/// read, secrets and all. What is to be said is said by those who use them.
fn without_objects<S: Subscriber>() -> impl Layer<S> {
    filter_fn(|metadata| !metadata.target().starts_with("kube"))
}

/// Whether an event comes from what carries the events.
fn is_export_machinery(metadata: &Metadata<'_>) -> bool {
    const CRATES: [&str; 8] = [
        "h2",
        "hyper",
        "hyper_util",
        "opentelemetry",
        "reqwest",
        "rustls",
        "tonic",
        "tower",
    ];
    let target = metadata.target();
    // Targets are paths (`h2::codec`) or, from the SDK, package names (`opentelemetry-otlp`).
    CRATES.iter().any(|name| {
        let rest = target.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '-', '_']))
    })
}

/// The SDK's logger provider on a client of ours: same TLS, same headers as the observed data.
fn provider(target: &Target, runtime: &Handle) -> Result<SdkLoggerProvider, TelemetryError> {
    let exporter = match target.protocol {
        Protocol::Grpc => grpc_exporter(target, runtime)?,
        Protocol::HttpProtobuf => http_exporter(target, runtime)?,
    };
    let resource = Resource::builder()
        .with_service_name("sonde")
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    Ok(SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

fn grpc_exporter(target: &Target, runtime: &Handle) -> Result<LogExporter, TelemetryError> {
    let _in_runtime = runtime.enter();
    let mut builder = LogExporter::builder()
        .with_tonic()
        .with_channel(transport::channel(target)?)
        .with_metadata(MetadataMap::from_headers(target.headers.as_map().clone()))
        .with_timeout(target.timeout);
    if target.compression == Compression::Gzip {
        builder = builder.with_compression(opentelemetry_otlp::Compression::Gzip);
    }
    Ok(builder.build()?)
}

fn http_exporter(target: &Target, runtime: &Handle) -> Result<LogExporter, TelemetryError> {
    let client = OnRuntime {
        client: transport::client(target)?,
        headers: target.headers.as_map().clone(),
        runtime: runtime.clone(),
    };
    let mut builder = LogExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_endpoint(target.endpoint.to_string())
        .with_timeout(target.timeout);
    if target.compression == Compression::Gzip {
        builder = builder.with_compression(opentelemetry_otlp::Compression::Gzip);
    }
    Ok(builder.build()?)
}

/// An HTTP client for the SDK, whose thread is none of tokio's.
#[derive(Debug)]
struct OnRuntime {
    client: reqwest::Client,
    /// Added here, where they stay marked as sensitive.
    headers: http::HeaderMap,
    runtime: Handle,
}

#[tonic::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        request.headers_mut().extend(self.headers.clone());
        let client = self.client.clone();
        let answer = self.runtime.spawn(async move {
            let answer = client.execute(request.try_into()?).await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = transport::read_answer(answer).await?;
            Ok::<_, reqwest::Error>((status, headers, body))
        });
        let (status, headers, body) = answer.await?.map_err(reqwest::Error::without_url)?;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

#[cfg(test)]
mod tests;
