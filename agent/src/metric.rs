//! The exporter-neutral model: what a snapshot holds and every exporter writes.
//!
//! Names are OpenTelemetry's (`http.server.request.duration`, unit `s`); an exporter derives its
//! own spelling from name, unit and kind, so that a metric is described in exactly one place.

use std::{sync::Arc, time::SystemTime};

/// Unit of a metric, as UCUM for OTLP and as a suffix for Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// No unit: the name says what it is. No Prometheus suffix.
    None,
    /// Seconds, `s`.
    Seconds,
    /// Bytes, `By`.
    Bytes,
    /// A share from 0 to 1, `1`; `_ratio` in Prometheus.
    Ratio,
    /// Hertz, `Hz`.
    Hertz,
    /// Degrees Celsius, `Cel`.
    Celsius,
    /// Things counted, UCUM annotation such as `{request}`. No Prometheus suffix.
    Count(&'static str),
}

/// What a metric's values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only grows, from the agent's (or the observed thing's) start. `_total` in Prometheus.
    Counter,
    /// Adds up over attributes, may shrink: a gauge in Prometheus, a non-monotonic sum in OTLP.
    UpDownCounter,
    /// A value of its own.
    Gauge,
    /// A distribution with explicit bounds.
    Histogram,
}

/// Describes one metric; a `const` beside the code that fills it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Descriptor {
    /// OpenTelemetry name: dotted, no unit, no `total`.
    pub name: &'static str,
    /// One sentence without a final dot.
    pub help: &'static str,
    /// Unit of the values.
    pub unit: Unit,
    /// Meaning of the values.
    pub kind: Kind,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttributeValue {
    /// Text.
    Text(Arc<str>),
    /// A whole number, as the conventions ask for status codes and ports.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
}

impl From<&str> for AttributeValue {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for AttributeValue {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<Arc<str>> for AttributeValue {
    fn from(value: Arc<str>) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for AttributeValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u16> for AttributeValue {
    fn from(value: u16) -> Self {
        Self::Integer(value.into())
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl std::fmt::Display for AttributeValue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Integer(number) => number.fmt(formatter),
            Self::Boolean(truth) => truth.fmt(formatter),
        }
    }
}

/// Attributes in the order of their (dotted, OpenTelemetry) names, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attributes(Arc<[(&'static str, AttributeValue)]>);

impl Attributes {
    /// No attributes.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Pairs in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(&'static str, AttributeValue)> {
        self.0.iter()
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.0
            .binary_search_by(|(key, _)| (*key).cmp(name))
            .ok()
            .map(|index| &self.0[index].1)
    }
}

impl FromIterator<(&'static str, AttributeValue)> for Attributes {
    /// The last of two pairs with the same name stands.
    fn from_iter<I: IntoIterator<Item = (&'static str, AttributeValue)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by(|left, right| left.0.cmp(right.0));
        pairs.reverse();
        pairs.dedup_by(|later, earlier| later.0 == earlier.0);
        pairs.reverse();
        Self(pairs.into())
    }
}

impl<const N: usize> From<[(&'static str, AttributeValue); N]> for Attributes {
    fn from(pairs: [(&'static str, AttributeValue); N]) -> Self {
        pairs.into_iter().collect()
    }
}

/// Whose metrics: one service instance, or the host. Shared by all its points.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// Resource attributes in OpenTelemetry's names (`service.name`, `host.name`, ...).
    pub attributes: Attributes,
    /// The few of them that Prometheus series carry as labels; the rest is in `target_info`.
    /// Empty for the host.
    pub identity: Attributes,
}

/// A distribution: cumulative since `Point::start`.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper bounds (inclusive) of the buckets, ascending, without +Inf.
    pub bounds: Arc<[f64]>,
    /// Values per bucket, not cumulative; one more than `bounds`, the last for +Inf.
    pub counts: Vec<u64>,
    /// Exact sum.
    pub sum: f64,
}

impl Histogram {
    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A measured value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number (counters of things, bytes).
    Integer(u64),
    /// Any other number.
    Float(f64),
    /// A distribution.
    Histogram(Histogram),
}

/// A sample value with the trace that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// The value itself.
    pub value: f64,
    /// When.
    pub time: SystemTime,
    /// W3C trace id.
    pub trace_id: [u8; 16],
    /// W3C span id.
    pub span_id: [u8; 8],
}

/// One series' present value.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Whose.
    pub resource: Arc<Resource>,
    /// Attributes besides the resource's.
    pub attributes: Attributes,
    /// Since when a cumulative value counts.
    pub start: SystemTime,
    /// The value.
    pub value: Value,
    /// Recent examples; histograms only, at most one per bucket.
    pub exemplars: Vec<Exemplar>,
}

/// A metric with its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// What it is.
    pub descriptor: &'static Descriptor,
    /// Its series.
    pub points: Vec<Point>,
}

/// All metrics at one moment. Every exporter writes from the same one.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was made.
    pub time: SystemTime,
    /// The metrics, each descriptor once.
    pub families: Vec<Family>,
    /// The host's resource, for what a consumer says about the agent itself.
    pub host: Arc<Resource>,
}

/// Collects points into families while a snapshot is made.
#[derive(Debug)]
pub struct Collector {
    families: Vec<Family>,
    /// Start of the agent: the default for cumulative points.
    start: SystemTime,
    host: Arc<Resource>,
}

impl Collector {
    /// An empty one; points without a resource of their own belong to `host`.
    #[must_use]
    pub fn new(host: Arc<Resource>, start: SystemTime) -> Self {
        Self {
            families: Vec::new(),
            start,
            host,
        }
    }

    /// The host's resource.
    #[must_use]
    pub fn host(&self) -> &Arc<Resource> {
        &self.host
    }

    /// When cumulative values began.
    #[must_use]
    pub fn start(&self) -> SystemTime {
        self.start
    }

    /// Adds a point of the host.
    pub fn push(&mut self, descriptor: &'static Descriptor, attributes: Attributes, value: Value) {
        let resource = Arc::clone(&self.host);
        self.push_for(descriptor, resource, attributes, value);
    }

    /// Adds a point of a service.
    pub fn push_for(
        &mut self,
        descriptor: &'static Descriptor,
        resource: Arc<Resource>,
        attributes: Attributes,
        value: Value,
    ) {
        let start = self.start;
        self.push_point(
            descriptor,
            Point {
                resource,
                attributes,
                start,
                value,
                exemplars: Vec::new(),
            },
        );
    }

    /// Adds a complete point.
    pub fn push_point(&mut self, descriptor: &'static Descriptor, point: Point) {
        // Points of one metric come one after another, so the search ends at its first look.
        let family = self
            .families
            .iter()
            .rposition(|family| family.descriptor.name == descriptor.name);
        match family {
            Some(index) => self.families[index].points.push(point),
            None => self.families.push(Family {
                descriptor,
                points: vec![point],
            }),
        }
    }

    /// Adds families that were collected elsewhere.
    pub fn absorb(&mut self, families: Vec<Family>) {
        for family in families {
            for point in family.points {
                self.push_point(family.descriptor, point);
            }
        }
    }

    /// What was collected, to be absorbed elsewhere.
    #[must_use]
    pub fn into_families(self) -> Vec<Family> {
        self.families
    }

    /// The finished snapshot.
    #[must_use]
    pub fn finish(self, time: SystemTime) -> Snapshot {
        Snapshot {
            time,
            families: self.families,
            host: self.host,
        }
    }
}

/// Bucket bounds of the HTTP, RPC and TCP duration histograms, in seconds.
pub const DURATION_BOUNDS: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5,
    5.0, 7.5, 10.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_sorted_and_the_last_of_a_name_stands() {
        let attributes =
            Attributes::from([("b", "1".into()), ("a", 2_i64.into()), ("b", "3".into())]);
        let pairs: Vec<_> = attributes
            .iter()
            .map(|(k, v)| (*k, v.to_string()))
            .collect();
        assert_eq!(pairs, [("a", "2".to_owned()), ("b", "3".to_owned())]);
        assert_eq!(attributes.get("b"), Some(&"3".into()));
        assert_eq!(attributes.get("c"), None);
    }
}
