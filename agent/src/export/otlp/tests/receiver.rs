//! A receiver on real sockets that answers as told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, http::Uri, response::Response, routing::post};
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use tokio::{net::TcpListener, runtime::Runtime, sync::mpsc, time::timeout};
use tonic::{
    Request, Status,
    codec::CompressionEncoding,
    metadata::MetadataMap,
    transport::{Server, ServerTlsConfig, server::TcpIncoming},
};

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) time: Instant,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// As sent, over HTTP.
    pub(crate) body: Vec<u8>,
    pub(crate) traces: Option<ExportTraceServiceRequest>,
    pub(crate) metrics: Option<ExportMetricsServiceRequest>,
    pub(crate) logs: Option<ExportLogsServiceRequest>,
}

type HttpAnswer = Arc<dyn Fn() -> Option<Response> + Send + Sync>;
type GrpcAnswer = Arc<Mutex<Vec<Status>>>;

/// A running receiver; stops when dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: mpsc::UnboundedReceiver<Received>,
    runtime: Option<Runtime>,
}

/// Ends its connections as well: they live on its runtime.
impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Receiver {
    /// Runs what `serve` makes of a listener at `address`.
    fn start<F: Future<Output = ()> + Send + 'static>(
        address: SocketAddr,
        received: mpsc::UnboundedReceiver<Received>,
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.spawn(async move {
            serve(TcpListener::from_std(listener).expect("a listener")).await;
        });
        Self {
            address,
            received,
            runtime: Some(runtime),
        }
    }

    pub(crate) async fn next(&mut self) -> Received {
        let received = timeout(Duration::from_secs(10), self.received.recv()).await;
        received
            .expect("a request within 10 s")
            .expect("the receiver runs")
    }

    /// One that arrived already.
    pub(crate) fn try_next(&mut self) -> Option<Received> {
        self.received.try_recv().ok()
    }
}

/// Any free port of this host.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// OTLP/HTTP on any path; `answer` without a response hangs.
pub(crate) fn http(answer: impl Fn() -> Option<Response> + Send + Sync + 'static) -> Receiver {
    http_at(ANY, answer)
}

/// The same at `address`.
pub(crate) fn http_at(
    address: SocketAddr,
    answer: impl Fn() -> Option<Response> + Send + Sync + 'static,
) -> Receiver {
    type Shared = (HttpAnswer, mpsc::UnboundedSender<Received>);
    async fn take(
        State((answer, sender)): State<Shared>,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let received = Received {
            time: Instant::now(),
            path: uri.path().to_owned(),
            headers,
            body: body.to_vec(),
            traces: None,
            metrics: None,
            logs: None,
        };
        drop(sender.send(received));
        match answer() {
            Some(response) => response,
            None => std::future::pending().await,
        }
    }
    let (sender, received) = mpsc::unbounded_channel();
    let app = Router::new()
        .route("/{*path}", post(take))
        .layer(axum::extract::DefaultBodyLimit::max(64 << 20))
        .with_state((Arc::new(answer) as HttpAnswer, sender));
    Receiver::start(address, received, |listener| async move {
        axum::serve(listener, app).await.expect("serves");
    })
}

/// An HTTP answer.
pub(crate) fn response(status: u16, retry_after: Option<&str>, body: Vec<u8>) -> Response {
    let mut builder = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    if let Some(value) = retry_after {
        builder = builder.header("Retry-After", value);
    }
    builder.body(body.into()).expect("a response")
}

/// OTLP/gRPC; answers with `failures` first, last one first, then takes everything. The first
/// span of each request named `reject` counts as rejected.
pub(crate) fn grpc(failures: Vec<Status>, tls: Option<ServerTlsConfig>) -> Receiver {
    grpc_at(ANY, failures, tls)
}

/// The same at `address`.
pub(crate) fn grpc_at(
    address: SocketAddr,
    failures: Vec<Status>,
    tls: Option<ServerTlsConfig>,
) -> Receiver {
    let (sender, received) = mpsc::unbounded_channel();
    let service = Service {
        failures: Arc::new(Mutex::new(failures)),
        sender,
    };
    let gzip = CompressionEncoding::Gzip;
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls).expect("TLS settings");
    }
    let router = server
        .add_service(TraceServiceServer::new(service.clone()).accept_compressed(gzip))
        .add_service(MetricsServiceServer::new(service.clone()).accept_compressed(gzip))
        .add_service(LogsServiceServer::new(service).accept_compressed(gzip));
    Receiver::start(address, received, |listener| async move {
        let serving = router.serve_with_incoming(TcpIncoming::from(listener));
        serving.await.expect("serves");
    })
}

#[derive(Clone)]
struct Service {
    failures: GrpcAnswer,
    sender: mpsc::UnboundedSender<Received>,
}

impl Service {
    fn take(
        &self,
        path: &str,
        metadata: MetadataMap,
        fill: impl FnOnce(&mut Received),
    ) -> Result<(), Status> {
        let mut received = Received {
            time: Instant::now(),
            path: path.to_owned(),
            headers: metadata.into_headers(),
            body: Vec::new(),
            traces: None,
            metrics: None,
            logs: None,
        };
        fill(&mut received);
        drop(self.sender.send(received));
        match self.failures.lock().expect("not poisoned").pop() {
            Some(status) => Err(status),
            None => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let spans = message
            .resource_spans
            .iter()
            .flat_map(|spans| &spans.scope_spans);
        let rejected = spans
            .flat_map(|scope| &scope.spans)
            .filter(|span| span.name == "reject")
            .count();
        self.take("traces", metadata, |received| {
            received.traces = Some(message);
        })?;
        let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: i64::try_from(rejected).expect("few"),
            error_message: "named reject".to_owned(),
        });
        Ok(tonic::Response::new(ExportTraceServiceResponse {
            partial_success,
        }))
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.take("metrics", metadata, |received| {
            received.metrics = Some(message);
        })?;
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.take("logs", metadata, |received| received.logs = Some(message))?;
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}
