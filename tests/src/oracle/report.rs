//! The tables: one row for each end of each case, and one more for its durations.

use std::{fmt::Write as _, time::Duration};

use super::{
    case::Case,
    durations::{Durations, Medians},
    verdict::Verdict,
};
use crate::exposition::Counts;

/// The columns of what is exact.
const EXACT: &str = "\
| server | transport | HTTP | end | exchanges | broken off | spans | missing | surplus | mixed up \
| sizes wrong | sizes missing | chunked sizes unknown | counts equal | lost |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";
/// The columns of durations.
const TIMED: &str = "\
| server | transport | HTTP | end | load | exchanges | sent | told | told with queue | difference \
| each one's: median | p99 | within 5 % or 50 us |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
";
/// What stands between the two.
const DURATIONS: &str = "\n## Durations\n";

/// What came of one case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was tried.
    pub case: Case,
    /// Requests of the random load.
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
    /// Everything that isn't as it must be; the durations of exchanges that were alone only when
    /// `timed`.
    #[must_use]
    pub fn faults(&self, timed: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for (end, (verdict, counted)) in self.ends() {
            if !verdict.wrong.is_nothing() {
                let shown = verdict.shown.join("\n    ");
                faults.push(format!("{end}: {:?}\n    {shown}", verdict.wrong));
            }
            let differing = differing(counted, &verdict.expected);
            if !differing.is_empty() {
                faults.push(format!("{end}: /metrics counts {}", differing.join(", ")));
            }
            if timed
                && let Some(medians) = verdict.alone.medians()
                && !medians.agree()
            {
                faults.push(format!("{end}: {medians:?}"));
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

    fn exact(&self) -> impl Iterator<Item = String> {
        self.ends()
            .map(|(end, (verdict, counted))| self.exact_row(end, verdict, counted))
    }

    fn exact_row(&self, end: &str, verdict: &Verdict, counted: &Counts) -> String {
        let wrong = verdict.wrong;
        let equal = yes(differing(counted, &verdict.expected).is_empty());
        let lost = self.dropped.iter();
        let lost = lost.map(|(labels, count)| format!("{} {count}", labels.join(" ")));
        let lost: Vec<_> = lost.collect();
        let lost = if lost.is_empty() {
            "0".to_owned()
        } else {
            lost.join(", ")
        };
        format!(
            "{}{end} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {equal} | {lost} |",
            begin(self.case),
            self.exchanges,
            verdict.broken_off,
            verdict.spans,
            wrong.missing,
            wrong.surplus,
            wrong.mixed,
            wrong.sizes,
            wrong.absent_sizes,
            verdict.unknown_sizes,
        )
    }

    fn timed(&self) -> impl Iterator<Item = String> {
        self.ends().flat_map(move |(end, (verdict, _))| {
            let loads = [("random", &verdict.prompt), ("alone", &verdict.alone)];
            loads.into_iter().filter_map(move |(load, durations)| {
                let medians = durations.medians()?;
                Some(self.timed_row(end, load, durations, medians))
            })
        })
    }

    fn timed_row(&self, end: &str, load: &str, durations: &Durations, medians: Medians) -> String {
        format!(
            "{}{end} | {load} | {} | {} | {} | {} | {} | {} | {} | {} |",
            begin(self.case),
            durations.count(),
            time(Some(medians.sent)),
            time(Some(medians.told)),
            time(medians.with_queue),
            time(Some(medians.sent.abs_diff(medians.whole()))),
            time(durations.difference(0.5)),
            time(durations.difference(0.99)),
            yes(medians.agree()),
        )
    }
}

/// Both tables.
#[must_use]
pub fn tables(outcomes: &[Outcome]) -> String {
    written(outcomes, "", "\n")
}

/// The tables with what has to be known to read them: docs/oracle.md. Rows of cases that were not
/// tried this time stay as they are in `before`, the document as it was.
#[must_use]
pub fn document(outcomes: &[Outcome], before: &str) -> String {
    let tables = written(outcomes, before, include_str!("durations.md"));
    include_str!("oracle.md").to_owned() + &tables
}

fn written(outcomes: &[Outcome], before: &str, about_durations: &str) -> String {
    let (exact, timed) = before.split_once(DURATIONS).unwrap_or((before, ""));
    let mut text = EXACT.to_owned();
    rows(&mut text, exact, outcomes, |outcome| {
        outcome.exact().collect()
    });
    text += DURATIONS;
    text += about_durations;
    text += TIMED;
    rows(&mut text, timed, outcomes, |outcome| {
        outcome.timed().collect()
    });
    text
}

/// The rows of all cases in their order: new ones, else those from before.
fn rows(text: &mut String, before: &str, outcomes: &[Outcome], of: fn(&Outcome) -> Vec<String>) {
    for case in Case::all() {
        let begin = begin(case);
        let rows = match outcomes.iter().find(|outcome| outcome.case == case) {
            Some(outcome) => of(outcome),
            None => before
                .lines()
                .filter(|line| line.starts_with(&begin))
                .map(str::to_owned)
                .collect(),
        };
        for row in rows {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{row}");
        }
    }
}

/// How the rows of a case begin.
fn begin(case: Case) -> String {
    let version = case.protocol();
    format!("| {} | {} | {version} | ", case.server, case.transport)
}

/// What is counted otherwise than is expected.
fn differing(counted: &Counts, expected: &Counts) -> Vec<String> {
    let of = |counts: &Counts, key: &Vec<String>| counts.get(key).copied().unwrap_or_default();
    let mut keys: Vec<_> = counted.keys().chain(expected.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .filter(|key| of(counted, key) != of(expected, key))
        .map(|key| format!("{key:?} {} of {}", of(counted, key), of(expected, key)))
        .collect()
}

const fn yes(truth: bool) -> &'static str {
    if truth { "yes" } else { "no" }
}

/// Microseconds.
fn time(duration: Option<Duration>) -> String {
    duration.map_or_else(
        || "-".to_owned(),
        |duration| format!("{:.0} us", duration.as_secs_f64() * 1e6),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &str, exchanges: u64) -> Outcome {
        Outcome {
            case: name.parse().expect("the name of a case"),
            exchanges,
            server: Default::default(),
            client: None,
            dropped: Counts::default(),
            conserved: true,
            log: String::new(),
        }
    }

    #[test]
    fn rows_of_cases_that_were_not_tried_stay() {
        let first = document(&[outcome("go-tls-2", 1), outcome("nginx-clear-1.1", 2)], "");
        let second = document(&[outcome("go-tls-2", 3)], &first);
        let both = document(&[outcome("go-tls-2", 3), outcome("nginx-clear-1.1", 2)], "");
        assert_eq!(second, both);
        assert_ne!(first, second);
    }

    #[test]
    fn counts_that_differ_are_named() {
        let counts = |counts: &[(&str, u64)]| {
            let counts = counts
                .iter()
                .map(|(key, count)| (vec![(*key).to_owned()], *count));
            counts.collect::<Counts>()
        };
        let (counted, expected) = (counts(&[("a", 1), ("b", 2)]), counts(&[("b", 3), ("c", 4)]));
        let found = differing(&counted, &expected);
        assert_eq!(
            found,
            [r#"["a"] 1 of 0"#, r#"["b"] 2 of 3"#, r#"["c"] 0 of 4"#]
        );
        assert!(differing(&expected, &expected).is_empty());
    }
}
