//! OTLP: metrics from snapshots, spans and log records, as `opentelemetry-proto` messages over
//! gRPC or HTTP.
//!
//! Each signal has a queue bounded in bytes, a task that sends, and a retry state of its own, so
//! a receiver that hangs for one signal holds up no other, and never the pipeline: handing over
//! never waits. Messages are split by size before they are sent. What is given up is counted by
//! reason, see [`stats`]:
//! captured = exported + dropped + waiting.
//!
//! While a receiver is away, each queue keeps the newest: the oldest entries make room. Metrics
//! are built, once per interval, from the newest snapshot; what was built waits like the rest.
//!
//! The agent's own OTLP traffic is not observed: the kernel side leaves out its process.

pub mod config;
pub mod convert;
mod message;
mod queue;
mod reader;
mod retry;
mod sender;
mod signal;
pub mod stats;
pub(crate) mod transport;

use std::{sync::Arc, time::Duration};

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tracing::warn;

pub use self::{
    config::{ConfigError, OtlpConfig},
    signal::SignalKind,
    stats::{OtlpStats, Reason, SignalStats},
    transport::TransportError,
};
use self::{
    convert::metric::MetricBuilder,
    message::{Assembled, MAX_MESSAGE_BYTES, Message, assemble},
    queue::Queue,
    reader::Reader,
    retry::RetryPolicy,
    sender::{Batch, Sender, Stop},
    transport::{Client, Transport},
};
use crate::{
    metric::{Collector, Snapshot},
    signal::{LogRecord, Signal, Span},
};

/// The exporter can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A certificate, a key, the client.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// A running exporter. Dropping it ends its tasks at once; [`Otlp::shutdown`] lets them finish.
#[derive(Debug)]
pub struct Otlp {
    traces: Option<Arc<Queue<Arc<Span>>>>,
    logs: Option<Arc<Queue<Arc<LogRecord>>>>,
    metrics: Option<watch::Sender<Option<Arc<Snapshot>>>>,
    stats: Arc<OtlpStats>,
    stop: watch::Sender<Option<Instant>>,
    tasks: JoinSet<()>,
}

impl Otlp {
    /// Starts the tasks of the signals that have an endpoint, on `runtime`. Connects with the
    /// first message, so a receiver may come later than the agent.
    ///
    /// # Errors
    /// Settings that can't be used, certificate files that can't be read.
    pub fn start(config: &OtlpConfig, runtime: &Handle) -> Result<Self, StartError> {
        let _in_runtime = runtime.enter();
        let client = |signal| -> Result<Option<Client>, StartError> {
            let Some(target) = config.target(signal)? else {
                return Ok(None);
            };
            if target.looks_like_grpc() {
                let endpoint = target.endpoint.to_string();
                warn!(%signal, endpoint, "OTLP over HTTP to port 4317, which usually takes gRPC; \
                    OTEL_EXPORTER_OTLP_PROTOCOL=grpc chooses gRPC");
            }
            Ok(Some(Client::new(&target)?))
        };
        let traces = client(SignalKind::Traces)?;
        let metrics = client(SignalKind::Metrics)?;
        let logs = client(SignalKind::Logs)?;
        Ok(Self::with_transports(
            config,
            RetryPolicy::DEFAULT,
            traces,
            metrics,
            logs,
        ))
    }

    /// Starts a task for each transport. To be called within a tokio runtime.
    fn with_transports<T: Transport>(
        config: &OtlpConfig,
        policy: RetryPolicy,
        traces: Option<T>,
        metrics: Option<T>,
        logs: Option<T>,
    ) -> Self {
        let mut tasks = Tasks {
            config,
            policy,
            stats: Arc::default(),
            stop: watch::Sender::new(None),
            running: JoinSet::new(),
        };
        let traces = traces.map(|transport| tasks.send(SignalKind::Traces, transport));
        let logs = logs.map(|transport| tasks.send(SignalKind::Logs, transport));
        let metrics = metrics.map(|transport| tasks.read_and_send(transport));
        Self {
            traces,
            logs,
            metrics,
            stats: tasks.stats,
            stop: tasks.stop,
            tasks: tasks.running,
        }
    }

    /// Hands over the newest snapshot. Never waits.
    pub fn metrics(&self, snapshot: Arc<Snapshot>) {
        if let Some(metrics) = &self.metrics {
            metrics.send_replace(Some(snapshot));
        }
    }

    /// Hands over a span or a log record. Never waits.
    pub fn signal(&self, signal: Signal) {
        match signal {
            Signal::Span(span) => {
                if let Some(queue) = &self.traces {
                    let bytes = span_bytes(&span);
                    queue.push(span, bytes, 1);
                }
            }
            Signal::Log(record) => {
                if let Some(queue) = &self.logs {
                    let bytes = log_bytes(&record);
                    queue.push(record, bytes, 1);
                }
            }
        }
    }

    /// Whether `signal` is sent anywhere.
    #[must_use]
    pub fn is_on(&self, signal: SignalKind) -> bool {
        match signal {
            SignalKind::Traces => self.traces.is_some(),
            SignalKind::Metrics => self.metrics.is_some(),
            SignalKind::Logs => self.logs.is_some(),
        }
    }

    /// What happened to everything so far; outlives the exporter.
    #[must_use]
    pub fn stats(&self) -> &Arc<OtlpStats> {
        &self.stats
    }

    /// Writes the numbers of the signals that are on into a snapshot.
    pub fn collect(&self, into: &mut Collector) {
        let on = SignalKind::ALL
            .into_iter()
            .filter(|signal| self.is_on(*signal));
        self.stats.collect(on, into);
    }

    /// Sends what waits, the newest snapshot included, as far as that goes until `deadline`. The
    /// rest is counted as dropped.
    pub async fn shutdown(self, deadline: std::time::Instant) {
        let deadline = Instant::from_std(deadline);
        self.stop.send_replace(Some(deadline));
        if let Some(queue) = &self.traces {
            queue.close();
        }
        if let Some(queue) = &self.logs {
            queue.close();
        }
        // The tasks end at the deadline by themselves; the grace is for what they count then.
        let grace = deadline + Duration::from_millis(100);
        let mut tasks = self.tasks;
        while let Ok(Some(_)) = timeout_at(grace, tasks.join_next()).await {}
    }
}

/// Starts the tasks of an exporter.
struct Tasks<'a> {
    config: &'a OtlpConfig,
    policy: RetryPolicy,
    stats: Arc<OtlpStats>,
    stop: watch::Sender<Option<Instant>>,
    running: JoinSet<()>,
}

impl Tasks<'_> {
    /// The task that sends what is pushed into the queue it returns.
    fn send<B: Batch + Sync>(
        &mut self,
        signal: SignalKind,
        transport: impl Transport,
    ) -> Arc<Queue<B>> {
        let stats = self.stats.signal(signal);
        let queue = Arc::new(Queue::new(self.config.queue_bytes(), Arc::clone(stats)));
        let sender = Sender {
            signal,
            queue: Arc::clone(&queue),
            transport,
            policy: self.policy,
            stats: Arc::clone(stats),
            gathering: self.config.gathering(signal),
            stop: self.stop.subscribe(),
            state: sender::State::default(),
        };
        self.running.spawn(sender.run());
        queue
    }

    /// The tasks that build metrics from the snapshots sent to the channel it returns, and send
    /// them.
    fn read_and_send(&mut self, transport: impl Transport) -> watch::Sender<Option<Arc<Snapshot>>> {
        let queue = self.send(SignalKind::Metrics, transport);
        let snapshots = watch::Sender::new(None);
        let reader = Reader {
            snapshots: snapshots.subscribe(),
            builder: MetricBuilder::new(
                self.config.metrics_temporality.unwrap_or_default(),
                self.config
                    .metrics_histogram_aggregation
                    .unwrap_or_default(),
            ),
            queue,
            stats: Arc::clone(self.stats.signal(SignalKind::Metrics)),
            interval: self.config.metrics_interval(),
            stop: self.stop.subscribe(),
        };
        self.running.spawn(reader.run());
        snapshots
    }
}

impl Batch for Arc<Span> {
    fn assemble(batch: Vec<Self>) -> Assembled {
        assemble::<ExportTraceServiceRequest>(convert::spans(&batch), MAX_MESSAGE_BYTES)
    }
}

impl Batch for Arc<LogRecord> {
    fn assemble(batch: Vec<Self>) -> Assembled {
        assemble::<ExportLogsServiceRequest>(convert::logs(&batch), MAX_MESSAGE_BYTES)
    }
}

impl Batch for Message {
    fn assemble(messages: Vec<Self>) -> Assembled {
        Assembled {
            messages,
            oversized: 0,
        }
    }
}

/// Memory that a waiting span holds, about. Its resource is shared with many.
fn span_bytes(span: &Span) -> usize {
    size_of::<Span>() + span.name.len() + convert::attributes_bytes(&span.attributes)
}

/// Memory that a waiting log record holds, about.
fn log_bytes(record: &LogRecord) -> usize {
    size_of::<LogRecord>() + record.body.len() + convert::attributes_bytes(&record.attributes)
}

#[cfg(test)]
pub(crate) mod tests;
