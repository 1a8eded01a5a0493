//! One series of a table, and where its points go.

use std::{sync::Arc, time::SystemTime};

use crate::{
    aggregate::service::{ServiceId, Services},
    metric::{AttributeValue, Attributes, Collector, Descriptor, Exemplar, Point, Resource, Value},
};

/// Attribute of an overflow series (OpenTelemetry metrics SDK specification, "Overflow attribute").
pub const OVERFLOW: &str = "otel.metric.overflow";

/// Whose a series is and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot<K> {
    /// A series of its own.
    Own(ServiceId, K),
    /// What one service has over its cap.
    ServiceOverflow(ServiceId),
    /// What had no room in any service's series.
    GlobalOverflow,
}

impl<K: Copy> Slot<K> {
    /// The key of a series of its own.
    pub fn key(&self) -> Option<K> {
        match self {
            Self::Own(_, key) => Some(*key),
            Self::ServiceOverflow(_) | Self::GlobalOverflow => None,
        }
    }

    /// The same place with less of the key.
    pub fn map<L>(self, map: impl FnOnce(K) -> L) -> Slot<L> {
        match self {
            Self::Own(service, key) => Slot::Own(service, map(key)),
            Self::ServiceOverflow(service) => Slot::ServiceOverflow(service),
            Self::GlobalOverflow => Slot::GlobalOverflow,
        }
    }

    /// Whose the series is and since when it counts: the host's and the agent's start where it is
    /// nobody's.
    pub fn owner(&self, services: &Services, collector: &Collector) -> (Arc<Resource>, SystemTime) {
        let service = match self {
            Self::Own(service, _) | Self::ServiceOverflow(service) => services.get(*service),
            Self::GlobalOverflow => None,
        };
        service.map_or_else(
            || (Arc::clone(collector.host()), collector.start()),
            |service| (Arc::clone(&service.resource), service.start),
        )
    }

    /// The series' attributes: `describe` for one of its own, else that it is an overflow series.
    pub fn attributes(&self, describe: impl FnOnce(K) -> Attributes) -> Attributes {
        self.key().map_or_else(overflow_attributes, describe)
    }
}

/// Attributes of an overflow series.
#[must_use]
pub fn overflow_attributes() -> Attributes {
    Attributes::from([(OVERFLOW, AttributeValue::Boolean(true))])
}

/// Where the points of one series go.
#[derive(Debug)]
pub struct Series<'a> {
    collector: &'a mut Collector,
    resource: Arc<Resource>,
    start: SystemTime,
    attributes: Attributes,
}

impl<'a> Series<'a> {
    /// The series of `slot`.
    pub fn new<K: Copy>(
        collector: &'a mut Collector,
        services: &Services,
        slot: &Slot<K>,
        describe: impl FnOnce(K) -> Attributes,
    ) -> Self {
        let (resource, start) = slot.owner(services, collector);
        Self {
            collector,
            resource,
            start,
            attributes: slot.attributes(describe),
        }
    }

    /// Adds the series' value of one metric.
    pub fn push(&mut self, descriptor: &'static Descriptor, value: Value) {
        self.push_with(descriptor, [], value, Vec::new());
    }

    /// Adds a value with more attributes, and examples of it.
    pub fn push_with<const N: usize>(
        &mut self,
        descriptor: &'static Descriptor,
        more: [(&'static str, AttributeValue); N],
        value: Value,
        exemplars: Vec<Exemplar>,
    ) {
        let attributes = if N == 0 {
            self.attributes.clone()
        } else {
            self.attributes.iter().cloned().chain(more).collect()
        };
        let point = Point {
            resource: Arc::clone(&self.resource),
            attributes,
            start: self.start,
            value,
            exemplars,
        };
        self.collector.push_point(descriptor, point);
    }
}
