//! The table: one row for each end of each case.

use std::{fmt::Write as _, time::Duration};

use super::{case::Case, verdict::Verdict};
use crate::exposition::Counts;

/// What came of one case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was tried.
    pub case: Case,
    /// Requests sent.
    pub exchanges: u64,
    /// The server's end, and what `/metrics` counted of it.
    pub server: (Verdict, Counts),
    /// The generator's end, where it can be observed.
    pub client: Option<(Verdict, Counts)>,
    /// What the agent lost, by stage and reason; only what isn't 0.
    pub dropped: Counts,
    /// The law of conservation holds.
    pub conserved: bool,
    /// What the agent logged.
    pub log: String,
}

impl Outcome {
    /// Everything that isn't as it must be; durations only when `timed`.
    #[must_use]
    pub fn faults(&self, timed: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for (end, (verdict, counted)) in self.ends() {
            if !verdict.wrong.is_nothing() {
                let shown = verdict.shown.join("\n    ");
                faults.push(format!("{end}: {:?}\n    {shown}", verdict.wrong));
            }
            if *counted != verdict.expected {
                let expected = &verdict.expected;
                faults.push(format!(
                    "{end}: /metrics counts {counted:?} of {expected:?}"
                ));
            }
            if timed && !verdict.durations.agree() {
                let medians = verdict.durations.medians();
                faults.push(format!("{end}: medians of {medians:?}"));
            }
        }
        if !self.dropped.is_empty() {
            faults.push(format!("lost: {:?}", self.dropped));
        }
        if !self.conserved {
            faults.push("requests aren't exchanges, losses and those in flight".to_owned());
        }
        faults
    }

    fn ends(&self) -> impl Iterator<Item = (&'static str, &(Verdict, Counts))> {
        let client = self.client.as_ref().map(|client| ("client", client));
        [("server", &self.server)].into_iter().chain(client)
    }
}

/// The table with what has to be known to read it, and how it was made: docs/oracle.md.
#[must_use]
pub fn document(outcomes: &[Outcome], options: &str) -> String {
    format!(
        "{}\n`cargo xtask oracle {options}` wrote this.\n\n{}",
        include_str!("oracle.md"),
        table(outcomes)
    )
}

/// The outcomes as a Markdown table.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| server | transport | HTTP | end | exchanges | broken off | spans | missing | surplus | \
         mixed up | sizes wrong | sizes missing | chunked sizes unknown | counts equal | median sent | median told | \
         median difference | p99 difference | lost |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for outcome in outcomes {
        for (end, (verdict, counted)) in outcome.ends() {
            row(&mut text, outcome, end, verdict, counted);
        }
    }
    text
}

fn row(text: &mut String, outcome: &Outcome, end: &str, verdict: &Verdict, counted: &Counts) {
    let case = outcome.case;
    let wrong = verdict.wrong;
    let equal = if *counted == verdict.expected {
        "yes"
    } else {
        "no"
    };
    let medians = verdict.durations.medians();
    let lost: Vec<_> = outcome
        .dropped
        .iter()
        .map(|(labels, count)| format!("{} {count}", labels.join(" ")))
        .collect();
    let lost = if lost.is_empty() {
        "0".to_owned()
    } else {
        lost.join(", ")
    };
    // Writing to a String can't fail.
    let _ = writeln!(
        text,
        "| {} | {} | {} | {end} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {equal} | {} | {} | {} | {} | {lost} |",
        case.server,
        case.transport,
        case.protocol(),
        outcome.exchanges,
        verdict.broken_off,
        verdict.spans,
        wrong.missing,
        wrong.surplus,
        wrong.mixed,
        wrong.sizes,
        wrong.absent_sizes,
        verdict.unknown_sizes,
        time(medians.map(|(sent, _)| sent)),
        time(medians.map(|(_, told)| told)),
        time(verdict.durations.difference(0.5)),
        time(verdict.durations.difference(0.99)),
    );
}

/// Microseconds.
fn time(duration: Option<Duration>) -> String {
    duration.map_or_else(
        || "-".to_owned(),
        |duration| format!("{:.0} us", duration.as_secs_f64() * 1e6),
    )
}
