//! An OTLP receiver over HTTP/protobuf that keeps what it gets.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use axum::{
    Router, body::Bytes, extract::DefaultBodyLimit, extract::State, http::StatusCode, routing::post,
};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{KeyValue, any_value::Value},
    logs::v1::ResourceLogs,
    metrics::v1::ResourceMetrics,
    resource::v1::Resource,
    trace::v1::{ResourceSpans, Span},
};
use prost::Message;
use tokio::{net::TcpListener, runtime::Runtime};

/// Attributes as text.
pub type Attributes = BTreeMap<String, String>;

/// Everything that has come.
#[derive(Debug, Default)]
pub struct Received {
    /// Of `/v1/traces`.
    pub traces: Vec<ResourceSpans>,
    /// Of `/v1/metrics`.
    pub metrics: Vec<ResourceMetrics>,
    /// Of `/v1/logs`.
    pub logs: Vec<ResourceLogs>,
}

impl Received {
    /// Spans with the attributes of their resource.
    pub fn spans(&self) -> impl Iterator<Item = (Attributes, &Span)> {
        self.traces.iter().flat_map(|traces| {
            let resource = of_resource(traces.resource.as_ref());
            let spans = traces.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.map(move |span| (resource.clone(), span))
        })
    }
}

/// A running receiver; stops when dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
    runtime: Option<Runtime>,
}

impl Receiver {
    /// Listens on a free port.
    pub fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let received = Arc::new(Mutex::new(Received::default()));
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .route("/v1/logs", post(logs))
            .layer(DefaultBodyLimit::max(16 << 20))
            .with_state(Arc::clone(&received));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            address,
            received,
            runtime: Some(runtime),
        })
    }

    /// The endpoint for all signals.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come so far.
    pub fn received(&self) -> MutexGuard<'_, Received> {
        lock(&self.received)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

type Kept = State<Arc<Mutex<Received>>>;

async fn traces(State(kept): Kept, body: Bytes) -> StatusCode {
    take(&body, |request: ExportTraceServiceRequest| {
        lock(&kept).traces.extend(request.resource_spans);
    })
}

async fn metrics(State(kept): Kept, body: Bytes) -> StatusCode {
    take(&body, |request: ExportMetricsServiceRequest| {
        lock(&kept).metrics.extend(request.resource_metrics);
    })
}

async fn logs(State(kept): Kept, body: Bytes) -> StatusCode {
    take(&body, |request: ExportLogsServiceRequest| {
        lock(&kept).logs.extend(request.resource_logs);
    })
}

fn take<M: Message + Default>(body: &Bytes, keep: impl FnOnce(M)) -> StatusCode {
    match M::decode(body.as_ref()) {
        Ok(request) => {
            keep(request);
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

fn lock(received: &Mutex<Received>) -> MutexGuard<'_, Received> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The attributes of a resource.
#[must_use]
pub fn of_resource(resource: Option<&Resource>) -> Attributes {
    resource.map_or_else(Attributes::new, |resource| attributes(&resource.attributes))
}

/// Attributes as text, those of lists joined by commas.
#[must_use]
pub fn attributes(attributes: &[KeyValue]) -> Attributes {
    let pairs = attributes.iter().filter_map(|pair| {
        let value = pair.value.as_ref()?.value.as_ref()?;
        Some((pair.key.clone(), text(value)?))
    });
    pairs.collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(truth) => Some(truth.to_string()),
        Value::DoubleValue(number) => Some(number.to_string()),
        Value::ArrayValue(array) => {
            let values = array.values.iter();
            let texts: Vec<_> = values
                .filter_map(|value| text(value.value.as_ref()?))
                .collect();
            Some(texts.join(", "))
        }
        _ => None,
    }
}
