//! The agent's own numbers: what its probes cost, what it saw and what it lost.

pub mod process;

use std::time::Duration;

use aya::Ebpf;
use sonde_common::{fault::Fault, header::KINDS};

use crate::{
    aggregate::usage::Usages,
    enrich::process::Counters as ProcessCounters,
    kernel::{
        attach::{HookReport, Outcome, Programs, distinct},
        map,
        ring::Ring,
        sys::{self, Runs},
    },
    l7::counters::{Counters as HttpCounters, Dropped, GivenUp, Rejection},
    metric::{Attributes, Collector, Descriptor, Kind, Renames, Unit, Value},
};

macro_rules! descriptors {
    ($($(#[$doc:meta])* $constant:ident = $kind:ident $name:literal, $unit:expr, $help:literal;)+) => {
        $($(#[$doc])*
        pub const $constant: Descriptor = Descriptor {
            name: $name,
            help: $help,
            unit: $unit,
            kind: Kind::$kind,
        };)+

        /// All of them, for the reference.
        pub const DESCRIPTORS: &[&Descriptor] = &[$(&$constant),+];
    };
}

descriptors! {
    /// Always 1.
    BUILD_INFO = Gauge "sonde.build_info", Unit::None, "Version of the agent";
    /// 1 per hook that works.
    PROBE_ATTACHED = Gauge "sonde.probe.attached", Unit::None, "Hooks that are served, with the alternative that serves them";
    /// 1 per hook that doesn't.
    PROBE_SKIPPED = Gauge "sonde.probe.skipped", Unit::None, "Hooks that no alternative serves on this kernel, with the reason in brief (the log and `sonde check` have all of it)";
    /// From BPF statistics.
    PROBE_RUNS = Counter "sonde.probe.runs", Unit::None, "Runs of each kernel program while BPF statistics were on (--probe.statistics)";
    /// From BPF statistics.
    PROBE_RUN_TIME = Counter "sonde.probe.run", Unit::Seconds, "Time spent in each kernel program while BPF statistics were on (--probe.statistics)";
    /// What passed a stage.
    EVENTS = Counter "sonde.events", Unit::None, "What passed each stage: records sent by the kernel side and read from the ring, HTTP requests recognised and exchanges completed";
    /// What a stage lost.
    DROPPED = Counter "sonde.dropped", Unit::None, "What each stage saw and could not pass on, by reason";
    /// What was left alone on purpose.
    IGNORED = Counter "sonde.ignored", Unit::None, "What each stage left alone on purpose, by reason";
    /// Entries of a table of the agent.
    TABLE_ENTRIES = Gauge "sonde.table.entries", Unit::None, "Entries of the agent's own tables";
    /// Entries of a kernel map.
    MAP_ENTRIES = Gauge "sonde.map.entries", Unit::None, "Entries of each kernel map that is in use and grows with what is seen";
    /// Their limit.
    MAP_CAPACITY = Gauge "sonde.map.capacity", Unit::None, "Most entries that each of these kernel maps can hold";
}

/// Reason of runs that the kernel left out, and what it means.
pub const PROGRAM_BUSY: (&str, &str) = (
    "program_busy",
    "The kernel left out a run of a program because one was already running on that CPU.",
);

/// Reason of records that the ring's reader makes nothing of, and what it means.
pub const MALFORMED: (&str, &str) = (
    "malformed",
    "A record of the ring that has not the form that the two sides agreed on.",
);

/// Adds what holds for the whole run.
pub fn collect_build(collector: &mut Collector) {
    let attributes = Attributes::from([("version", env!("CARGO_PKG_VERSION").into())]);
    collector.push(&BUILD_INFO, attributes, Value::Integer(1));
}

/// Adds the state and the cost of the kernel side.
pub fn collect_programs(programs: &Programs, collector: &mut Collector) {
    for report in programs.reports() {
        collect_report(report, collector);
    }
    let mut missed = 0;
    for (name, program) in programs.loaded() {
        if let Ok(runs) = sys::runs(program) {
            collect_cost(name, runs, collector);
            missed += runs.missed;
        }
    }
    dropped("kernel", PROGRAM_BUSY.0, missed, collector);
}

fn collect_report(report: &HookReport, collector: &mut Collector) {
    let family = ("family", report.family.into());
    let hook = ("hook", report.hook.name.into());
    let one = Value::Integer(1);
    match &report.outcome {
        Outcome::Attached(attach) => {
            let alternative = ("alternative", attach.via.as_str().into());
            let attributes = Attributes::from([family, hook, alternative]);
            collector.push(&PROBE_ATTACHED, attributes, one);
        }
        Outcome::Skipped { reasons } => {
            let reason = ("reason", label(reasons).into());
            let attributes = Attributes::from([family, hook, reason]);
            collector.push(&PROBE_SKIPPED, attributes, one);
        }
    }
}

/// Longest `reason` of a hook that isn't served, bytes.
const REASON: usize = 100;

/// The reasons in brief, each once. The log and `sonde check` tell them in full.
fn label(reasons: &[(&'static str, String)]) -> String {
    let distinct = distinct(reasons);
    let mut text = distinct
        .iter()
        .map(|(_, reason)| *reason)
        .collect::<Vec<_>>()
        .join("; ");
    if text.len() > REASON {
        text.truncate(text.floor_char_boundary(REASON - 3));
        text.push_str("...");
    }
    text
}

fn collect_cost(name: &str, runs: Runs, collector: &mut Collector) {
    if runs.count == 0 {
        // Not run, or no statistics.
        return;
    }
    let attributes = Attributes::from([("program", name.into())]);
    let count = Value::Integer(runs.count);
    collector.push(&PROBE_RUNS, attributes.clone(), count);
    let time = Value::Float(Duration::from_nanos(runs.time).as_secs_f64());
    collector.push(&PROBE_RUN_TIME, attributes, time);
}

/// Adds what the kernel side sent and lost, and what the ring's reader made of it.
pub fn collect_ring(ebpf: &Ebpf, ring: &Ring, collector: &mut Collector) -> Result<(), map::Error> {
    let sent: u64 = map::sums(ebpf, "EMITTED", KINDS)?.into_iter().sum();
    events("kernel", sent, collector);
    events("ring", ring.records(), collector);
    dropped("ring", MALFORMED.0, ring.malformed(), collector);
    let faults = map::sums(ebpf, "FAULTS", Fault::COUNT)?;
    for (fault, count) in Fault::ALL.into_iter().zip(faults) {
        let add = if fault.is_loss() { dropped } else { ignored };
        add("kernel", fault.reason(), count, collector);
    }
    Ok(())
}

/// Adds what became of the HTTP byte streams.
pub fn collect_http(counters: &HttpCounters, in_flight: usize, collector: &mut Collector) {
    events("http_request", counters.requests, collector);
    events("http_exchange", counters.exchanges, collector);
    for reason in Dropped::ALL {
        dropped(
            "http",
            reason.reason(),
            counters.dropped(*reason),
            collector,
        );
    }
    for reason in GivenUp::ALL {
        ignored(
            "http_connection",
            reason.reason(),
            counters.given_up(*reason),
            collector,
        );
    }
    for reason in Rejection::ALL {
        ignored(
            "http_message",
            reason.reason(),
            counters.rejected(*reason),
            collector,
        );
    }
    for (reason, count) in counters.others_by_reason() {
        ignored("http_message", reason, count, collector);
    }
    entries("http_in_flight", in_flight, collector);
}

/// Adds what the table of processes holds and what it could not read.
pub fn collect_processes(counters: &ProcessCounters, collector: &mut Collector) {
    entries("processes", counters.processes, collector);
    entries("processes_exited", counters.exited, collector);
    entries("service_instances", counters.instances, collector);
    entries("kubernetes_pods", counters.pods, collector);
    for (loss, count) in counters.losses.iter() {
        ignored("enrich", loss.reason(), count, collector);
    }
}

/// Reason of processes whose use of the host isn't followed, and what it means.
pub const USAGE_TABLE_FULL: (&str, &str) = (
    "usage_table_full",
    "There were more processes than are followed: what a thread or an ended process used isn't counted.",
);

/// Adds what is known of the processes' use of the host.
pub fn collect_usage(usage: &Usages, collector: &mut Collector) {
    let (stage, reason) = ("usage", USAGE_TABLE_FULL.0);
    dropped(stage, reason, usage.left_out(), collector);
}

/// Reason of changes of a service's identity that there is no room to remember, and what it means.
pub const RENAME_UNTOLD: (&str, &str) = (
    "rename_untold",
    "A service has another name than before, and OTLP's streams of it begin anew with their whole value, for want of room to remember what was told.",
);

/// Adds which services have other identities than they had.
pub fn collect_renames(renames: &Renames, untold: u64, collector: &mut Collector) {
    entries("renamed_services", renames.len(), collector);
    ignored("service", RENAME_UNTOLD.0, untold, collector);
}

/// Adds how many entries kernel maps hold, and how many they have room for: of those that can be
/// full, which least recently used ones never are.
pub fn collect_fill(
    ebpf: &Ebpf,
    filled: impl IntoIterator<Item = (&'static str, usize)>,
    collector: &mut Collector,
) -> Result<(), map::Error> {
    for (name, entries) in filled {
        let capacity = map::capacity(ebpf, name)?;
        let attributes = || Attributes::from([("map", name.into())]);
        let entries = Value::Integer(entries as u64);
        collector.push(&MAP_ENTRIES, attributes(), entries);
        let capacity = Value::Integer(capacity.into());
        collector.push(&MAP_CAPACITY, attributes(), capacity);
    }
    Ok(())
}

/// Adds the fill of a table of the agent.
pub fn entries(table: &'static str, count: usize, collector: &mut Collector) {
    let attributes = Attributes::from([("table", table.into())]);
    collector.push(&TABLE_ENTRIES, attributes, Value::Integer(count as u64));
}

fn events(stage: &'static str, count: u64, collector: &mut Collector) {
    let attributes = Attributes::from([("stage", stage.into())]);
    collector.push(&EVENTS, attributes, Value::Integer(count));
}

fn dropped(stage: &'static str, reason: &'static str, count: u64, collector: &mut Collector) {
    by_reason(&DROPPED, stage, reason, count, collector);
}

/// Adds what a stage left alone for one reason.
pub fn ignored(stage: &'static str, reason: &'static str, count: u64, collector: &mut Collector) {
    by_reason(&IGNORED, stage, reason, count, collector);
}

fn by_reason(
    descriptor: &'static Descriptor,
    stage: &'static str,
    reason: &'static str,
    count: u64,
    collector: &mut Collector,
) {
    let attributes = Attributes::from([("stage", stage.into()), ("reason", reason.into())]);
    collector.push(descriptor, attributes, Value::Integer(count));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_hooks_reason_is_short_and_says_nothing_twice() {
        let same = |reason: &str| [("tp_btf", reason.to_owned()), ("raw_tp", reason.to_owned())];
        assert_eq!(label(&same("no BTF")), "no BTF");
        let long = label(&same(&"\u{e9}x".repeat(100)));
        assert!(long.len() <= REASON && long.ends_with("..."), "{long}");
    }
}
