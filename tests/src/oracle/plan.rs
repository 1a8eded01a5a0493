//! What is asked for: random, and known to the last byte before anything is sent.

use std::time::Duration;

use super::case::Version;

/// Sizes of bodies, small ones more often.
pub(super) const SIZES: [usize; 14] = [
    0, 1, 11, 13, 100, 100, 777, 1_024, 4_096, 5_000, 16_384, 65_536, 100_000, 300_000,
];
/// Size of an answer that no pair of socket buffers holds: `tcp_wmem` ends at 4 MiB, and a
/// client that breaks off has made its own buffer small.
pub(super) const ENDLESS: usize = 16 << 20;
/// What a client that goes away before the answer leaves the server to wait.
const DELAY: Duration = Duration::from_millis(300);

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By `Content-Length`; HTTP/2 has it as a field as well.
    Length,
    /// `Transfer-Encoding: chunked`; in HTTP/2 no length is declared.
    Chunked,
}

/// A body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Bytes without framing.
    pub size: usize,
    /// How it is delimited.
    pub framing: Framing,
}

/// What must be told of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many bytes.
    Exactly(u64),
    /// So many bytes, or nothing: the sizes of its chunks may stand where nothing is captured.
    AtMostKnown(u64),
    /// Nothing.
    Absent,
}

impl Payload {
    const fn told(self, version: Version) -> Size {
        let size = self.size as u64;
        match (self.framing, version) {
            (Framing::Chunked, Version::Http1) => Size::AtMostKnown(size),
            _ => Size::Exactly(size),
        }
    }
}

/// Paths, one for each route that the agent should learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `/items/N`
    Item,
    /// `/users/N/orders`
    Orders,
    /// `/orders/N/lines/M`
    Line,
}

/// Where a client breaks off. Of HTTP/2 it is the stream that is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// Within the request's head, by a reset.
    Head,
    /// Within the request's body, of which the server has read the head (it has said
    /// `100 Continue`), by a reset.
    BodyReset,
    /// The same, by an orderly close.
    BodyClose,
    /// After the whole request, while the server still thinks about it, by a reset.
    Unanswered,
    /// Within the answer, by a reset.
    Answer,
}

/// One exchange.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is drawn by itself, and any of them may be with any other"
)]
pub struct Plan {
    /// Part of the path, and nobody else's.
    pub number: u64,
    /// In which version of HTTP.
    pub version: Version,
    /// Request method.
    pub method: &'static str,
    /// Form of the path.
    pub shape: Shape,
    /// Status that the server is asked for.
    pub status: u16,
    /// The request's body.
    pub request: Option<Payload>,
    /// The answer's body, were it a GET's.
    pub answer: Payload,
    /// The client waits for `100 Continue` before it sends the body.
    pub expect: bool,
    /// Into how many writes the request is cut, at least.
    pub pieces: usize,
    /// Between those.
    pub pause: Duration,
    /// The answer is read in small pieces with pauses.
    pub slow: bool,
    /// Before the request, on a connection that is open.
    pub think: Duration,
    /// The connection is closed after the answer.
    pub last: bool,
    /// Where the client breaks off.
    pub abort: Option<Abort>,
    /// Nothing else is asked for meanwhile.
    pub alone: bool,
}

impl Plan {
    /// As it comes back on the span.
    #[must_use]
    pub fn path(&self) -> String {
        let number = self.number;
        match self.shape {
            Shape::Item => format!("/items/{number}"),
            Shape::Orders => format!("/users/{number}/orders"),
            Shape::Line => format!("/orders/{number}/lines/{}", number % 50),
        }
    }

    /// The number in a path.
    #[must_use]
    pub fn number_in(path: &str) -> Option<u64> {
        path.split('/').nth(2)?.parse().ok()
    }

    /// The template of the path.
    #[must_use]
    pub const fn route(&self) -> &'static str {
        match self.shape {
            Shape::Item => "/items/{id}",
            Shape::Orders => "/users/{id}/orders",
            Shape::Line => "/orders/{id}/lines/{id}",
        }
    }

    /// Path and query: the query tells the server what to do.
    #[must_use]
    pub fn target(&self) -> String {
        let framing = match self.answer.framing {
            Framing::Length => "length",
            Framing::Chunked => "chunked",
        };
        let delay = match self.abort {
            Some(Abort::Unanswered) => format!("&delay={}", DELAY.as_millis()),
            _ => String::new(),
        };
        format!(
            "{}?status={}&size={}&framing={framing}{delay}",
            self.path(),
            self.status,
            self.answer.size
        )
    }

    /// Bytes of the request's body.
    #[must_use]
    pub fn request_size(&self) -> u64 {
        self.request.map_or(0, |payload| payload.size as u64)
    }

    /// What must be told of the request's body: see [`Size`].
    #[must_use]
    pub fn request_told(&self) -> Size {
        self.request
            .map_or(Size::Exactly(0), |payload| payload.told(self.version))
    }

    /// What must be told of the answer's body: see [`Size`].
    #[must_use]
    pub fn answer_told(&self) -> Size {
        match self.answer_size() {
            0 => Size::Exactly(0),
            _ => self.answer.told(self.version),
        }
    }

    /// Bytes of the body that the answer has.
    #[must_use]
    pub fn answer_size(&self) -> u64 {
        if self.method == "HEAD" || matches!(self.status, 204 | 304) {
            0
        } else {
            self.answer.size as u64
        }
    }
}
