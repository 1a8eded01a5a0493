//! The direction of requests.

use sonde_common::event::http::Direction;

use super::{Arrival, Connection, Context, opposite};
use crate::l7::{
    body::Progress,
    counters::{Dropped, GivenUp, Rejection},
    exchange::{Exchange, Method},
    headers::Headers,
    http1::{self, Request},
    stream::{Origin, Reading, Refusal, State},
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

    /// Reads a head, or empty lines before one; how many bytes.
    pub(super) fn read_request_head(
        &mut self,
        arrival: Arrival,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> usize {
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
}
