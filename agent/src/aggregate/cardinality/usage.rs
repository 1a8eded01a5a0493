//! What tables hold, for the agent's own metrics.

use crate::metric::{Attributes, Collector, Descriptor, Unit, Value};

/// What a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Which table.
    pub family: &'static str,
    /// Series in it.
    pub series: usize,
    /// Observations that went into an overflow series.
    pub overflowed: u64,
}

/// Series held.
pub const SERIES: Descriptor = Descriptor::gauge(
    "sonde.series",
    "Series held, by the group of metrics that share them",
    Unit::None,
);

/// Observations without a series of their own.
pub const SERIES_OVERFLOW: Descriptor = Descriptor::counter(
    "sonde.series.overflow",
    "Observations that were counted in an overflow series because a cap was reached",
    Unit::Count("{observation}"),
);

/// Adds [`SERIES`] and [`SERIES_OVERFLOW`].
pub fn collect_usage(usages: impl IntoIterator<Item = Usage>, collector: &mut Collector) {
    for usage in usages {
        let attributes = Attributes::from([("metric_family", usage.family.into())]);
        let series = Value::Integer(usage.series as u64);
        collector.push(&SERIES, attributes.clone(), series);
        let overflowed = Value::Integer(usage.overflowed);
        collector.push(&SERIES_OVERFLOW, attributes, overflowed);
    }
}
