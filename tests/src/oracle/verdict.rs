//! What was told against what was sent, exchange by exchange.

use std::{collections::HashMap, ops::AddAssign, time::Duration};

use super::{
    case::{Case, Transport},
    clock::Took,
    durations::Durations,
    plan::{Plan, Size},
    sent::{Expected, Sent, Timing, Told},
};
use crate::{
    exposition::Counts,
    span::{Seen, Side},
};

/// How many wrong exchanges are described.
const SHOWN: usize = 8;

/// What can be wrong, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    /// Exchanges that a span is missing of.
    pub missing: u64,
    /// Spans that nobody asked for: of what was never a request, or a second one.
    pub surplus: u64,
    /// Spans whose method, path, route, version, scheme, status or `error.type` is another's.
    pub mixed: u64,
    /// Spans on which a body has another size, or one that can't be known.
    pub sizes: u64,
    /// Spans on which a body's size should be and isn't.
    pub absent_sizes: u64,
}

/// One end of all exchanges of a case.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Spans that came.
    pub spans: u64,
    /// Exchanges that the client broke off.
    pub broken_off: u64,
    /// Spans without a size of a chunked body, which may be so.
    pub unknown_sizes: u64,
    /// What is wrong with all of them.
    pub wrong: Wrong,
    /// Durations of prompt exchanges among many.
    pub prompt: Durations,
    /// Durations of exchanges that were alone.
    pub alone: Durations,
    /// The first ones of what is wrong.
    pub shown: Vec<String>,
    /// Counts by method, route, status and `error.type` that must be in `/metrics`.
    pub expected: Counts,
}

impl Wrong {
    /// There is nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Wrong {
    fn add_assign(&mut self, other: Self) {
        self.missing += other.missing;
        self.surplus += other.surplus;
        self.mixed += other.mixed;
        self.sizes += other.sizes;
        self.absent_sizes += other.absent_sizes;
    }
}

impl Verdict {
    /// Compares one side.
    pub(super) fn of(case: Case, side: Side, sent: &[Sent], seen: &[Seen]) -> Self {
        let mut verdict = Self::default();
        let mut spans: HashMap<Option<u64>, Vec<&Seen>> = HashMap::new();
        for span in seen.iter().filter(|span| span.side == side) {
            verdict.spans += 1;
            spans
                .entry(Plan::number_in(&span.path))
                .or_default()
                .push(span);
        }
        for sent in sent {
            let here = spans.remove(&Some(sent.number)).unwrap_or_default();
            verdict.exchange(case, side, sent, &here);
        }
        for stray in spans.into_values().flatten() {
            verdict.wrong.surplus += 1;
            verdict.show(|| format!("a stray span: {stray:?}"));
        }
        verdict
    }

    fn exchange(&mut self, case: Case, side: Side, sent: &Sent, here: &[&Seen]) {
        self.broken_off += u64::from(sent.abort.is_some());
        let mut wrong = Wrong::default();
        match (sent.expected(), here) {
            (Expected::None, _) => wrong.surplus = here.len() as u64,
            (Expected::One(told), []) => {
                wrong.missing = 1;
                self.expect(side, sent, told);
            }
            (Expected::One(told), [span, others @ ..]) => {
                wrong = compare(case, side, sent, told, span);
                wrong.surplus = others.len() as u64;
                self.expect(side, sent, told);
                let unknown = |size, seen: Option<u64>| {
                    matches!(size, Size::AtMostKnown(_)) && seen.is_none()
                };
                let unknown =
                    unknown(told.request, span.request) || unknown(told.answer, span.answer);
                self.unknown_sizes += u64::from(unknown);
                match sent.timing {
                    Timing::Apart => {}
                    Timing::Prompt(took) => self.prompt.push(part(side, took), span),
                    Timing::Alone(took) => self.alone.push(part(side, took), span),
                }
            }
        }
        self.wrong += wrong;
        if !wrong.is_nothing() {
            self.show(|| format!("{side:?}: sent {sent:?}, told {here:?}"));
        }
    }

    fn expect(&mut self, side: Side, sent: &Sent, told: Told) {
        let status = told.status.map(|status| status.to_string());
        let key = [
            sent.method.to_owned(),
            sent.route.to_owned(),
            status.unwrap_or_default(),
            told.error_type(side).unwrap_or_default(),
        ];
        *self.expected.entry(key.to_vec()).or_default() += 1;
    }

    fn show(&mut self, text: impl FnOnce() -> String) {
        if self.shown.len() < SHOWN {
            self.shown.push(text());
        }
    }
}

/// What one end can know of an exchange's duration: a server doesn't know when its answer is read.
const fn part(side: Side, took: Took) -> Duration {
    match side {
        Side::Server => took.arrived,
        Side::Client => took.read,
    }
}

/// What is wrong with the one span of an exchange.
fn compare(case: Case, side: Side, sent: &Sent, told: Told, span: &Seen) -> Wrong {
    let scheme = match case.transport {
        Transport::Clear => "http",
        Transport::Tls => "https",
    };
    // A client's span has no route.
    let route = (side == Side::Server).then_some(sent.route);
    let own = span.method == sent.method
        && span.path == sent.path
        && span.route.as_deref() == route
        && span.version == case.protocol()
        && span.scheme == scheme
        && span.status == told.status
        && span.error == told.error_type(side);
    let sizes = [(told.request, span.request), (told.answer, span.answer)];
    let count = |wrong: fn(&(Size, Option<u64>)) -> bool| u64::from(sizes.iter().any(wrong));
    Wrong {
        missing: 0,
        surplus: 0,
        mixed: u64::from(!own),
        sizes: count(|sizes| match *sizes {
            (_, None) => false,
            (Size::Exactly(told) | Size::AtMostKnown(told), Some(seen)) => told != seen,
            (Size::Absent, Some(_)) => true,
        }),
        absent_sizes: count(|sizes| matches!(sizes, (Size::Exactly(_), None))),
    }
}
