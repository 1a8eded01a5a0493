//! The reference is complete and without contradiction.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use super::{markdown, sections};
use crate::{
    aggregate::cardinality::{Usage, collect_usage},
    enrich::{counter::Losses, process::Counters as ProcessCounters},
    export::{
        otlp::{SignalKind, stats::OtlpStats},
        prometheus,
        web::WebStats,
    },
    l7::counters::Counters,
    metric::{Attributes, Collector, Descriptor, Kind, Resource},
    resource::{Resources, Root},
    selfmon,
};

fn metrics() -> impl Iterator<Item = &'static Descriptor> {
    sections().into_iter().flat_map(|section| section.metrics)
}

#[test]
fn a_name_describes_one_metric_in_every_spelling() {
    let all = metrics().count();
    let dotted: BTreeSet<_> = metrics().map(|metric| metric.name).collect();
    assert_eq!(dotted.len(), all, "an OTLP name stands twice");
    let prometheus: BTreeSet<_> = metrics().map(prometheus::name_of).collect();
    assert_eq!(prometheus.len(), all, "a Prometheus name stands twice");
}

#[test]
fn every_metric_says_what_it_is() {
    for metric in metrics() {
        assert!(!metric.help.is_empty(), "{}", metric.name);
        assert!(!metric.help.ends_with('.'), "{}", metric.name);
    }
}

/// What is reported without a kernel side; the rest is compared on a live host.
#[test]
fn what_is_reported_is_in_it() {
    let host = Arc::new(Resource {
        attributes: Attributes::none(),
        identity: Attributes::none(),
    });
    let mut collector = Collector::new(host, SystemTime::UNIX_EPOCH);
    selfmon::collect_build(&mut collector);
    selfmon::collect_http(&Counters::default(), 0, &mut collector);
    let processes = ProcessCounters {
        processes: 0,
        exited: 0,
        instances: 0,
        cgroups: 0,
        pods: 0,
        losses: Losses::default(),
    };
    selfmon::collect_processes(&processes, &mut collector);
    let usage = Usage {
        family: "any",
        series: 0,
        overflowed: 0,
    };
    collect_usage([usage], &mut collector);
    WebStats::default().collect(&mut collector);
    let signals = [SignalKind::Traces, SignalKind::Metrics, SignalKind::Logs];
    OtlpStats::default().collect(signals, &mut collector);
    Resources::new(Root::default(), |_| true).collect(std::time::Instant::now(), &mut collector);
    let known: Vec<_> = metrics().collect();
    let families = collector.into_families();
    assert!(families.len() > 20);
    for family in families {
        assert!(
            known.contains(&family.descriptor),
            "{:?}",
            family.descriptor
        );
    }
}

#[test]
fn each_row_of_the_page_has_as_many_cells_as_its_heading() {
    let page = markdown();
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let mut columns = None;
    for line in page.lines() {
        if line.starts_with('|') {
            assert_eq!(cells(line), *columns.get_or_insert(cells(line)), "{line}");
        } else {
            columns = None;
        }
    }
}

/// The rows of the reasons, each a stage, a reason and what it means.
#[test]
fn every_reason_says_what_it_means() {
    let page = markdown();
    let (_, reasons) = page
        .split_once("## Reasons of `sonde_dropped_total`")
        .expect("the section");
    let rows = reasons.lines().filter(|line| line.starts_with("| `"));
    let mut found = BTreeSet::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [stage, reason, meaning] = cells[..] else {
            panic!("{row}");
        };
        assert!(meaning.split(' ').count() > 2, "{row}");
        assert!(!meaning.contains("[`"), "a link leads nowhere here: {row}");
        assert!(found.insert((stage, reason)), "twice: {row}");
    }
    assert!(found.len() > 40, "{found:?}");
}

/// A gauge may not look like a counter, nor a counter like anything else.
#[test]
fn only_counters_end_in_total() {
    for metric in metrics() {
        let name = prometheus::name_of(metric);
        assert_eq!(
            name.ends_with("_total"),
            metric.kind == Kind::Counter,
            "{name}"
        );
    }
}
