//! The resources over fixture trees: exact values, what is absent, and hostile files.

mod cgroups;
mod damaged;
mod golden;
mod hostile;
mod hosts;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    OWN_METRICS, RESOURCES, Resources, Root, SATURATION, Signal, USE_ERRORS, UTILIZATION, Use,
    names,
};
use crate::metric::{Attributes, Collector, Descriptor, Kind, Resource as Owner, Snapshot, Value};

/// What the trees named `*-10s` are later than their namesakes.
const LATER: Duration = Duration::from_secs(10);

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

pub(super) fn root(tree: &Path) -> Root {
    Root {
        procfs: tree.join("proc"),
        sysfs: tree.join("sys"),
        rootfs: tree.join("root"),
    }
}

/// Every series of one sample, as [`render`] writes them.
pub(super) fn rendered(report: Use) -> String {
    let host = Arc::new(Owner {
        attributes: Attributes::none(),
        identity: Attributes::none(),
    });
    let mut collector = Collector::new(host, SystemTime::UNIX_EPOCH);
    report.collect(None, &mut collector);
    render(&collector.finish(SystemTime::UNIX_EPOCH))
}

/// Whether a resource tells of its tree alone; statvfs(3) and adjtimex(2) tell of the build machine.
fn is_of_the_tree(name: &str) -> bool {
    !["clock", "filesystem"].contains(&name)
}

/// A tree that a test may change: a copy of a fixture.
fn copy_of(fixture: &str) -> io::Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    overlay(&fixtures().join(fixture), directory.path())?;
    Ok(directory)
}

/// Copies a tree over another.
fn overlay(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            overlay(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn snapshot(resources: &mut Resources, now: Instant) -> Snapshot {
    let host = Arc::new(Owner {
        attributes: Attributes::none(),
        identity: Attributes::none(),
    });
    let mut collector = Collector::new(host, SystemTime::UNIX_EPOCH);
    resources.collect(now, &mut collector);
    collector.finish(SystemTime::UNIX_EPOCH)
}

/// One line for each series, sorted: `name{key="value"} number`. How long reading took, and when
/// that was, are left out.
fn render(snapshot: &Snapshot) -> String {
    let mut lines = Vec::new();
    for family in &snapshot.families {
        if [
            "sonde.resource.duration",
            "sonde.resource.last_read.timestamp",
        ]
        .contains(&family.descriptor.name)
        {
            continue;
        }
        for point in &family.points {
            lines.push(line(family.descriptor, &point.attributes, &point.value));
        }
    }
    lines.sort();
    lines.concat()
}

fn line(descriptor: &Descriptor, attributes: &Attributes, value: &Value) -> String {
    let mut line = format!("{}{{", descriptor.name);
    for (index, (key, value)) in attributes.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(line, "{comma}{key}={:?}", value.to_string()).expect("a String takes all");
    }
    match value {
        Value::Integer(number) => writeln!(line, "}} {number}"),
        Value::Float(number) => writeln!(line, "}} {number}"),
        Value::Histogram(_) => unreachable!("no resource has one"),
    }
    .expect("a String takes all");
    line
}

/// The number of the series that is written like this.
fn value(rendered: &str, series: &str) -> Option<f64> {
    rendered
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .map(|number| number.parse().expect("a rendered number"))
}

#[test]
fn names_are_unique_and_flags_can_select_by_them() {
    let all: Vec<_> = names().collect();
    let unique: BTreeSet<_> = names().collect();
    assert_eq!(all.len(), unique.len());
    let mut some = Resources::new(root(&fixtures().join("server")), |name| name == "cpu");
    let rendered = render(&snapshot(&mut some, Instant::now()));
    assert!(rendered.contains("sonde.resource.up{resource=\"cpu\"} 1\n"));
    assert!(!rendered.contains("resource=\"memory\""));
}

#[test]
fn every_saturation_signal_tells_its_unit_by_its_end() {
    let signals = RESOURCES.iter().flat_map(|resource| resource.saturation);
    for Signal { name, .. } in signals {
        let ends = ["_share", "_rate", "_length"];
        assert!(ends.iter().any(|end| name.ends_with(end)), "{name}");
    }
}

#[test]
fn every_metric_is_described_in_one_place() {
    let raw = RESOURCES.iter().flat_map(|resource| resource.metrics);
    let mut seen = BTreeMap::new();
    for descriptor in raw.chain(OWN_METRICS).chain([&&UTILIZATION]) {
        assert!(!descriptor.help.ends_with('.'), "{}", descriptor.name);
        let known = seen.insert(descriptor.name, *descriptor);
        assert!(
            known.is_none_or(|known| known == *descriptor),
            "{}",
            descriptor.name
        );
    }
}

/// What the registrations promise, and so the reference that is written from them, is what is
/// reported; filesystems depend on the host, GPUs on a library: they have tests of their own.
#[test]
fn registrations_name_exactly_what_is_reported() -> io::Result<()> {
    for registration in RESOURCES
        .iter()
        .filter(|one| !["filesystem", "gpu"].contains(&one.name))
    {
        let snapshot = second_snapshot(registration.name)?;
        let own = OWN_METRICS.iter().map(|descriptor| descriptor.name);
        let method = [&UTILIZATION, &SATURATION, &USE_ERRORS].map(|descriptor| descriptor.name);
        let reported: BTreeSet<_> = snapshot
            .families
            .iter()
            .map(|family| family.descriptor.name)
            .filter(|name| !own.clone().any(|own| own == *name) && !method.contains(name))
            .collect();
        let registered = registration
            .metrics
            .iter()
            .map(|descriptor| descriptor.name);
        assert_eq!(reported, registered.collect(), "{}", registration.name);
        for (metric, signals) in [
            (&SATURATION, registration.saturation),
            (&USE_ERRORS, registration.errors),
        ] {
            let registered = signals.iter().map(|signal| signal.name.to_owned());
            assert_eq!(
                signals_of(&snapshot, metric),
                registered.collect(),
                "{}",
                registration.name
            );
        }
    }
    Ok(())
}

/// The second snapshot of one resource, on a host that has all of it.
fn second_snapshot(name: &str) -> io::Result<Snapshot> {
    let host: Option<hosts::Host> = match name {
        "cgroup" => Some(hosts::kubernetes_v2),
        "thermal" | "power" => Some(hosts::big_server),
        _ => None,
    };
    let directory = host.map_or_else(|| copy_of("server"), hosts::directory_of)?;
    let mut resource = Resources::new(root(directory.path()), |enabled| enabled == name);
    let now = Instant::now();
    snapshot(&mut resource, now);
    match host {
        Some(host) => host(hosts::Moment::Later).write(directory.path())?,
        None => overlay(&fixtures().join("server-10s"), directory.path())?,
    }
    Ok(snapshot(&mut resource, now + LATER))
}

fn signals_of(snapshot: &Snapshot, metric: &Descriptor) -> BTreeSet<String> {
    let families = snapshot.families.iter();
    families
        .filter(|family| family.descriptor == metric)
        .flat_map(|family| &family.points)
        .filter_map(|point| point.attributes.get("signal").map(ToString::to_string))
        .collect()
}

/// `promtool check metrics` refuses these ends; the conventions ask for two of them all the same.
#[test]
fn gauges_keep_clear_of_suffixes_that_prometheus_reserves() {
    let raw = RESOURCES.iter().flat_map(|resource| resource.metrics);
    let all = raw.copied().chain(OWN_METRICS.iter().copied());
    let mut reserved: Vec<_> = all
        .filter(|descriptor| descriptor.kind != Kind::Counter)
        .map(|descriptor| descriptor.name)
        .filter(|name| {
            [".total", ".count", ".sum", ".bucket"]
                .iter()
                .any(|end| name.ends_with(end))
        })
        .collect();
    reserved.sort_unstable();
    assert_eq!(
        reserved,
        ["system.cpu.logical.count", "system.process.count"]
    );
}

#[test]
fn this_host_is_read_without_a_failure() {
    let mut resources = Resources::new(Root::default(), |_| true);
    let now = Instant::now();
    snapshot(&mut resources, now);
    let rendered = render(&snapshot(&mut resources, now + Duration::from_secs(1)));
    for name in ["cpu", "run_queue", "memory", "network", "processes"] {
        let up = format!("sonde.resource.up{{resource={name:?}}}");
        assert_eq!(value(&rendered, &up), Some(1.0), "{rendered}");
    }
}
