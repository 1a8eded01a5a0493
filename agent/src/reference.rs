//! Every metric that the agent can emit, from the descriptors beside the code that fills them.
//!
//! `docs/metrics.md` is [`markdown`]; `cargo xtask docs` writes it anew, and a test compares.

use std::fmt::Write as _;

use sonde_common::fault::Fault;

use crate::{
    aggregate::{
        block,
        cardinality::{SERIES, SERIES_OVERFLOW},
        network, process, red, rpc, syscall, tcp, uncovered, usage,
    },
    enrich::{counter::Loss, kubernetes},
    export::{self, otlp, prometheus, web},
    l7::counters::{Dropped, GivenUp, Other, Rejection},
    metric::{Descriptor, Kind},
    pipeline::snapshot,
    resource::{
        ERRORS_BY_SERVICE, OWN_METRICS, RESOURCES, Registration, SATURATION, SATURATION_BY_SERVICE,
        Signal, USE_ERRORS, UTILIZATION,
    },
    selfmon,
    tls::{self, Refusal},
};

#[cfg(test)]
mod tests;

const METHOD: &[&Descriptor] = &[
    &UTILIZATION,
    &SATURATION,
    &SATURATION_BY_SERVICE,
    &USE_ERRORS,
    &ERRORS_BY_SERVICE,
];
const CARDINALITY: &[&Descriptor] = &[&SERIES, &SERIES_OVERFLOW];

/// Metrics that belong together.
#[derive(Debug)]
pub struct Section {
    /// Heading.
    pub title: &'static str,
    /// Its metrics, each name once in the whole reference.
    pub metrics: Vec<&'static Descriptor>,
}

/// Every metric, by section.
#[must_use]
pub fn sections() -> Vec<Section> {
    let mut sections = vec![
        section("Requests (RED)", [red::DESCRIPTORS, rpc::DESCRIPTORS]),
        section("TCP", [tcp::DESCRIPTORS, tcp::listen::DESCRIPTORS]),
        section(
            "System calls and processes",
            [syscall::DESCRIPTORS, process::DESCRIPTORS],
        ),
        section(
            "What services use",
            [usage::DESCRIPTORS, network::DESCRIPTORS],
        ),
        section("What can't be seen", [uncovered::DESCRIPTORS]),
        section("Resources: the method (USE)", [METHOD]),
        section(
            "Resources: kernel distributions",
            [snapshot::DESCRIPTORS, block::OF_DISKS],
        ),
        section("Block I/O of services", [block::DESCRIPTORS]),
        section(
            "Resources: what they are made of",
            RESOURCES.iter().map(|resource| resource.metrics),
        ),
        section(
            "The agent: kernel side, stages and tables",
            [
                selfmon::DESCRIPTORS,
                tls::stats::DESCRIPTORS,
                kubernetes::stats::DESCRIPTORS,
                CARDINALITY,
                OWN_METRICS,
            ],
        ),
        section(
            "The agent: exporters",
            [
                export::DESCRIPTORS,
                web::DESCRIPTORS,
                otlp::stats::DESCRIPTORS,
            ],
        ),
    ];
    // Several resources report pressure: it stands where it comes first.
    let mut seen = Vec::new();
    for section in &mut sections {
        section.metrics.retain(|metric| {
            let new = !seen.contains(metric);
            seen.push(*metric);
            new
        });
    }
    sections
}

fn section(
    title: &'static str,
    groups: impl IntoIterator<Item = &'static [&'static Descriptor]>,
) -> Section {
    Section {
        title,
        metrics: groups.into_iter().flatten().copied().collect(),
    }
}

/// What stands at the top of the reference.
const PREAMBLE: &str = "\
<!-- Written by `cargo xtask docs` from the code's own descriptors; changes here are lost. -->

# Metrics

Names, units and kinds of everything that sonde reports, over Prometheus and OTLP alike.
What can't be measured on a host is absent, never zero.

- The OTLP name is in the OpenTelemetry style, with the unit beside it. The Prometheus name is made
  of it by the OpenTelemetry compatibility rules; a histogram's series add `_bucket`, `_sum` and
  `_count` to it.
- Gauges whose names end in `_count`, as the conventions have it, go without a type in Prometheus,
  whose tools would take them for part of a histogram.
- An up-down counter is a gauge in Prometheus and a non-monotonic sum in OTLP.
- Metrics of an observed service carry its identity as labels (`service_name`, and where known
  `service_namespace` and those of the container); the other resource attributes are in `target_info`. In
  OTLP they are the Resource. All others belong to the host.
";

/// The reference as a page of Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut page = PREAMBLE.to_owned();
    for section in sections() {
        heading(&mut page, section.title);
        table(&mut page, ["Prometheus", "OTLP", "kind", "unit", "what"]);
        for metric in section.metrics {
            let cells = [
                &code(&prometheus::name_of(metric)),
                &code(metric.name),
                kind(metric.kind),
                metric.unit.ucum(),
                metric.help,
            ];
            row(&mut page, cells);
        }
    }
    let saturation: fn(&Registration) -> &[&Signal] = |resource| resource.saturation;
    signals(&mut page, "Signals of `use_saturation`", saturation, &[]);
    by_service(
        &mut page,
        "Signals of `use_saturation_by_service`",
        &[usage::SIGNALS, block::SATURATION, tcp::listen::SIGNALS],
    );
    let errors: fn(&Registration) -> &[&Signal] = |resource| resource.errors;
    let more = block::ERROR_SIGNALS;
    signals(&mut page, "Signals of `use_errors_total`", errors, more);
    by_service(
        &mut page,
        "Signals of `use_errors_by_service_total`",
        &[syscall::SIGNALS, process::SIGNALS, block::ERROR_SIGNALS],
    );
    reasons(&mut page);
    page
}

/// The values that the attribute `signal` can have, by resource.
fn signals(
    page: &mut String,
    title: &str,
    of: fn(&Registration) -> &[&Signal],
    more: &[(&str, &Signal)],
) {
    heading(page, title);
    table(page, ["resource", "signal", "what"]);
    for resource in RESOURCES {
        for signal in of(resource) {
            row(
                page,
                [&code(resource.name), &code(signal.name), signal.help],
            );
        }
    }
    for (resource, signal) in more {
        row(page, [&code(resource), &code(signal.name), signal.help]);
    }
}

/// The same for what is told of services.
fn by_service(page: &mut String, title: &str, lists: &[&[(&str, &Signal)]]) {
    heading(page, title);
    table(page, ["resource", "signal", "what"]);
    for (resource, signal) in lists.iter().copied().flatten() {
        row(page, [&code(resource), &code(signal.name), signal.help]);
    }
}

/// The values that the attributes `stage` and `reason` can have, where the code lists them.
fn reasons(page: &mut String) {
    heading(page, "Reasons of `sonde_dropped_total`");
    let kernel = |is_loss| {
        let faults = Fault::ALL.into_iter();
        faults
            .filter(move |fault| fault.is_loss() == is_loss)
            .map(|fault| (fault.reason(), fault.meaning()))
    };
    table(page, ["stage", "reason", "what"]);
    stage(page, "kernel", kernel(true).chain([selfmon::PROGRAM_BUSY]));
    stage(page, "ring", [selfmon::MALFORMED]);
    stage(page, "usage", [selfmon::USAGE_TABLE_FULL]);
    let dropped = Dropped::ALL.iter();
    stage(page, "http", dropped.map(|it| (it.reason(), it.meaning())));

    heading(page, "Reasons of `sonde_ignored_total`");
    let connection = GivenUp::ALL.iter().map(|it| (it.reason(), it.meaning()));
    let message = Rejection::ALL.iter().map(|it| (it.reason(), it.meaning()));
    let others = Other::ALL.iter().map(|it| (it.reason(), it.meaning()));
    let enrich = Loss::ALL.iter().map(|it| (it.reason(), it.meaning()));
    table(page, ["stage", "reason", "what"]);
    stage(page, "kernel", kernel(false));
    stage(page, "http_connection", connection);
    stage(page, "http_message", message.chain(others));
    stage(page, "enrich", enrich);
    stage(page, "service", [selfmon::RENAME_UNTOLD]);
    let file = Refusal::ALL.iter().map(|it| (it.reason(), it.meaning()));
    stage(page, tls::stats::STAGE, file);
}

fn stage<'a>(
    page: &mut String,
    stage: &str,
    reasons: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    for (reason, meaning) in reasons {
        // As the other tables' texts: without the full stop of a single sentence.
        let meaning = match meaning.strip_suffix('.') {
            Some(sentence) if !sentence.contains(". ") => sentence,
            _ => meaning,
        };
        row(page, [&code(stage), &code(reason), meaning]);
    }
}

fn heading(page: &mut String, title: &str) {
    let _ = write!(page, "\n## {title}\n\n");
}

fn table<const N: usize>(page: &mut String, columns: [&str; N]) {
    row(page, columns);
    row(page, ["---"; N]);
}

fn row<const N: usize>(page: &mut String, cells: [&str; N]) {
    for cell in cells {
        // A bar would end the cell.
        let _ = write!(page, "| {} ", cell.replace('|', "\\|"));
    }
    page.push_str("|\n");
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::UpDownCounter => "up-down counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}
