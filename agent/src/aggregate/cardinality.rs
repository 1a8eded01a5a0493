//! Series under caps: what has no room of its own is counted in an overflow series, so that
//! totals stay right.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
    time::SystemTime,
};

use super::service::{ServiceId, Services};
use crate::metric::{
    AttributeValue, Attributes, Collector, Descriptor, Exemplar, Kind, Point, Resource, Unit, Value,
};

/// Attribute of an overflow series (OpenTelemetry metrics SDK specification, "Overflow attribute").
pub const OVERFLOW: &str = "otel.metric.overflow";

/// How many series there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series of one service, without its overflow series.
    pub per_service: usize,
    /// Series of all services together, the services' overflow series among them. Services
    /// without room for one share a last one, which belongs to the host.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_service: 2_000,
            total: 20_000,
        }
    }
}

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

/// Values of one or more metrics by service and attributes.
#[derive(Debug)]
pub struct Table<K, V> {
    family: &'static str,
    limits: Limits,
    /// Where in `values` a series is.
    index: HashMap<(ServiceId, K), usize>,
    values: Vec<V>,
    services: HashMap<ServiceId, PerService<V>>,
    global: Option<V>,
    overflowing_services: usize,
    overflowed: u64,
}

#[derive(Debug)]
struct PerService<V> {
    series: usize,
    overflow: Option<V>,
}

impl<K: Copy + Eq + Hash + Ord, V: Default> Table<K, V> {
    /// An empty table; `family` names it in the agent's own metrics.
    #[must_use]
    pub fn new(family: &'static str, limits: Limits) -> Self {
        Self {
            family,
            limits,
            index: HashMap::new(),
            values: Vec::new(),
            services: HashMap::new(),
            global: None,
            overflowing_services: 0,
            overflowed: 0,
        }
    }

    /// The value to add an observation to. No service, or no key, means that there was no room
    /// for what they stand for; that overflows too.
    pub fn observe(&mut self, service: Option<ServiceId>, key: Option<K>) -> &mut V {
        self.observe_many(service, key, 1)
    }

    /// The value to add `count` observations to at once.
    pub fn observe_many(
        &mut self,
        service: Option<ServiceId>,
        key: Option<K>,
        count: u64,
    ) -> &mut V {
        if let Some(index) = service.zip(key).and_then(|pair| self.index_of(pair)) {
            return self
                .values
                .get_mut(index)
                .expect("the index and the values grow and shrink together");
        }
        self.overflowed += count;
        match service.filter(|service| self.claim_overflow(*service)) {
            Some(service) => self
                .services
                .entry(service)
                .or_insert(PerService {
                    series: 0,
                    overflow: None,
                })
                .overflow
                .get_or_insert_default(),
            None => self.global.get_or_insert_default(),
        }
    }

    /// Where the series' value is; a new one where there is room for it.
    fn index_of(&mut self, pair: (ServiceId, K)) -> Option<usize> {
        if let Some(index) = self.index.get(&pair) {
            return Some(*index);
        }
        let index = self.claim(pair.0).then_some(self.values.len())?;
        self.values.push(V::default());
        self.index.insert(pair, index);
        Some(index)
    }

    /// Counts a new series of the service, when there is room.
    fn claim(&mut self, service: ServiceId) -> bool {
        let room = self.len() < self.limits.total;
        let owner = self.services.entry(service).or_insert(PerService {
            series: 0,
            overflow: None,
        });
        let granted = room && owner.series < self.limits.per_service;
        if granted {
            owner.series += 1;
        }
        granted
    }

    /// Whether the service has an overflow series, or there is room for one.
    fn claim_overflow(&mut self, service: ServiceId) -> bool {
        let has = self
            .services
            .get(&service)
            .is_some_and(|owner| owner.overflow.is_some());
        let granted = has || self.len() < self.limits.total;
        if granted && !has {
            self.overflowing_services += 1;
        }
        granted
    }

    /// Number of series, overflow series among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() + self.overflowing_services + usize::from(self.global.is_some())
    }

    /// Whether nothing was observed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All series, those of one service together, in an order that stays.
    pub fn iter(&self) -> impl Iterator<Item = (Slot<K>, &V)> {
        let own = self.index.iter().filter_map(|((service, key), index)| {
            let value = self.values.get(*index)?;
            Some((Slot::Own(*service, *key), value))
        });
        let overflow = self.services.iter().filter_map(|(service, owner)| {
            let value = owner.overflow.as_ref()?;
            Some((Slot::ServiceOverflow(*service), value))
        });
        let global = self
            .global
            .iter()
            .map(|value| (Slot::GlobalOverflow, value));
        let mut all: Vec<_> = own.chain(overflow).chain(global).collect();
        all.sort_unstable_by_key(|(slot, _)| *slot);
        all.into_iter()
    }

    /// All values, to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values
            .iter_mut()
            .chain(
                self.services
                    .values_mut()
                    .filter_map(|owner| owner.overflow.as_mut()),
            )
            .chain(&mut self.global)
    }

    /// Forgets the series of services that are gone.
    pub fn forget(&mut self, gone: &HashSet<ServiceId>) {
        if gone.is_empty() {
            return;
        }
        let mut values: Vec<_> = self.values.drain(..).map(Some).collect();
        self.index.retain(|(service, _), index| {
            let value = values.get_mut(*index).and_then(Option::take);
            let kept = value.filter(|_| !gone.contains(service));
            *index = self.values.len();
            let keep = kept.is_some();
            self.values.extend(kept);
            keep
        });
        self.services.retain(|service, _| !gone.contains(service));
        self.overflowing_services = self
            .services
            .values()
            .filter(|owner| owner.overflow.is_some())
            .count();
    }

    /// What the table holds, for the agent's own metrics.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            family: self.family,
            series: self.len(),
            overflowed: self.overflowed,
        }
    }
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
pub const SERIES: Descriptor = Descriptor {
    name: "sonde.series",
    help: "Series held, by the group of metrics that share them",
    unit: Unit::None,
    kind: Kind::Gauge,
};

/// Observations without a series of their own.
pub const SERIES_OVERFLOW: Descriptor = Descriptor {
    name: "sonde.series.overflow",
    help: "Observations that were counted in an overflow series because a cap was reached",
    unit: Unit::Count("{observation}"),
    kind: Kind::Counter,
};

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

#[cfg(test)]
mod tests;
