//! Names: OpenTelemetry's dotted ones in Prometheus' spelling.

use std::borrow::Cow;

use crate::metric::{Descriptor, Kind, Unit};

/// A family's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// With the unit, without `_total`.
    family: String,
    /// With `_total` for counters.
    sample: String,
    unit: Option<&'static str>,
}

impl Name {
    /// Dots and all else that a name can't hold become underscores, then come the unit and, for
    /// counters, `total`. A suffix that the name has already is not repeated.
    pub(super) fn new(descriptor: &Descriptor) -> Self {
        let counter = descriptor.kind == Kind::Counter;
        let mut family = sanitise(descriptor.name);
        if counter && let Some(stem) = family.strip_suffix("_total") {
            family = stem.to_owned();
        }
        let unit = unit(descriptor);
        if let Some(unit) = unit {
            append(&mut family, unit);
        }
        let mut sample = family.clone();
        if counter {
            append(&mut sample, "total");
        }
        Self {
            family,
            sample,
            unit,
        }
    }

    /// Name of the family, which `OpenMetrics` writes in its metadata: a counter's without `_total`.
    pub(super) fn family(&self) -> &str {
        &self.family
    }

    /// Name of its samples (before a histogram's own suffixes), and of the family in format 0.0.4.
    pub(super) fn sample(&self) -> &str {
        &self.sample
    }

    /// The unit that the family's name ends with.
    pub(super) fn unit(&self) -> Option<&'static str> {
        self.unit
    }

    /// Whether a single-valued sample of this name reads like part of a histogram or summary.
    ///
    /// Such families have to go without a type: `process.thread.count` is a gauge, but tools take
    /// `_count` for the count of a distribution and complain.
    pub(super) fn is_reserved(&self) -> bool {
        let reserved = ["_count", "_sum", "_bucket"];
        reserved.iter().any(|suffix| self.sample.ends_with(suffix))
    }
}

/// The unit's suffix. A ratio shows in the names of gauges only, as the rules have it.
fn unit(descriptor: &Descriptor) -> Option<&'static str> {
    match descriptor.unit {
        Unit::None | Unit::Count(_) => None,
        Unit::Seconds => Some("seconds"),
        Unit::Bytes => Some("bytes"),
        Unit::Ratio => (descriptor.kind == Kind::Gauge).then_some("ratio"),
        Unit::Hertz => Some("hertz"),
        Unit::Celsius => Some("celsius"),
        Unit::Joules => Some("joules"),
        Unit::Watts => Some("watts"),
    }
}

fn append(name: &mut String, suffix: &str) {
    let stem = name.strip_suffix(suffix);
    if stem.is_some_and(|stem| stem.is_empty() || stem.ends_with('_')) {
        return;
    }
    name.push('_');
    name.push_str(suffix);
}

/// A metric's name in `[a-zA-Z_:][a-zA-Z0-9_:]*`, runs of underscores as one.
fn sanitise(dotted: &str) -> String {
    let mut name = String::with_capacity(dotted.len() + 16);
    if dotted.starts_with(|first: char| first.is_ascii_digit()) {
        name.push('_');
    }
    for character in dotted.chars() {
        if character.is_ascii_alphanumeric() || character == ':' {
            name.push(character);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    name
}

/// A label's name in `[a-zA-Z_][a-zA-Z0-9_]*`, runs of underscores as one; `key_` comes before a
/// digit.
pub(super) fn label(dotted: &str) -> Cow<'_, str> {
    let bytes = dotted.as_bytes();
    let plain = bytes
        .iter()
        .all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && !dotted.contains("__") && !dotted.starts_with(|first: char| first.is_ascii_digit())
    {
        return Cow::Borrowed(dotted);
    }
    let mut name = String::with_capacity(dotted.len() + 4);
    if dotted.starts_with(|first: char| first.is_ascii_digit()) {
        name.push_str("key_");
    }
    for character in dotted.chars() {
        if character.is_ascii_alphanumeric() {
            name.push(character);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    Cow::Owned(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &'static str, unit: Unit, kind: Kind) -> Name {
        Name::new(&Descriptor {
            name,
            help: "",
            unit,
            kind,
        })
    }

    #[test]
    fn names_follow_the_compatibility_rules() {
        let cases = [
            (
                "http.server.request.duration",
                Unit::Seconds,
                Kind::Histogram,
                "http_server_request_duration_seconds",
            ),
            (
                "system.network.io",
                Unit::Bytes,
                Kind::Counter,
                "system_network_io_bytes_total",
            ),
            (
                "system.cpu.utilization",
                Unit::Ratio,
                Kind::Gauge,
                "system_cpu_utilization_ratio",
            ),
            ("a.share", Unit::Ratio, Kind::Counter, "a_share_total"),
            ("a.share", Unit::Ratio, Kind::UpDownCounter, "a_share"),
            (
                "system.cpu.frequency",
                Unit::Hertz,
                Kind::Gauge,
                "system_cpu_frequency_hertz",
            ),
            (
                "hw.energy",
                Unit::Joules,
                Kind::Counter,
                "hw_energy_joules_total",
            ),
            ("hw.power", Unit::Watts, Kind::Gauge, "hw_power_watts"),
            (
                "hw.temperature",
                Unit::Celsius,
                Kind::Gauge,
                "hw_temperature_celsius",
            ),
            (
                "http.server.active_requests",
                Unit::Count("{request}"),
                Kind::UpDownCounter,
                "http_server_active_requests",
            ),
            (
                "syscalls",
                Unit::Count("{call}"),
                Kind::Counter,
                "syscalls_total",
            ),
            ("sum.total", Unit::None, Kind::Counter, "sum_total"),
            ("bytes.total", Unit::Bytes, Kind::Counter, "bytes_total"),
            ("spent.seconds", Unit::Seconds, Kind::Gauge, "spent_seconds"),
            (
                "milliseconds",
                Unit::Seconds,
                Kind::Gauge,
                "milliseconds_seconds",
            ),
            ("2.fast--odd", Unit::None, Kind::Gauge, "_2_fast_odd"),
            ("größe", Unit::None, Kind::Gauge, "gr_e"),
        ];
        for (dotted, unit, kind, expected) in cases {
            assert_eq!(name(dotted, unit, kind).sample(), expected, "{dotted}");
        }
    }

    #[test]
    fn a_counters_family_has_the_unit_but_not_the_total() {
        let name = name("tcp.io", Unit::Bytes, Kind::Counter);
        assert_eq!(name.family(), "tcp_io_bytes");
        assert_eq!(name.sample(), "tcp_io_bytes_total");
        assert_eq!(name.unit(), Some("bytes"));
    }

    #[test]
    fn only_names_that_read_like_a_distribution_are_reserved() {
        assert!(name("process.thread.count", Unit::None, Kind::Gauge).is_reserved());
        assert!(!name("process.count", Unit::None, Kind::Counter).is_reserved());
        assert!(!name("process.discount", Unit::None, Kind::Gauge).is_reserved());
    }

    #[test]
    fn label_names_keep_to_their_alphabet() {
        for (dotted, expected) in [
            ("service.name", "service_name"),
            ("plain", "plain"),
            ("a..b", "a_b"),
            ("1st", "key_1st"),
            ("a-b/c", "a_b_c"),
            ("__name__", "_name_"),
        ] {
            assert_eq!(label(dotted), expected);
        }
    }
}
