//! The metrics that there are, and which of them an expression names.

use std::collections::{BTreeSet, HashMap, HashSet};

use sonde_tests::promql::Selector;

/// What Prometheus adds itself, and the labels of all others.
const OF_PROMETHEUS: [(&str, &str); 2] = [("up", "gauge"), ("target_info", "gauge")];

/// What a metric is, by its name: the reference, which a test of the agent compares with its code.
pub(crate) struct Contract {
    kinds: HashMap<String, String>,
    /// Metric, resource and signal.
    signals: HashSet<[String; 3]>,
}

impl Contract {
    pub(crate) fn read() -> Self {
        let reference = sonde_tests::reference::kinds().expect("the reference");
        let others = OF_PROMETHEUS.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
        Self {
            kinds: reference.into_iter().chain(others).collect(),
            signals: sonde_tests::reference::signals().expect("the reference"),
        }
    }

    /// Whether a series of this name can exist: a histogram has only those with its suffixes.
    fn has_series(&self, series: &str) -> bool {
        let histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| series.strip_suffix(suffix))
            .any(|name| self.kinds.get(name).is_some_and(|kind| kind == "histogram"));
        histogram
            || self
                .kinds
                .get(series)
                .is_some_and(|kind| kind != "histogram")
    }

    /// Panics with the names of the expression that the reference hasn't. Labels are in no list: a
    /// test of the agent compares those with its series.
    pub(crate) fn check(&self, expression: &str) {
        let named = sonde_tests::promql::selectors(expression);
        assert!(!named.is_empty(), "names no metric: {expression}");
        for selector in named {
            let series = &selector.series;
            assert!(
                self.has_series(series),
                "{series} is not in docs/metrics.md: {expression}"
            );
            let unknown = self.unknown_signals(&selector);
            assert!(
                unknown.is_empty(),
                "{unknown:?} of {series} are not in docs/metrics.md: {expression}"
            );
        }
    }

    /// What is asked for of a metric of the method and can't be there: resources that have no signal in
    /// it, and signals that none of the resources has.
    fn unknown_signals(&self, selector: &Selector) -> Vec<String> {
        let of = |[metric, resource, signal]: &[String; 3]| {
            (*metric == selector.series).then(|| (resource.clone(), signal.clone()))
        };
        let known: BTreeSet<_> = self.signals.iter().filter_map(of).collect();
        if known.is_empty() {
            return Vec::new();
        }
        let asked = |label| selector.values.get(label);
        let resources = asked("resource");
        let is_resource = |name: &String| known.iter().any(|(resource, _)| resource == name);
        let is_signal = |name: &String| {
            known.iter().any(|(resource, signal)| {
                signal == name && resources.is_none_or(|some| some.contains(resource))
            })
        };
        let resources = resources.into_iter().flatten();
        let signals = asked("signal").into_iter().flatten();
        resources
            .filter(|name| !is_resource(name))
            .chain(signals.filter(|name| !is_signal(name)))
            .cloned()
            .collect()
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

#[test]
fn a_signal_is_only_there_with_its_resource() {
    let contract = Contract::read();
    let unknown = |expression: &str| {
        let selectors = sonde_tests::promql::selectors(expression);
        selectors
            .iter()
            .flat_map(|selector| contract.unknown_signals(selector))
            .collect::<Vec<_>>()
    };
    for known in [
        r#"use_saturation_by_service{resource="tcp", signal="accept_queue_share"}"#,
        r#"use_errors_total{resource=~"memory|cgroup", signal="oom_kill"}"#,
        r#"use_saturation{resource="disk", device=""}"#,
        r#"use_utilization_ratio{resource="conntrack"}"#,
    ] {
        assert!(unknown(known).is_empty(), "{known}");
    }
    let elsewhere = r#"use_saturation{resource="tcp", signal="accept_queue_share"}"#;
    assert_eq!(unknown(elsewhere), ["accept_queue_share"]);
    let misspelt = r#"use_errors_total{resource="disks", signal="oom_kills"}"#;
    assert_eq!(unknown(misspelt), ["disks", "oom_kills"]);
}
