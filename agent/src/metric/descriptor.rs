//! What a metric is: its name, unit and kind.

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
    /// Joules, `J`.
    Joules,
    /// Watts, `W`.
    Watts,
    /// Things counted, UCUM annotation such as `{request}`. No Prometheus suffix.
    Count(&'static str),
}

impl Unit {
    /// As the Unified Code for Units of Measure writes it.
    #[must_use]
    pub const fn ucum(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "s",
            Self::Bytes => "By",
            Self::Ratio => "1",
            Self::Hertz => "Hz",
            Self::Celsius => "Cel",
            Self::Joules => "J",
            Self::Watts => "W",
            Self::Count(annotation) => annotation,
        }
    }
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

impl Descriptor {
    /// Describes a [`Kind::Counter`].
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str, unit: Unit) -> Self {
        Self::new(Kind::Counter, name, help, unit)
    }

    /// Describes a [`Kind::UpDownCounter`].
    #[must_use]
    pub const fn up_down_counter(name: &'static str, help: &'static str, unit: Unit) -> Self {
        Self::new(Kind::UpDownCounter, name, help, unit)
    }

    /// Describes a [`Kind::Gauge`].
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str, unit: Unit) -> Self {
        Self::new(Kind::Gauge, name, help, unit)
    }

    /// Describes a [`Kind::Histogram`].
    #[must_use]
    pub const fn histogram(name: &'static str, help: &'static str, unit: Unit) -> Self {
        Self::new(Kind::Histogram, name, help, unit)
    }

    const fn new(kind: Kind, name: &'static str, help: &'static str, unit: Unit) -> Self {
        Self {
            name,
            help,
            unit,
            kind,
        }
    }
}
