//! Services by number, so that a series' key stays a few bytes.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use crate::{enrich::Renewed, hash::NumberMap, metric::Resource};

/// A service within one aggregator's [`Services`]; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(u32);

/// One service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its resource.
    pub resource: Arc<Resource>,
    /// When its values began to count: not after the first thing observed of it.
    pub start: SystemTime,
}

/// How many allocations of equal resources are remembered before all are looked up anew.
const ALIASES: usize = 4_096;

/// The services that an aggregator has series for.
///
/// Resources are the same when they are equal. That is costly to find out, so the address of each
/// `Arc` that was seen is remembered; it is kept alive meanwhile, so that no other resource can
/// come to have its address.
#[derive(Debug)]
pub struct Services {
    by_address: NumberMap<usize, (ServiceId, Arc<Resource>)>,
    by_value: HashMap<Arc<Resource>, ServiceId>,
    by_id: HashMap<ServiceId, Service>,
    limit: usize,
    next: u32,
}

impl Services {
    /// An empty table for at most `limit` services.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            by_address: NumberMap::default(),
            by_value: HashMap::new(),
            by_id: HashMap::new(),
            limit,
            next: 0,
        }
    }

    /// The service's number; `None` for a new one when the table is full. `start` is asked for
    /// when it is new.
    pub fn id(
        &mut self,
        resource: &Arc<Resource>,
        start: impl FnOnce() -> SystemTime,
    ) -> Option<ServiceId> {
        let address = Arc::as_ptr(resource).addr();
        if let Some((id, _)) = self.by_address.get(&address) {
            return Some(*id);
        }
        let id = match self.by_value.get(resource) {
            Some(id) => *id,
            None => self.add(resource, start())?,
        };
        if self.by_address.len() >= ALIASES {
            self.by_address.clear();
        }
        self.by_address.insert(address, (id, Arc::clone(resource)));
        Some(id)
    }

    fn add(&mut self, resource: &Arc<Resource>, start: SystemTime) -> Option<ServiceId> {
        if self.by_id.len() >= self.limit {
            return None;
        }
        let id = ServiceId(self.next);
        self.next = self.next.checked_add(1)?;
        self.by_value.insert(Arc::clone(resource), id);
        self.by_id.insert(
            id,
            Service {
                resource: Arc::clone(resource),
                start,
            },
        );
        Some(id)
    }

    /// A service has another resource from now on: it keeps its number, its start and with them
    /// its series. Where the new resource is another service's already, both are told under it
    /// ([`Renames`](crate::metric::Renames) adds them up), and what is observed from now on counts
    /// for that one.
    pub fn renew(&mut self, renewed: &Renewed) {
        let Some(id) = self.by_value.remove(&renewed.old) else {
            return;
        };
        let known = self.by_value.get_key_value(&renewed.new);
        let resource = Arc::clone(known.map_or(&renewed.new, |(resource, _)| resource));
        self.by_value.entry(Arc::clone(&resource)).or_insert(id);
        self.by_address.retain(|_, (held, _)| *held != id);
        // Not one alone, where others have become one with it before.
        for service in self.by_id.values_mut() {
            if service.resource == renewed.old {
                service.resource = Arc::clone(&resource);
            }
        }
    }

    /// The service with this number.
    #[must_use]
    pub fn get(&self, id: ServiceId) -> Option<&Service> {
        self.by_id.get(&id)
    }

    /// Drops the services that `keep` doesn't hold to, and says which.
    pub fn retain(&mut self, keep: impl Fn(&Resource) -> bool) -> HashSet<ServiceId> {
        let gone: HashSet<ServiceId> = self
            .by_id
            .iter()
            .filter(|(_, service)| !keep(&service.resource))
            .map(|(id, _)| *id)
            .collect();
        if !gone.is_empty() {
            self.by_id.retain(|id, _| !gone.contains(id));
            self.by_value.retain(|_, id| !gone.contains(id));
            self.by_address.retain(|_, (id, _)| !gone.contains(id));
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::metric::Attributes;

    fn resource(name: &str) -> Arc<Resource> {
        Arc::new(Resource {
            attributes: Attributes::from([("service.name", name.into())]),
            identity: Attributes::none(),
        })
    }

    #[test]
    fn equal_resources_are_one_service() {
        let mut services = Services::new(10);
        let first = services.id(&resource("a"), || UNIX_EPOCH);
        assert!(first.is_some());
        assert_eq!(services.id(&resource("a"), || UNIX_EPOCH), first);
        assert_ne!(services.id(&resource("b"), || UNIX_EPOCH), first);
    }

    #[test]
    fn a_full_table_still_knows_those_it_has() {
        let mut services = Services::new(1);
        let first = services.id(&resource("a"), || UNIX_EPOCH);
        assert_eq!(services.id(&resource("b"), || UNIX_EPOCH), None);
        assert_eq!(services.id(&resource("a"), || UNIX_EPOCH), first);
    }

    #[test]
    fn a_number_is_never_given_twice() {
        let mut services = Services::new(1);
        let first = services.id(&resource("a"), || UNIX_EPOCH).unwrap();
        assert_eq!(services.retain(|_| false), HashSet::from([first]));
        assert!(services.get(first).is_none());
        let again = services.id(&resource("a"), || UNIX_EPOCH).unwrap();
        assert_ne!(again, first);
    }

    #[test]
    fn a_renewed_service_keeps_its_number_and_start() {
        let mut services = Services::new(1);
        let (old, new) = (resource("a"), resource("b"));
        let id = services.id(&old, || UNIX_EPOCH).unwrap();
        services.renew(&Renewed {
            old,
            new: Arc::clone(&new),
            merges: false,
        });
        assert_eq!(services.id(&new, std::time::SystemTime::now), Some(id));
        let service = services.get(id).unwrap();
        assert_eq!((&service.resource, service.start), (&new, UNIX_EPOCH));
        // One that has no series here has none to move.
        let (other, another) = (resource("c"), resource("d"));
        services.renew(&Renewed {
            old: other,
            new: another,
            merges: false,
        });
        assert_eq!(services.by_id.len(), 1);
    }

    #[test]
    fn services_that_become_one_keep_their_series_and_count_as_one() {
        let mut services = Services::new(10);
        let [first, second, other] = ["a", "b", "c"].map(resource);
        let ids = [&first, &second].map(|one| services.id(one, || UNIX_EPOCH).unwrap());
        let become_one = |services: &mut Services, old: &Arc<Resource>, new: &Arc<Resource>| {
            services.renew(&Renewed {
                old: Arc::clone(old),
                new: Arc::clone(new),
                merges: true,
            });
        };
        become_one(&mut services, &first, &second);
        assert_eq!(services.id(&second, || UNIX_EPOCH), Some(ids[1]));
        // A resource of both changes.
        become_one(&mut services, &second, &other);
        for id in ids {
            assert_eq!(services.get(id).unwrap().resource, other);
        }
        assert_eq!(services.id(&other, || UNIX_EPOCH), Some(ids[1]));
        assert_eq!(services.retain(|_| false), HashSet::from(ids));
    }

    #[test]
    fn remembered_addresses_are_bounded() {
        let mut services = Services::new(1);
        let first = services.id(&resource("a"), || UNIX_EPOCH);
        let kept: Vec<_> = (0..ALIASES * 2).map(|_| resource("a")).collect();
        for alias in &kept {
            assert_eq!(services.id(alias, || UNIX_EPOCH), first);
        }
        assert!(services.by_address.len() <= ALIASES);
    }
}
