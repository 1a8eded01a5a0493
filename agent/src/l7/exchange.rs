//! A request with its answer: what every protocol's codec yields and RED and spans are made of.

use std::sync::Arc;

use sonde_common::event::http::Tuple;

use super::{headers::Headers, rpc::Rpc, transport::Transport};

/// Which side of the exchange the observed process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It answered.
    Server,
    /// It asked.
    Client,
}

/// Request methods of RFC 9110 and RFC 5789; anything else is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the methods")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    /// Unknown, or a known one in another case (methods are case-sensitive).
    Other,
    /// There is one, but it couldn't be read: HTTP/2's header compression refers to what was sent
    /// before sonde came, or was missed.
    Hidden,
}

impl Method {
    /// Those of the RFCs.
    pub const KNOWN: [Self; 9] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Delete,
        Self::Connect,
        Self::Options,
        Self::Trace,
        Self::Patch,
    ];

    /// The method that these bytes of a request line name.
    #[must_use]
    pub fn parse(token: &str) -> Self {
        match token {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "CONNECT" => Self::Connect,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            "PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }

    /// The value of `http.request.method`; none when it is hidden.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        Some(match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other => "_OTHER",
            Self::Hidden => return None,
        })
    }
}

/// Why an exchange has no good end; the value of `error.type` where no status says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// The connection was reset before the answer was complete.
    ConnectionReset,
    /// The connection ended before the answer was complete.
    ConnectionClosed,
    /// No answer within the time after which requests are given up.
    Timeout,
    /// The answer's first line is no status line.
    InvalidResponse,
    /// The stream was reset before the answer was complete.
    StreamReset(ErrorCode),
}

impl Failure {
    /// The value of `error.type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionReset => "connection_reset",
            Self::ConnectionClosed => "connection_closed",
            Self::Timeout => "timeout",
            Self::InvalidResponse => "invalid_response",
            Self::StreamReset(code) => code.as_str(),
        }
    }
}

/// HTTP/2 error codes: RFC 9113 section 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the codes")]
pub enum ErrorCode {
    NoError,
    ProtocolError,
    InternalError,
    FlowControlError,
    SettingsTimeout,
    StreamClosed,
    FrameSizeError,
    RefusedStream,
    Cancel,
    CompressionError,
    ConnectError,
    EnhanceYourCalm,
    InadequateSecurity,
    Http11Required,
    /// One that the RFC doesn't know.
    Other,
}

impl ErrorCode {
    /// The code that has this number.
    #[must_use]
    pub const fn of(number: u32) -> Self {
        match number {
            0x0 => Self::NoError,
            0x1 => Self::ProtocolError,
            0x2 => Self::InternalError,
            0x3 => Self::FlowControlError,
            0x4 => Self::SettingsTimeout,
            0x5 => Self::StreamClosed,
            0x6 => Self::FrameSizeError,
            0x7 => Self::RefusedStream,
            0x8 => Self::Cancel,
            0x9 => Self::CompressionError,
            0xa => Self::ConnectError,
            0xb => Self::EnhanceYourCalm,
            0xc => Self::InadequateSecurity,
            0xd => Self::Http11Required,
            _ => Self::Other,
        }
    }

    /// The value of `error.type`: the RFC's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NO_ERROR",
            Self::ProtocolError => "PROTOCOL_ERROR",
            Self::InternalError => "INTERNAL_ERROR",
            Self::FlowControlError => "FLOW_CONTROL_ERROR",
            Self::SettingsTimeout => "SETTINGS_TIMEOUT",
            Self::StreamClosed => "STREAM_CLOSED",
            Self::FrameSizeError => "FRAME_SIZE_ERROR",
            Self::RefusedStream => "REFUSED_STREAM",
            Self::Cancel => "CANCEL",
            Self::CompressionError => "COMPRESSION_ERROR",
            Self::ConnectError => "CONNECT_ERROR",
            Self::EnhanceYourCalm => "ENHANCE_YOUR_CALM",
            Self::InadequateSecurity => "INADEQUATE_SECURITY",
            Self::Http11Required => "HTTP_1_1_REQUIRED",
            Self::Other => "_OTHER",
        }
    }
}

/// A W3C `traceparent` that the request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// Id of the whole trace.
    pub trace_id: [u8; 16],
    /// Id of the sender's span.
    pub span_id: [u8; 8],
    /// Trace flags; bit 0 is "sampled".
    pub flags: u8,
}

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The connection's number in the kernel side's records.
    pub connection: u64,
    /// Who talked to whom.
    pub tuple: Tuple,
    /// Which side the observed process is.
    pub role: Role,
    /// The process: the one that read (server) or wrote (client) the request's first bytes.
    pub tgid: u32,
    /// First byte of the request, `CLOCK_MONOTONIC` nanoseconds.
    pub start: u64,
    /// How long the request's first bytes lay in the socket before the process read them,
    /// microseconds; `None` when that isn't known, and of clients.
    pub queued: Option<u32>,
    /// What TCP knew of the connection meanwhile.
    pub transport: Transport,
    /// First byte of the final answer; `None` when none came.
    pub response_start: Option<u64>,
    /// Last byte of the answer, or when it was given up.
    pub end: u64,
    /// Request method.
    pub method: Method,
    /// The method as sent, when it is `Method::Other`.
    pub method_original: Option<Arc<str>>,
    /// Path without the query; lossy UTF-8. Empty for CONNECT, and when it is hidden as a method may
    /// be.
    pub path: Arc<str>,
    /// `Host` header, or the authority of an absolute target; `host[:port]` as sent.
    pub host: Option<Arc<str>>,
    /// `User-Agent` header.
    pub user_agent: Option<Arc<str>>,
    /// `1.0`, `1.1` or `2`.
    pub version: &'static str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Status code of the final answer; `None` when none came, or it couldn't be read.
    pub status: Option<u16>,
    /// Why there is no good end.
    pub failure: Option<Failure>,
    /// Body bytes of the request as framed on the wire; `None` when not known.
    pub request_body: Option<u64>,
    /// Body bytes of the answer; `None` when not known.
    pub response_body: Option<u64>,
    /// Trace context that came with the request.
    pub parent: Option<TraceParent>,
    /// Fields of the request's head that were asked for by name.
    pub request_headers: Headers,
    /// Fields of the final answer's head that were asked for by name.
    pub response_headers: Headers,
    /// A message head was longer than what is captured: headers may be missing.
    pub truncated: bool,
    /// What the exchange is as a remote procedure call, when it is one.
    pub rpc: Option<Rpc>,
}
