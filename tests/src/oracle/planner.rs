//! Makes plans, at random.

use std::{ops::Range, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

use super::{
    case::{Case, Server, Version},
    plan::{Abort, ENDLESS, Framing, Payload, Plan, SIZES, Shape},
};

/// Size of the body of every answer whose status isn't 200: `status 404` and a line feed.
const STATUS_BODY: usize = 11;
/// Requests in a pipeline, at most. All their answers together are no longer than what is captured
/// of one read, for heads of up to 240 bytes: the fault tests have longer pipelines.
const PIPELINED: usize = 4;

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
