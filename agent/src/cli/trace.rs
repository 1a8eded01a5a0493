//! `sonde trace`: one line per request, coloured for people or JSON for programs.
//!
//! Keys of a JSON line, in this order, absent where there is no value:
//!
//! | key | value |
//! |---|---|
//! | `time` | start of the request, RFC 3339 in UTC with microseconds |
//! | `service` | `service.name` |
//! | `role` | `server` or `client` |
//! | `method` | `http.request.method` |
//! | `route` | `http.route` |
//! | `path` | `url.path` |
//! | `status` | `http.response.status_code`, a number |
//! | `error` | `error.type` |
//! | `duration` | seconds, a number |
//! | `queued` | `http.server.request.queue.duration`, seconds, a number |
//! | `rtt` | `tcp.rtt`, seconds, a number |
//! | `retransmits` | `tcp.retransmits`, a number |
//! | `peer` | `ADDRESS:PORT` of the other end |
//! | `trace_id`, `span_id`, `parent_span_id` | lower-case hexadecimal |

use std::{
    fmt::Write as _,
    io::{self, Write},
    ops::ControlFlow,
};

use serde::Serialize;

use super::{
    args::TraceFormat,
    filter::{Filter, duration, status, text},
    style::{Style, Tone, printable},
};
use crate::{
    l7::exchange::Role,
    metric::{AttributeValue, Attributes},
    signal::Span,
};

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns.
    Text(Style),
    /// One JSON object per line.
    Json,
}

impl Format {
    /// What `--format` asks for, where standard output is a terminal or not.
    #[must_use]
    pub const fn choose(asked: TraceFormat, is_terminal: bool, style: Style) -> Self {
        match (asked, is_terminal) {
            (TraceFormat::Text, _) | (TraceFormat::Auto, true) => Self::Text(style),
            (TraceFormat::Json, _) | (TraceFormat::Auto, false) => Self::Json,
        }
    }
}

/// Writes the spans that pass a filter.
#[derive(Debug)]
pub struct Printer<W> {
    writer: W,
    format: Format,
    filter: Filter,
}

impl<W: Write> Printer<W> {
    /// One that writes to `writer`, flushing after each line.
    pub fn new(writer: W, format: Format, filter: Filter) -> Self {
        Self {
            writer,
            format,
            filter,
        }
    }

    /// Writes `span` when the filter lets it through. `Break` says that nobody reads any more
    /// (the pipe is closed), which is a good end.
    pub fn print(&mut self, span: &Span) -> io::Result<ControlFlow<()>> {
        if !self.filter.matches(span) {
            return Ok(ControlFlow::Continue(()));
        }
        let mut line = match self.format {
            Format::Text(style) => text_line(span, style),
            Format::Json => serde_json::to_string(&Line::from(span))?,
        };
        line.push('\n');
        let written = self.writer.write_all(line.as_bytes());
        match written.and_then(|()| self.writer.flush()) {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            Err(error) => Err(error),
        }
    }
}

/// A request as a JSON line tells it.
#[derive(Serialize)]
struct Line<'span> {
    time: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    service: &'span str,
    role: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    method: &'span str,
    #[serde(skip_serializing_if = "str::is_empty")]
    route: &'span str,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'span str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'span str,
    duration: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    queued: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmits: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
}

impl<'span> From<&'span Span> for Line<'span> {
    fn from(span: &'span Span) -> Self {
        Self {
            time: humantime::format_rfc3339_micros(span.start).to_string(),
            service: text(&span.resource.attributes, "service.name"),
            role: role(span.role),
            method: text(&span.attributes, "http.request.method"),
            route: text(&span.attributes, "http.route"),
            path: text(&span.attributes, "url.path"),
            status: status(span),
            error: text(&span.attributes, "error.type"),
            duration: duration(span).as_secs_f64(),
            queued: seconds(&span.attributes, "http.server.request.queue.duration"),
            rtt: seconds(&span.attributes, "tcp.rtt"),
            retransmits: number(&span.attributes, "tcp.retransmits"),
            peer: peer(span),
            trace_id: hexadecimal(&span.context.trace_id),
            span_id: hexadecimal(&span.context.span_id),
            parent_span_id: span.parent.map(|parent| hexadecimal(&parent.span_id)),
        }
    }
}

fn seconds(attributes: &Attributes, name: &str) -> Option<f64> {
    match attributes.get(name) {
        Some(AttributeValue::Duration(time)) => Some(time.as_secs_f64()),
        _ => None,
    }
}

fn number(attributes: &Attributes, name: &str) -> Option<i64> {
    match attributes.get(name) {
        Some(AttributeValue::Integer(number)) => Some(*number),
        _ => None,
    }
}

fn text_line(span: &Span, style: Style) -> String {
    let line = Line::from(span);
    // "2026-01-02T03:04:05.678901Z": a terminal needs the time of day to the millisecond only.
    let time = line.time.get(11..23).unwrap_or(&line.time);
    let target = if line.path.is_empty() {
        line.route
    } else {
        line.path
    };
    let (end, tone) = ending(&line);
    let columns = [
        style.paint(Tone::Dim, time).into_owned(),
        style.pad(Tone::Accent, &printable(line.service), 16),
        style.pad(Tone::Dim, line.role, 6),
        style.pad(tone, &printable(&end), 3),
        format!("{:>9}", short_duration(line.duration)),
        style.pad(Tone::Bold, &printable(line.method), 6),
        printable(target).into_owned(),
        line.peer
            .map(|peer| arrow(span.role, &printable(&peer), style))
            .unwrap_or_default(),
    ];
    columns.join(" ").trim_end().to_owned()
}

fn arrow(role: Role, peer: &str, style: Style) -> String {
    let direction = match role {
        Role::Server => "from",
        Role::Client => "to",
    };
    style
        .paint(Tone::Dim, &format!("{direction} {peer}"))
        .into_owned()
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Server => "server",
        Role::Client => "client",
    }
}

/// The status, the error or both: an answer may have begun well and been cut off
/// (`200 connection_reset`).
fn ending(line: &Line<'_>) -> (String, Tone) {
    let failure = line.error;
    match line.status {
        None if failure.is_empty() => ("-".to_owned(), Tone::Bad),
        None => (failure.to_owned(), Tone::Bad),
        Some(code) if failure.is_empty() || failure == code.to_string() => {
            (code.to_string(), status_tone(code))
        }
        Some(code) => (format!("{code} {failure}"), Tone::Bad),
    }
}

const fn status_tone(code: u16) -> Tone {
    match code {
        100..=299 => Tone::Good,
        300..=399 => Tone::Accent,
        400..=499 => Tone::Warning,
        _ => Tone::Bad,
    }
}

/// Seconds with three or four digits and a fitting unit: `950µs`, `12.3ms`, `1.50s`.
fn short_duration(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.0}µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.1}ms", seconds * 1e3)
    } else {
        format!("{seconds:.2}s")
    }
}

/// The other end: the client of a server span, the server of a client span; the socket's peer
/// where the conventions' names are missing.
fn peer(span: &Span) -> Option<String> {
    let (address, port) = match span.role {
        Role::Server => ("client.address", "client.port"),
        Role::Client => ("server.address", "server.port"),
    };
    end(&span.attributes, address, port).or_else(|| {
        end(
            &span.attributes,
            "network.peer.address",
            "network.peer.port",
        )
    })
}

fn end(attributes: &Attributes, address: &str, port: &str) -> Option<String> {
    let address = Some(text(attributes, address)).filter(|address| !address.is_empty())?;
    Some(match attributes.get(port) {
        Some(AttributeValue::Integer(port)) if address.contains(':') => {
            format!("[{address}]:{port}")
        }
        Some(AttributeValue::Integer(port)) => format!("{address}:{port}"),
        _ => address.to_owned(),
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
