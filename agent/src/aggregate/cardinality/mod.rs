//! Series under caps: what has no room of its own is counted in an overflow series, so that
//! totals stay right.

mod series;
#[cfg(test)]
mod tests;
mod usage;

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

pub use self::{
    series::{OVERFLOW, Series, Slot, overflow_attributes},
    usage::{SERIES, SERIES_OVERFLOW, Usage, collect_usage},
};
use super::service::ServiceId;
use crate::hash::NumberMap;

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

/// Values of one or more metrics by service and attributes.
#[derive(Debug)]
pub struct Table<K, V> {
    family: &'static str,
    limits: Limits,
    /// Where in `values` a series is.
    index: NumberMap<(ServiceId, K), usize>,
    values: Vec<V>,
    services: HashMap<ServiceId, PerService<V>>,
    global: Option<V>,
    overflowing_services: usize,
    overflowed: u64,
}

/// Where in a table observations belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a series of its own, the one of this index.
    Own(usize),
    /// In what the service has over its cap.
    ServiceOverflow(ServiceId),
    /// In what has no room anywhere.
    GlobalOverflow,
}

#[derive(Debug, Default)]
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
            index: NumberMap::default(),
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
        let place = self.place(service, key);
        self.at(place, count)
    }

    /// Where observations of this service and key belong. Stays so until the next
    /// [`Table::forget`], which may move series and make room.
    pub fn place(&mut self, service: Option<ServiceId>, key: Option<K>) -> Place {
        if let Some(index) = service.zip(key).and_then(|pair| self.index_of(pair)) {
            return Place::Own(index);
        }
        service
            .filter(|service| self.claim_overflow(*service))
            .map_or(Place::GlobalOverflow, Place::ServiceOverflow)
    }

    /// The value to add `count` observations to that belong there.
    pub fn at(&mut self, place: Place, count: u64) -> &mut V {
        if let Place::Own(index) = place
            && let Some(value) = self.values.get_mut(index)
        {
            return value;
        }
        self.overflowed += count;
        match place {
            Place::ServiceOverflow(service) => self
                .services
                .entry(service)
                .or_default()
                .overflow
                .get_or_insert_default(),
            _ => self.global.get_or_insert_default(),
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
        let owner = self.services.entry(service).or_default();
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

    /// Takes out the series whose keys `are` says: the services that they were of, and their values.
    pub fn take(&mut self, are: impl Fn(K) -> bool) -> Vec<(ServiceId, V)> {
        if !self.index.keys().any(|(_, key)| are(*key)) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        let mut values: Vec<_> = self.values.drain(..).map(Some).collect();
        self.index.retain(|(service, key), index| {
            let Some(value) = values.get_mut(*index).and_then(Option::take) else {
                return false;
            };
            if are(*key) {
                taken.push((*service, value));
                return false;
            }
            *index = self.values.len();
            self.values.push(value);
            true
        });
        for (service, _) in &taken {
            if let Some(owner) = self.services.get_mut(service) {
                owner.series = owner.series.saturating_sub(1);
            }
        }
        taken
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
