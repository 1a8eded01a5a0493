//! What the agent tells: spans over OTLP, taken down as they come.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, span::SpanKind};

use super::{plan::Plan, sent::Side};
use crate::otlp::{Attributes, Receiver, attributes, of_resource};

/// How often spans are taken down.
const OFTEN: Duration = Duration::from_millis(100);
/// Nothing more comes when nothing has come for so long.
const QUIET: Duration = Duration::from_secs(2);
/// Time in which everything must have come.
const PATIENCE: Duration = Duration::from_mins(1);

/// A span, as far as the oracle compares it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) side: Side,
    /// The number in its path.
    pub(super) number: Option<u64>,
    pub(super) path: String,
    pub(super) method: String,
    /// Of servers only.
    pub(super) route: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
    pub(super) request: Option<u64>,
    pub(super) answer: Option<u64>,
    pub(super) version: String,
    pub(super) scheme: String,
    pub(super) duration: Duration,
}

/// Whose spans are wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The server's `service.name`.
    pub(super) service: String,
    /// Its port, by which its clients' spans are known.
    pub(super) port: String,
}

/// Takes down spans until it is asked for them.
#[derive(Debug)]
pub(super) struct Listener {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Seen>>,
}

impl Listener {
    pub(super) fn start(receiver: Arc<Receiver>, wanted: Wanted) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&over);
        let thread = thread::spawn(move || listen(&receiver, &wanted, &asked));
        Self { over, thread }
    }

    /// All that has come, once nothing more does.
    pub(super) fn finish(self) -> Result<Vec<Seen>> {
        self.over.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the thread that listens has failed"))
    }
}

fn listen(receiver: &Receiver, wanted: &Wanted, over: &AtomicBool) -> Vec<Seen> {
    let (mut seen, mut last, mut asked) = (Vec::new(), Instant::now(), None);
    loop {
        let come = {
            let mut received = receiver.received();
            received.logs.clear();
            received.metrics.clear();
            mem::take(&mut received.traces)
        };
        if !come.is_empty() {
            last = Instant::now();
        }
        for spans in come {
            take(&spans, wanted, &mut seen);
        }
        if over.load(Ordering::Relaxed) {
            let since: Instant = *asked.get_or_insert_with(Instant::now);
            let quiet = last.max(since).elapsed() > QUIET;
            if quiet || since.elapsed() > PATIENCE {
                return seen;
            }
        }
        thread::sleep(OFTEN);
    }
}

fn take(spans: &ResourceSpans, wanted: &Wanted, seen: &mut Vec<Seen>) {
    let resource = of_resource(spans.resource.as_ref());
    let of_server = resource.get("service.name") == Some(&wanted.service);
    for span in spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
        let held = attributes(&span.attributes);
        let side = match span.kind() {
            SpanKind::Server if of_server => Side::Server,
            SpanKind::Client if held.get("server.port") == Some(&wanted.port) => Side::Client,
            _ => continue,
        };
        seen.push(read(side, span, held));
    }
}

fn read(side: Side, span: &Span, mut held: Attributes) -> Seen {
    let mut text = |name: &str| held.remove(name);
    let path = text("url.path").unwrap_or_default();
    let number = |value: Option<String>| value.and_then(|digits| digits.parse().ok());
    Seen {
        side,
        number: Plan::number_in(&path),
        path,
        method: text("http.request.method").unwrap_or_default(),
        route: text("http.route"),
        status: text("http.response.status_code").and_then(|digits| digits.parse().ok()),
        error: text("error.type"),
        request: number(text("http.request.body.size")),
        answer: number(text("http.response.body.size")),
        version: text("network.protocol.version").unwrap_or_default(),
        scheme: text("url.scheme").unwrap_or_default(),
        duration: Duration::from_nanos(
            span.end_time_unix_nano
                .saturating_sub(span.start_time_unix_nano),
        ),
    }
}
