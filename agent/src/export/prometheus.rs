//! A snapshot as Prometheus text: format 0.0.4 and `OpenMetrics` 1.0.
//!
//! Sources: the [text exposition formats], [OpenMetrics 1.0], and OpenTelemetry's
//! [compatibility rules] for names, units, `target_info` and colliding labels.
//!
//! One writer serves both formats, which differ in a handful of bytes, so that they can't disagree.
//! `prometheus-client` is not that writer, for three reasons: it has no format 0.0.4; an exemplar
//! can only come from its own metric types (`Exemplar` can't be constructed outside of the crate),
//! and those can't be set to a distribution that was aggregated elsewhere; and it writes help
//! texts unescaped. It serves as the reference in the tests instead: what it can express is
//! written by both, and has to read the same.
//!
//! [text exposition formats]: https://prometheus.io/docs/instrumenting/exposition_formats/
//! [OpenMetrics 1.0]: https://prometheus.io/docs/specs/om/open_metrics_spec/
//! [compatibility rules]: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::metric::{Attributes, Descriptor, Family, Kind, Point, Resource, Snapshot, Unit};

mod accept;
mod labels;
mod name;
mod series;
#[cfg(test)]
mod tests;
mod text;

pub use self::accept::{accepts_gzip, negotiate};
use self::{labels::LabelWriter, name::Name, series::SeriesSet, text::Writer};

/// The family that carries the resource attributes that are no labels of other series.
static TARGET: Descriptor = Descriptor {
    name: "target",
    help: "Attributes of the host and of each observed service",
    unit: Unit::None,
    kind: Kind::Gauge,
};

/// An exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Text format 0.0.4, which every Prometheus reads. The default.
    Text,
    /// `OpenMetrics` 1.0: with exemplars and units.
    OpenMetrics,
}

impl Format {
    /// Value of the `Content-Type` header.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A written snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposition {
    /// The text, UTF-8.
    pub body: Vec<u8>,
    /// How many series it holds; a histogram is one.
    pub series: usize,
    /// Points that the format can't express: a value that doesn't fit its family's kind, or a
    /// family whose name another family of a different kind already took.
    pub rejected: usize,
}

/// A metric's name: that of its samples, before a histogram's own suffixes.
#[must_use]
pub fn name_of(descriptor: &Descriptor) -> String {
    Name::new(descriptor).sample().to_owned()
}

/// Writes `snapshot` in `format`.
///
/// Points with the same name and labels become one series: cumulative values and up-down counters
/// are added, of gauges the last stands.
#[must_use]
pub fn encode(snapshot: &Snapshot, format: Format) -> Exposition {
    let mut writer = Writer::new(format);
    let mut set = SeriesSet::default();
    let mut exposition = Exposition {
        body: Vec::new(),
        series: write_targets(&mut writer, snapshot),
        rejected: 0,
    };
    for group in group(snapshot, &mut exposition.rejected) {
        let all = group.families.iter().flat_map(|family| &family.points);
        let points: Vec<&Point> = all
            .filter(|point| series::fits(group.kind, &point.value))
            .collect();
        let given = group.families.iter().map(|family| family.points.len());
        exposition.rejected += given.sum::<usize>() - points.len();
        if points.is_empty() {
            continue;
        }
        writer.header(&group.name, group.kind, group.help);
        let series = set.merge(group.kind, &points);
        exposition.series += series.len();
        for (labels, point) in series {
            writer.point(&group.name, labels, &point);
        }
    }
    exposition.body = writer.finish();
    exposition
}

/// The families that share a Prometheus name.
struct Group<'a> {
    name: Name,
    kind: Kind,
    help: &'a str,
    families: Vec<&'a Family>,
}

fn group<'a>(snapshot: &'a Snapshot, rejected: &mut usize) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::with_capacity(snapshot.families.len());
    let mut by_name = HashMap::with_capacity(snapshot.families.len());
    for family in &snapshot.families {
        let Descriptor { help, kind, .. } = *family.descriptor;
        let name = Name::new(family.descriptor);
        // In format 0.0.4 a counter's family goes by the name of its samples.
        let both = [name.family(), name.sample()];
        let at = both.into_iter().find_map(|name| by_name.get(name).copied());
        let known = at.and_then(|at: usize| groups.get_mut(at));
        match known {
            Some(group) if group.kind == kind => group.families.push(family),
            Some(_) => *rejected += family.points.len(),
            None => {
                by_name.extend(both.map(|name| (name.to_owned(), groups.len())));
                groups.push(Group {
                    name,
                    kind,
                    help,
                    families: vec![family],
                });
            }
        }
    }
    groups
}

/// Writes `target_info`, and says of how many series.
///
/// Only resources that have attributes besides their labels are in it.
fn write_targets(writer: &mut Writer, snapshot: &Snapshot) -> usize {
    let points = snapshot.families.iter().flat_map(|family| &family.points);
    let resources = std::iter::once(&snapshot.host).chain(points.map(|point| &point.resource));
    let mut seen = HashSet::new();
    let mut last = std::ptr::null();
    let mut written = HashSet::new();
    let mut label_writer = LabelWriter::default();
    for resource in resources {
        let address = Arc::as_ptr(resource);
        // Points of one resource mostly follow one another.
        let again = std::mem::replace(&mut last, address) == address;
        if again || !seen.insert(address) {
            continue;
        }
        let rest = rest(resource);
        if rest.iter().len() == 0 {
            continue;
        }
        let mut labels = Vec::new();
        label_writer.write(&mut labels, &resource.identity, &rest);
        if written.is_empty() {
            writer.info_header(TARGET.name, TARGET.help);
        }
        if !written.contains(&labels) {
            writer.info(TARGET.name, &labels);
            written.insert(labels);
        }
    }
    written.len()
}

/// The attributes that are no identity.
fn rest(resource: &Resource) -> Attributes {
    let pairs = resource.attributes.iter();
    pairs
        .filter(|(name, _)| resource.identity.get(name).is_none())
        .cloned()
        .collect()
}
