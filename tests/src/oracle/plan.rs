//! What is asked for: random, and known to the last byte before anything is sent.

use std::{ops::Range, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

use super::case::{Case, Server, Version};

/// Sizes of bodies, small ones more often.
pub(super) const SIZES: [usize; 14] = [
    0, 1, 11, 13, 100, 100, 777, 1_024, 4_096, 5_000, 16_384, 65_536, 100_000, 300_000,
];
/// Size of an answer that no pair of socket buffers holds: `tcp_wmem` ends at 4 MiB, and a
/// client that breaks off has made its own buffer small.
pub(super) const ENDLESS: usize = 16 << 20;
/// Size of the body of every answer whose status isn't 200: `status 404` and a line feed.
const STATUS_BODY: usize = 11;
/// Requests in a pipeline, at most. All their answers together are no longer than what is captured
/// of one read, for heads of up to 240 bytes: the fault tests have longer pipelines.
const PIPELINED: usize = 4;
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

/// Makes plans for one connection after another.
#[derive(Debug)]
pub(super) struct Planner {
    case: Case,
    random: SmallRng,
    numbers: Range<u64>,
    alone: bool,
}

impl Planner {
    /// The exchanges of these numbers, with everything that may happen.
    pub(super) fn random(case: Case, numbers: Range<u64>) -> Self {
        Self {
            case,
            random: SmallRng::seed_from_u64(numbers.start),
            numbers,
            alone: false,
        }
    }

    /// The exchanges of these numbers, one after the other on one connection, each in one go.
    pub(super) fn alone(case: Case, numbers: Range<u64>) -> Self {
        Self {
            alone: true,
            ..Self::random(case, numbers)
        }
    }

    /// Whether one thing is done after the other.
    pub(super) const fn is_alone(&self) -> bool {
        self.alone
    }

    /// What comes next on a connection: one exchange, or several that are pipelined. Empty at the
    /// end.
    pub(super) fn next(&mut self) -> Vec<Plan> {
        let Some(number) = self.numbers.next() else {
            return Vec::new();
        };
        if self.alone {
            return vec![self.whole(number)];
        }
        let pipelined = self.case.version == Version::Http1 && self.random.random_bool(0.03);
        if !pipelined {
            return vec![self.plan(number)];
        }
        let more = self.random.random_range(1..PIPELINED);
        let mut plans = vec![self.brief(number)];
        for _ in 0..more {
            if let Some(number) = self.numbers.next() {
                plans.push(self.brief(number));
            }
        }
        plans
    }

    /// A request whose answer is short: see [`PIPELINED`].
    fn brief(&mut self, number: u64) -> Plan {
        let mut plan = self.bodiless(number);
        plan.answer = Payload {
            size: STATUS_BODY,
            framing: Framing::Length,
        };
        plan
    }

    /// A request in one write, for an answer that is read at once.
    fn whole(&mut self, number: u64) -> Plan {
        let mut plan = self.bodiless(number);
        plan.method = self.one_of(&["GET", "GET", "GET", "GET", "HEAD", "POST", "POST", "PUT"]);
        if matches!(plan.method, "POST" | "PUT") {
            plan.request = Some(self.payload());
        }
        plan
    }

    fn plan(&mut self, number: u64) -> Plan {
        let mut plan = self.whole(number);
        if plan.request.is_some() {
            plan.expect = self.case.version == Version::Http1
                && plan.request_size() > 0
                && self.random.random_bool(0.03);
        }
        if self.random.random_bool(0.2) {
            plan.pieces = self.random.random_range(2..6);
            plan.pause = Duration::from_micros(self.random.random_range(0..500));
        }
        plan.slow = self.random.random_bool(0.03);
        plan.last = self.random.random_bool(0.02);
        if self.random.random_bool(0.005) {
            self.break_off(&mut plan);
        }
        plan
    }

    /// A request as it may stand in a pipeline.
    fn bodiless(&mut self, number: u64) -> Plan {
        let status = self.one_of(&[200, 200, 200, 200, 200, 201, 204, 304, 404, 500, 503]);
        let answer = if status == 200 {
            self.payload()
        } else {
            Payload {
                size: STATUS_BODY,
                framing: Framing::Length,
            }
        };
        Plan {
            number,
            version: self.case.version,
            method: self.one_of(&["GET", "GET", "GET", "DELETE", "HEAD"]),
            shape: self.one_of(&[Shape::Item, Shape::Orders, Shape::Line]),
            status,
            request: None,
            answer,
            expect: false,
            pieces: 1,
            pause: Duration::ZERO,
            slow: false,
            think: Duration::from_micros(self.one_of(&[0, 0, 0, 0, 100, 1_000])),
            last: false,
            abort: None,
            alone: self.alone,
        }
    }

    fn break_off(&mut self, plan: &mut Plan) {
        let mut kinds = vec![Abort::BodyReset];
        // Node has a whole answer in one call. Encrypted, it is told as whole before any of it is
        // sent; in clear text the reset may be told before the call has ended.
        if self.case.server != Server::Node {
            kinds.push(Abort::Answer);
        }
        if self.case.version == Version::Http1 {
            kinds.extend([Abort::Head, Abort::BodyClose]);
        }
        // nginx has no answer that takes its time.
        if self.case.server != Server::Nginx {
            kinds.push(Abort::Unanswered);
        }
        let abort = self.one_of(&kinds);
        plan.abort = Some(abort);
        plan.slow = false;
        plan.pieces = 1;
        plan.status = 200;
        plan.method = "GET";
        plan.request = None;
        plan.expect = false;
        if matches!(abort, Abort::BodyReset | Abort::BodyClose) {
            plan.method = "POST";
            plan.expect = self.case.version == Version::Http1;
            plan.request = Some(Payload {
                size: 20_000,
                framing: Framing::Length,
            });
        }
        plan.answer = Payload {
            size: if abort == Abort::Answer { ENDLESS } else { 100 },
            framing: Framing::Length,
        };
    }

    fn payload(&mut self) -> Payload {
        Payload {
            size: self.one_of(&SIZES),
            framing: self.one_of(&[Framing::Length, Framing::Length, Framing::Chunked]),
        }
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.random.random_range(0..values.len())]
    }

    /// Positions at which `length` bytes are cut into `pieces`.
    pub(super) fn cuts(&mut self, length: usize, pieces: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> = (1..pieces)
            .filter(|_| length > 1)
            .map(|_| self.random.random_range(1..length))
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }

    /// For randomness elsewhere.
    pub(super) fn seed(&mut self) -> u64 {
        self.random.random()
    }

    /// A number below `limit`, or 1.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.random.random_range(1..limit.max(2))
    }
}
