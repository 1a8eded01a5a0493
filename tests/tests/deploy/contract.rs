//! The metrics that there are, and which of them an expression names.

use std::collections::HashMap;

/// What Prometheus adds itself, and the labels of all others.
const OF_PROMETHEUS: [(&str, &str); 2] = [("up", "gauge"), ("target_info", "gauge")];

/// What a metric is, by its name: the reference, which a test of the agent compares with its code.
pub(crate) struct Contract(HashMap<String, String>);

impl Contract {
    pub(crate) fn read() -> Self {
        let reference = sonde_tests::reference::kinds().expect("the reference");
        let others = OF_PROMETHEUS.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
        Self(reference.into_iter().chain(others).collect())
    }

    /// Whether a series of this name can exist: a histogram has only those with its suffixes.
    fn has_series(&self, series: &str) -> bool {
        let histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| series.strip_suffix(suffix))
            .any(|name| self.0.get(name).is_some_and(|kind| kind == "histogram"));
        histogram || self.0.get(series).is_some_and(|kind| kind != "histogram")
    }

    /// Panics with the names of the expression that the reference hasn't.
    pub(crate) fn check(&self, expression: &str) {
        let named = metrics(expression);
        assert!(!named.is_empty(), "names no metric: {expression}");
        for series in named {
            assert!(
                self.has_series(&series),
                "{series} is not in docs/metrics.md: {expression}"
            );
        }
    }
}

/// The series that a `PromQL` expression names: identifiers that are no function, keyword, label or
/// unit of time.
pub(crate) fn metrics(expression: &str) -> Vec<String> {
    let text = without_quoted(expression);
    let text = without_between(&without_between(&text, '{', '}'), '[', ']');
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|c: char| word(c) || c == '.') {
        let tail = &rest[start..];
        let end = tail
            .find(|c: char| !word(c) && c != '.')
            .unwrap_or(tail.len());
        let (name, after) = tail.split_at(end);
        let after = after.trim_start();
        rest = after;
        if [
            "by",
            "without",
            "on",
            "ignoring",
            "group_left",
            "group_right",
        ]
        .contains(&name)
        {
            // Labels follow.
            rest = after.split_once(')').map_or("", |(_, rest)| rest);
        } else if !after.starts_with('(')
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && !["and", "or", "unless", "bool", "offset", "inf", "nan"].contains(&name)
            && !is_aggregation(after)
        {
            found.push(name.to_owned());
        }
    }
    found
}

/// Whether a clause follows, as in `sum by (...) (...)`.
fn is_aggregation(after: &str) -> bool {
    let mut clauses = ["by", "without"]
        .iter()
        .filter_map(|clause| after.strip_prefix(clause));
    clauses.any(|rest| rest.trim_start().starts_with('('))
}

fn without_quoted(text: &str) -> String {
    text.split('"').step_by(2).collect::<Vec<_>>().join("")
}

fn without_between(text: &str, open: char, close: char) -> String {
    let mut parts = text.split(open);
    let first = parts.next().unwrap_or_default().to_owned();
    let tails = parts.map(|part| part.split_once(close).map_or("", |(_, tail)| tail));
    tails.fold(first, |kept, tail| kept + " " + tail)
}

#[test]
fn expressions_are_taken_apart() {
    for (expression, expected) in [
        ("up == 0", &["up"][..]),
        (
            r#"sum by (a, le) (rate(x_total{b="c{d}", e=~"f"}[5m])) / y > 0.05"#,
            &["x_total", "y"],
        ),
        (
            "histogram_quantile(0.99, sum by (le) (rate(h_bucket[5m])))",
            &["h_bucket"],
        ),
        (
            "topk(10, sum(z) without (q)) or a unless b",
            &["z", "a", "b"],
        ),
        ("a * on (i) group_left (j) b offset 5m", &["a", "b"]),
    ] {
        assert_eq!(metrics(expression), expected, "{expression}");
    }
}

#[test]
fn a_histogram_is_only_there_with_a_suffix() {
    let contract = Contract::read();
    assert!(contract.has_series("up"));
    assert!(contract.has_series("tcp_rtt_seconds_bucket"));
    assert!(!contract.has_series("tcp_rtt_seconds"));
    assert!(!contract.has_series("tcp_rtt_seconds_total"));
    assert!(contract.has_series("system_cpu_time_seconds_total"));
    assert!(!contract.has_series("syscalls"));
}
