//! Spans of HTTP requests, as they come over OTLP.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, span::SpanKind};

use crate::otlp::{Attributes, attributes, of_resource};

/// Which end of an exchange is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one that answers.
    Server,
    /// The one that asks.
    Client,
}

/// A span, as far as the tests compare it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// `service.name` of its resource.
    pub service: String,
    /// Its kind.
    pub side: Side,
    /// `url.path`; empty where there is none.
    pub path: String,
    /// `http.request.method`
    pub method: String,
    /// `http.request.method_original`
    pub original: Option<String>,
    /// `http.route`, of servers only.
    pub route: Option<String>,
    /// `http.response.status_code`
    pub status: Option<u16>,
    /// `error.type`
    pub error: Option<String>,
    /// `http.request.body.size`
    pub request: Option<u64>,
    /// `http.response.body.size`
    pub answer: Option<u64>,
    /// `network.protocol.version`
    pub version: String,
    /// `url.scheme`
    pub scheme: String,
    /// `server.port`
    pub port: Option<u16>,
    /// `sonde.truncated`
    pub truncated: bool,
    /// `http.server.request.queue.duration`: how long the request lay in the server's socket.
    pub queued: Option<Duration>,
    /// `tcp.rtt`
    pub rtt: Option<Duration>,
    /// `tcp.retransmits`
    pub retransmits: Option<u64>,
    /// Start, nanoseconds since 1970.
    pub start: u64,
    /// From start to end.
    pub duration: Duration,
}

/// The spans of servers and clients in one message.
pub fn seen(spans: &ResourceSpans) -> impl Iterator<Item = Seen> {
    let resource = of_resource(spans.resource.as_ref());
    let service = resource.get("service.name").cloned().unwrap_or_default();
    let spans = spans.scope_spans.iter().flat_map(|scope| &scope.spans);
    spans.filter_map(move |span| {
        let side = match span.kind() {
            SpanKind::Server => Side::Server,
            SpanKind::Client => Side::Client,
            _ => return None,
        };
        let attributes = attributes(&span.attributes);
        Some(read(service.clone(), side, span, attributes))
    })
}

fn read(service: String, side: Side, span: &Span, mut held: Attributes) -> Seen {
    let mut text = |name: &str| held.remove(name);
    let number = |value: Option<String>| value.and_then(|digits| digits.parse().ok());
    let short = |value: Option<String>| value.and_then(|digits| digits.parse().ok());
    let seconds = |value: Option<String>| Some(Duration::from_secs_f64(value?.parse().ok()?));
    Seen {
        service,
        side,
        path: text("url.path").unwrap_or_default(),
        method: text("http.request.method").unwrap_or_default(),
        original: text("http.request.method_original"),
        route: text("http.route"),
        status: short(text("http.response.status_code")),
        error: text("error.type"),
        request: number(text("http.request.body.size")),
        answer: number(text("http.response.body.size")),
        version: text("network.protocol.version").unwrap_or_default(),
        scheme: text("url.scheme").unwrap_or_default(),
        port: short(text("server.port")),
        truncated: text("sonde.truncated").is_some(),
        queued: seconds(text("http.server.request.queue.duration")),
        rtt: seconds(text("tcp.rtt")),
        retransmits: number(text("tcp.retransmits")),
        start: span.start_time_unix_nano,
        duration: Duration::from_nanos(
            span.end_time_unix_nano
                .saturating_sub(span.start_time_unix_nano),
        ),
    }
}
