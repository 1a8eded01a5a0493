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

    /// Panics with the names of the expression that the reference hasn't. Labels are in no list: a
    /// test of the agent compares those with its series.
    pub(crate) fn check(&self, expression: &str) {
        let named = sonde_tests::promql::selectors(expression);
        assert!(!named.is_empty(), "names no metric: {expression}");
        for series in named.into_iter().map(|selector| selector.series) {
            assert!(
                self.has_series(&series),
                "{series} is not in docs/metrics.md: {expression}"
            );
        }
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
