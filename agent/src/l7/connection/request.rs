//! The direction of requests.

use sonde_common::event::http::Direction;

use super::{Arrival, Connection, Context, opposite};
use crate::l7::{
    body::{Body, Progress},
    counters::{Dropped, GivenUp, Rejection},
    exchange::{Exchange, Method},
    headers::Headers,
    http1::{self, Framing, Request},
    stream::{Lost, Origin, Reading, Refusal, State},
    transport::Transport,
};

impl Connection {
    /// Reads bytes of the request direction; how many of them.
    pub(super) fn read_requests(
        &mut self,
        arrival: Arrival,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> usize {
        let direction = arrival.direction;
        let may_resume = self.may_resume();
        let stream = self.stream(direction);
        let begun = stream.has_partial();
        match &mut stream.state {
            State::Ended => {
                Self::pass_over_request(arrival.origin, bytes, cx);
                bytes.len()
            }
            State::Lost(_) => self.read_lost_request(arrival, bytes, cx),
            State::Offered(_) => {
                self.resolve_offer(direction, bytes, cx);
                self.read_requests(arrival, bytes, cx)
            }
            // Whoever reads and writes in two threads may have read the first bytes of what comes
            // next when the answer before it is told: the whole head decides.
            State::Seeking
                if !(begun
                    || arrival.origin.fresh
                        && (may_resume || http1::may_become_request(bytes))) =>
            {
                Self::pass_over_request(arrival.origin, bytes, cx);
                bytes.len()
            }
            State::Seeking | State::Boundary => self.read_request_head(arrival, bytes, cx),
            State::Body(body) => match body.read(bytes, &mut stream.payload) {
                Progress::More => bytes.len(),
                Progress::Done(used) => {
                    self.request_ended(direction, cx);
                    usize::try_from(used).unwrap_or(bytes.len())
                }
                Progress::Lost => {
                    self.lose_request_body(direction, bytes, cx);
                    bytes.len()
                }
            },
        }
    }

    /// Reads bytes after a body's framing was lost, on a connection that was seen to pipeline.
    fn read_lost_request(&mut self, arrival: Arrival, bytes: &[u8], cx: &mut Context<'_>) -> usize {
        let (direction, time) = (arrival.direction, arrival.origin.time);
        let over = self.may_follow_lost_body();
        let next = arrival.origin.fresh && self.may_be_next(direction, bytes);
        let stream = self.stream(direction);
        if next && over {
            stream.state = State::Boundary;
            return self.read_request_head(arrival, bytes, cx);
        }
        if next && stream.begins_head(bytes, http1::may_become_request) {
            // Kept until the answer before it has been told.
            return self.read_request_head(arrival, bytes, cx);
        }
        stream.drop_head(cx.buffers);
        let State::Lost(lost) = &mut stream.state else {
            return bytes.len();
        };
        if !(arrival.origin.fresh && http1::begins_request(bytes)) {
            lost.note(bytes, time);
            return bytes.len();
        }
        Self::pass_over_request(arrival.origin, bytes, cx);
        self.lose_requests(direction, cx);
        bytes.len()
    }

    /// Whether bytes behind a body whose framing was lost follow its last chunk, and nothing but the
    /// front of a head.
    fn may_be_next(&mut self, direction: Direction, bytes: &[u8]) -> bool {
        let stream = self.stream(direction);
        let may_begin =
            |bytes: &[u8]| http1::begins_request(bytes) || http1::may_become_request(bytes);
        match &stream.state {
            State::Lost(lost) if !stream.has_partial() => lost.has_last_chunk(),
            _ => stream.begins_head(bytes, may_begin),
        }
    }

    /// Whether the body that was offered comes, or was left out after a final answer.
    fn resolve_offer(&mut self, direction: Direction, bytes: &[u8], cx: &mut Context<'_>) {
        let newest = self.queue.back(cx.pool);
        let answered = newest.is_none_or(|exchange| exchange.status.is_some());
        if answered && http1::begins_request(bytes) {
            self.request_ended(direction, cx);
        } else {
            self.stream(direction).accept();
        }
    }

    fn read_request_head(&mut self, arrival: Arrival, bytes: &[u8], cx: &mut Context<'_>) -> usize {
        let stream = self.stream(arrival.direction);
        // The end of a body may look like the front of a method.
        let anew = arrival.origin.fresh && http1::begins_request(bytes);
        if anew && http1::may_become_request(stream.partial()) {
            stream.drop_head(cx.buffers);
        }
        let begun = stream.has_partial();
        if !begun {
            // RFC 9112 section 2.2: empty lines before a request line.
            let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
            match blank.count() {
                0 => {}
                blank => return blank,
            }
        }
        match stream.read_head::<Request>(bytes, arrival.origin, cx.buffers, cx.reader) {
            Reading::More => bytes.len(),
            // What was kept of the bytes before was no part of it.
            Reading::Whole { head, .. }
                if begun
                    && head.method == Method::Other
                    && arrival.origin.fresh
                    && self.stream(arrival.direction).is_seeking() =>
            {
                self.read_request_head(arrival, bytes, cx)
            }
            Reading::Whole { head, origin, used } => {
                self.begin_request(head, origin, arrival.direction, cx);
                used
            }
            Reading::Cut { head, origin } => {
                self.begin_cut_request(head, origin, arrival.direction, cx);
                bytes.len()
            }
            Reading::Invalid(refusal) => self.refuse_request(refusal, arrival, bytes, cx),
        }
    }

    fn refuse_request(
        &mut self,
        refusal: Refusal,
        arrival: Arrival,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> usize {
        if refusal.response && !self.accepted {
            // Answers come this way; the request of this one was before our time.
            self.answers = Some(arrival.direction);
            self.suspect |= !refusal.origin.first;
            if self.awaits_request() {
                self.stream(arrival.direction).partial_waited();
            }
            return 0;
        }
        self.stream(arrival.direction).drop_head(cx.buffers);
        if refusal.continued && self.stream(arrival.direction).is_seeking() && arrival.origin.fresh
        {
            return self.read_request_head(arrival, bytes, cx);
        }
        self.reject_request(refusal.reason, arrival.direction, cx);
        bytes.len()
    }

    /// Counts bytes that are no request; while seeking, once for the connection.
    fn reject_request(&mut self, reason: Rejection, direction: Direction, cx: &mut Context<'_>) {
        let seeking = self.stream(direction).is_seeking();
        if !(seeking && self.rejected) {
            cx.counters.reject(reason);
        }
        self.rejected = true;
        if !seeking {
            self.lose_requests(direction, cx);
        }
        if !self.accepted && reason == Rejection::Tls {
            self.give_up(GivenUp::OtherProtocol, Dropped::Uncertain, cx);
        }
    }

    /// A head of which only the front was captured or kept.
    pub(super) fn begin_cut_request(
        &mut self,
        head: Option<Request>,
        origin: Origin,
        direction: Direction,
        cx: &mut Context<'_>,
    ) {
        match head {
            Some(head) => self.begin_request(head, origin, direction, cx),
            None => self.reject_request(Rejection::Incomplete, direction, cx),
        }
    }

    fn begin_request(
        &mut self,
        request: Request,
        origin: Origin,
        direction: Direction,
        cx: &mut Context<'_>,
    ) {
        let seeking = self.stream(direction).is_seeking();
        // An unknown method may be a known one behind a stray byte.
        let stray = request.method == Method::Other && !origin.first;
        if seeking && (stray || !self.may_resume()) {
            cx.counters.pass_over_request(Dropped::Unsynchronised);
            return;
        }
        self.settle(cx);
        if self.opaque {
            cx.counters.pass_over_request(Dropped::Unsynchronised);
            return;
        }
        cx.counters.requests += 1;
        cx.counters.truncated += u64::from(request.truncated);
        let guessed = self.answers.replace(opposite(direction)).is_some();
        if !std::mem::replace(&mut self.accepted, true) {
            self.begin_pairing(guessed, cx);
        }
        if !self.admit(request.method, origin, direction, cx) {
            return;
        }
        let (framing, method, offers) = (request.framing, request.method, request.offers);
        self.push(request, origin, cx);
        self.frame_request(framing, method, direction, cx);
        self.stream(direction).offer(offers);
    }

    fn push(&mut self, request: Request, origin: Origin, cx: &mut Context<'_>) {
        let certain = self.queue.is_empty() && !self.suspect;
        if let Some(responses) = self.responses()
            && responses.is_seeking()
            && certain
        {
            responses.state = State::Boundary;
        }
        let exchange = Exchange {
            connection: self.id,
            tuple: self.tuple,
            role: self.role(),
            tgid: origin.tgid,
            start: origin.time,
            queued: origin.queued,
            transport: Transport::begun(origin.tcp),
            response_start: None,
            end: origin.time,
            method: request.method,
            method_original: request.method_original,
            path: request.path,
            host: request.host,
            user_agent: request.user_agent,
            version: request.version,
            scheme: self.scheme,
            status: None,
            failure: None,
            request_body: None,
            response_body: None,
            parent: request.parent,
            request_headers: request.headers,
            response_headers: Headers::default(),
            truncated: request.truncated,
            rpc: None,
        };
        self.queue.push(cx.pool, exchange);
    }

    fn frame_request(
        &mut self,
        framing: Framing,
        method: Method,
        direction: Direction,
        cx: &mut Context<'_>,
    ) {
        let stream = self.stream(direction);
        stream.payload = 0;
        match framing {
            // What follows may be a tunnel's bytes; the answer tells.
            _ if method == Method::Connect => stream.state = State::Seeking,
            Framing::Length(0) => self.request_ended(direction, cx),
            Framing::Length(length) => stream.begin(Body::Length(length)),
            Framing::Chunked => stream.begin(Body::CHUNKED),
            Framing::Unknown | Framing::UntilClose | Framing::Tunnel => {
                cx.counters.framing_lost += 1;
                self.lose_requests(direction, cx);
            }
        }
    }

    /// The newest request's last byte was seen.
    pub(super) fn request_ended(&mut self, direction: Direction, cx: &mut Context<'_>) {
        let stream = self.stream(direction);
        stream.state = State::Boundary;
        let payload = stream.payload;
        // Its answer may have been complete before: then the queue is empty.
        if let Some(exchange) = self.queue.back(cx.pool) {
            exchange.request_body = Some(payload);
        }
    }

    /// The framing of the newest request's body stood in what was missed; `rest` is what was seen
    /// after that. On a connection that was seen to pipeline, only a last chunk tells that no other
    /// request was in what was missed.
    pub(super) fn lose_request_body(
        &mut self,
        direction: Direction,
        rest: &[u8],
        cx: &mut Context<'_>,
    ) {
        cx.counters.framing_lost += 1;
        if self.pipelined {
            let mut lost = Lost::new(0);
            lost.note(rest, 0);
            self.stream(direction).state = State::Lost(lost);
        } else {
            self.lose_requests(direction, cx);
        }
    }

    /// Where requests begin is not known any more. Those in the queue keep their answers.
    pub(super) fn lose_requests(&mut self, direction: Direction, cx: &mut Context<'_>) {
        let pipelined = self.pipelined;
        let stream = self.stream(direction);
        stream.drop_head(cx.buffers);
        stream.state = if pipelined {
            // No later request can be told to be the next one.
            cx.counters.give_up(GivenUp::PipelineLost);
            State::Ended
        } else {
            State::Seeking
        };
    }
}
