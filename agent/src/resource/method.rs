//! The USE method itself: the same three metrics for every resource.

use std::time::SystemTime;

use super::read::Skipped;
use crate::metric::{Attributes, Collector, Descriptor, Point, Unit, Value};

/// Share of a resource's time or room that is in use.
pub static UTILIZATION: Descriptor = gauge(
    "use.utilization",
    "Share of the resource that is in use; a series without device is the whole resource, and more \
     than 1 means a limit below what is in use. A cgroup has several, told apart by signal: \
     cpu_quota, memory_limit (of the working set) and thread_limit",
    Unit::Ratio,
);

/// Work that waits.
pub static SATURATION: Descriptor = gauge(
    "use.saturation",
    "Work that waits for the resource or is turned away by it; the end of the signal is its unit: \
     _share a part of 1, _rate events per second, _length waiting items",
    Unit::None,
);

/// Whose work waits, or makes others' wait: the twin of [`SATURATION`] that names services.
pub static SATURATION_BY_SERVICE: Descriptor = gauge(
    "use.saturation.by_service",
    "Share of a service in the work that a resource has waiting or turns away; the end of the signal is \
     its unit, as in use_saturation",
    Unit::None,
);

/// What failed.
pub static USE_ERRORS: Descriptor = counter(
    "use.errors",
    "Failures of the resource by signal, as counted by the kernel since boot unless the signal's \
     own reference says otherwise",
    Unit::None,
);

/// More readings than this from one resource are given up: 8192 CPUs, the most that a kernel can be
/// built for, have fewer.
const MAX_READINGS: usize = 120_000;

/// A value of the attribute `signal`.
#[derive(Debug, PartialEq, Eq)]
pub struct Signal {
    /// The value. In `use.saturation` its end tells the unit: `_share`, `_rate` or `_length`.
    pub name: &'static str,
    /// What it means and which file it is from, one sentence without a final dot.
    pub help: &'static str,
}

/// Since when a counter counts.
#[derive(Clone, Copy, Debug)]
enum Since {
    /// The kernel's counters.
    Boot,
    /// What the agent itself counted.
    Agent,
}

#[derive(Debug)]
struct Reading {
    descriptor: &'static Descriptor,
    attributes: Attributes,
    since: Since,
    value: Value,
}

/// What one sample of a resource says: raw metrics and the three of the method.
///
/// Every adder takes an `Option` as well: what could not be measured is left out, never zero.
#[derive(Debug)]
pub struct Use {
    resource: &'static str,
    readings: Vec<Reading>,
    pub(super) skipped: Skipped,
}

impl Use {
    /// An empty one of the resource with this name.
    #[must_use]
    pub fn new(resource: &'static str) -> Self {
        Self {
            resource,
            readings: Vec::new(),
            skipped: Skipped::default(),
        }
    }

    /// How many values were there but could not be used.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.count()
    }

    /// Adds a raw metric that is a whole number.
    pub fn count(
        &mut self,
        descriptor: &'static Descriptor,
        attributes: impl Into<Attributes>,
        value: impl Into<Option<u64>>,
    ) {
        if let Some(value) = value.into() {
            let value = Value::Integer(value);
            self.push(descriptor, attributes.into(), Since::Boot, value);
        }
    }

    /// Adds a raw metric that is not a whole number.
    pub fn measure(
        &mut self,
        descriptor: &'static Descriptor,
        attributes: impl Into<Attributes>,
        value: impl Into<Option<f64>>,
    ) {
        match value.into() {
            Some(value) if value.is_finite() => {
                let value = Value::Float(value);
                self.push(descriptor, attributes.into(), Since::Boot, value);
            }
            Some(_) => self.skipped.one(),
            None => {}
        }
    }

    /// Adds the utilization of a device, or of the whole resource; 0 to 1.
    pub fn utilization(&mut self, device: Option<&str>, ratio: impl Into<Option<f64>>) {
        let attributes = self.attributes(device, None);
        self.measure(&UTILIZATION, attributes, ratio);
    }

    /// Adds a saturation signal of a device, or of the whole resource.
    pub fn saturation(
        &mut self,
        device: Option<&str>,
        signal: &'static Signal,
        value: impl Into<Option<f64>>,
    ) {
        let attributes = self.attributes(device, Some(signal));
        self.measure(&SATURATION, attributes, value);
    }

    /// Adds an error count that the kernel keeps since boot.
    pub fn errors(
        &mut self,
        device: Option<&str>,
        signal: &'static Signal,
        count: impl Into<Option<u64>>,
    ) {
        let attributes = self.attributes(device, Some(signal));
        self.count(&USE_ERRORS, attributes, count);
    }

    /// Adds an error count that the agent keeps since its own start.
    pub fn observed_errors(&mut self, device: Option<&str>, signal: &'static Signal, count: u64) {
        let attributes = self.attributes(device, Some(signal));
        self.push(&USE_ERRORS, attributes, Since::Agent, Value::Integer(count));
    }

    /// Pushes everything as the host's; the kernel's counters start at `boot` where it is known.
    pub fn collect(self, boot: Option<SystemTime>, collector: &mut Collector) {
        for reading in self.readings {
            let start = match reading.since {
                Since::Boot => boot.unwrap_or(collector.start()),
                Since::Agent => collector.start(),
            };
            let point = Point {
                resource: collector.host().clone(),
                attributes: reading.attributes,
                start,
                value: reading.value,
                exemplars: Vec::new(),
            };
            collector.push_point(reading.descriptor, point);
        }
    }

    fn attributes(&self, device: Option<&str>, signal: Option<&Signal>) -> Attributes {
        [("resource", self.resource.into())]
            .into_iter()
            .chain(device.map(|device| ("device", device.into())))
            .chain(signal.map(|signal| ("signal", signal.name.into())))
            .collect()
    }

    fn push(
        &mut self,
        descriptor: &'static Descriptor,
        attributes: Attributes,
        since: Since,
        value: Value,
    ) {
        if self.readings.len() == MAX_READINGS {
            self.skipped.one();
            return;
        }
        self.readings.push(Reading {
            descriptor,
            attributes,
            since,
            value,
        });
    }
}

/// What failed for whom: the twin of [`USE_ERRORS`] that names services.
pub static ERRORS_BY_SERVICE: Descriptor = counter(
    "use.errors.by_service",
    "What a service was refused by a resource, or lost with it, by signal",
    Unit::None,
);

/// Attributes of a service's point in [`SATURATION_BY_SERVICE`] and [`ERRORS_BY_SERVICE`].
#[must_use]
pub fn by_service(resource: &'static str, device: Option<&str>, signal: &Signal) -> Attributes {
    [
        ("resource", resource.into()),
        ("signal", signal.name.into()),
    ]
    .into_iter()
    .chain(device.map(|device| ("device", device.into())))
    .collect()
}

/// Describes a counter.
pub(super) const fn counter(name: &'static str, help: &'static str, unit: Unit) -> Descriptor {
    Descriptor::counter(name, help, unit)
}

/// Describes something that adds up over its attributes and may shrink.
pub(super) const fn amount(name: &'static str, help: &'static str, unit: Unit) -> Descriptor {
    Descriptor::up_down_counter(name, help, unit)
}

/// Describes a gauge.
pub(super) const fn gauge(name: &'static str, help: &'static str, unit: Unit) -> Descriptor {
    Descriptor::gauge(name, help, unit)
}
