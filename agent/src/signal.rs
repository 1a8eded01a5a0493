//! Spans and log records: the signals that are told one by one rather than read from a snapshot.

use std::{sync::Arc, time::SystemTime};

use crate::{
    l7::exchange::{Role, TraceParent},
    metric::{AttributeValue, Attributes, Resource},
};

/// Identity of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanContext {
    /// W3C trace id; the request's own when it carried one.
    pub trace_id: [u8; 16],
    /// W3C span id, fresh.
    pub span_id: [u8; 8],
    /// Trace flags of the request, else 1 ("sampled").
    pub flags: u8,
}

/// A finished server or client span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Whose.
    pub resource: Arc<Resource>,
    /// Its ids.
    pub context: SpanContext,
    /// The remote parent that the request named.
    pub parent: Option<TraceParent>,
    /// `{method} {route}`.
    pub name: Arc<str>,
    /// SERVER or CLIENT.
    pub role: Role,
    /// First byte of the request.
    pub start: SystemTime,
    /// Last byte of the answer; never before `start`.
    pub end: SystemTime,
    /// Attributes of the HTTP conventions.
    pub attributes: Attributes,
    /// Whether the span's status is Error.
    pub error: bool,
}

/// Severity of a [`LogRecord`], the numbers of the OpenTelemetry log data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// 9
    Info = 9,
    /// 13
    Warn = 13,
    /// 17
    Error = 17,
}

/// Something that happened once and that people on call look for: a failed request, a crash, an
/// OOM kill, a refused connection.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// When.
    pub time: SystemTime,
    /// Whose.
    pub resource: Arc<Resource>,
    /// How bad.
    pub severity: Severity,
    /// What kind: `http.request.failed`, `process.crash`, `process.oom_kill`, `tcp.connect.failed`.
    pub event_name: &'static str,
    /// One sentence.
    pub body: String,
    /// Details in the conventions' names.
    pub attributes: Attributes,
    /// The span that it belongs to.
    pub span: Option<SpanContext>,
}

impl LogRecord {
    /// The same with one attribute more.
    #[must_use]
    pub fn with(self, name: &'static str, value: impl Into<AttributeValue>) -> Self {
        let attributes = self.attributes.iter().cloned();
        Self {
            attributes: attributes.chain([(name, value.into())]).collect(),
            ..self
        }
    }
}

/// A signal on its way to the exporters and `sonde trace`.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// A request's span.
    Span(Arc<Span>),
    /// A log record.
    Log(Arc<LogRecord>),
}
