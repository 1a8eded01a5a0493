//! What was sent, and what must be told of it.

use super::{
    case::Version,
    clock::Took,
    plan::{Abort, Plan, Size},
};
use crate::span::Side;

/// An exchange that has been made.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) version: Version,
    pub(super) path: String,
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    pub(super) status: u16,
    pub(super) request: Size,
    pub(super) answer: Size,
    pub(super) timing: Timing,
    pub(super) abort: Option<Abort>,
}

/// What an exchange's duration can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// Nothing: the server is done before the client has read, or it waited behind another in a
    /// pipeline, or was broken off.
    Apart,
    /// The spans of both ends; both may have waited for a CPU.
    Prompt(Took),
    /// As that, and nobody had to wait for a CPU.
    Alone(Took),
}

/// What must be told of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// One span, with this status, `error.type` and sizes.
    One(Told),
    /// No span: its request never was one.
    None,
}

/// What a span must tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) status: Option<u16>,
    pub(super) failure: Option<&'static str>,
    pub(super) request: Size,
    pub(super) answer: Size,
}

impl Sent {
    pub(super) fn whole(plan: &Plan, took: Took, pipelined: bool) -> Self {
        let timing = match plan {
            Plan { alone: true, .. } => Timing::Alone(took),
            Plan { slow: false, .. } if !pipelined => Timing::Prompt(took),
            _ => Timing::Apart,
        };
        Self::of(plan, timing, None)
    }

    pub(super) fn broken_off(plan: &Plan, abort: Abort) -> Self {
        Self::of(plan, Timing::Apart, Some(abort))
    }

    fn of(plan: &Plan, timing: Timing, abort: Option<Abort>) -> Self {
        Self {
            number: plan.number,
            version: plan.version,
            path: plan.path(),
            method: plan.method,
            route: plan.route(),
            status: plan.status,
            request: plan.request_told(),
            answer: plan.answer_told(),
            timing,
            abort,
        }
    }

    /// What must be told of it: see the table in the module's documentation.
    pub(super) fn expected(&self) -> Expected {
        let cut = |status, failure, request| {
            Expected::One(Told {
                status,
                failure: Some(failure),
                request,
                answer: Size::Absent,
            })
        };
        let reset = match self.version {
            Version::Http1 => "connection_reset",
            Version::Http2 => "CANCEL",
        };
        match self.abort {
            None => Expected::One(Told {
                status: Some(self.status),
                failure: None,
                request: self.request,
                answer: self.answer,
            }),
            Some(Abort::Head) => Expected::None,
            Some(Abort::BodyReset) => cut(None, reset, Size::Absent),
            Some(Abort::BodyClose) => cut(None, "connection_closed", Size::Absent),
            Some(Abort::Unanswered) => cut(None, reset, Size::Exactly(0)),
            Some(Abort::Answer) => cut(Some(self.status), reset, Size::Exactly(0)),
        }
    }
}

impl Told {
    /// `error.type` at one end: a failure stands over the status, and a status is an error of the
    /// server's from 500 on, of the client's from 400 on.
    pub(super) fn error_type(&self, side: Side) -> Option<String> {
        let first = match side {
            Side::Server => 500,
            Side::Client => 400,
        };
        let status = self.status.filter(|status| *status >= first);
        self.failure
            .map(str::to_owned)
            .or(status.map(|status| status.to_string()))
    }
}
