//! Series that were found lately, by what they were found by.
//!
//! From an exchange to its series the way leads through tables of services, routes, servers and
//! series, past the text of path and host. A resource, and mostly a path or host that repeats, is
//! the same allocation each time (see [`crate::l7`] and
//! [`owner_at`](crate::enrich::process::Processes::owner_at)), so that a look at some addresses
//! finds the series again. What is not found here is looked up, and is the same.

use std::{
    hash::{Hash as _, Hasher as _},
    sync::Arc,
};

use crate::{
    aggregate::{cardinality::Place, route::RouteId},
    hash::NumberHasher,
    l7::exchange::{Exchange, Failure, Method, Role},
    metric::Resource,
};

/// Series that are remembered.
const SLOTS: usize = 1024;

/// An exchange's route and the place of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) route: RouteId,
    pub(super) place: Place,
}

/// What was found lately. One slot per hash: what is new takes the place of what is old.
#[derive(Debug)]
pub(super) struct Recent {
    slots: Vec<Option<Entry>>,
}

#[derive(Debug)]
struct Entry {
    question: Question,
    found: Found,
}

/// Everything of an exchange that its series depends on. Holds on to what it compares by
/// address, so that nothing else can come to have that address.
#[derive(Debug)]
struct Question {
    resource: Arc<Resource>,
    path: Arc<str>,
    method: Method,
    status: Option<u16>,
    failure: Option<Failure>,
    version: &'static str,
    scheme: &'static str,
    /// Of a client, the server that it asked.
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    host: Option<Arc<str>>,
    remote: [u8; 16],
    remote_port: u16,
}

impl Recent {
    pub(super) fn new() -> Self {
        let mut slots = Vec::new();
        slots.resize_with(SLOTS, || None);
        Self { slots }
    }

    /// What was found for an exchange that has the same series.
    pub(super) fn find(&self, exchange: &Exchange, resource: &Arc<Resource>) -> Option<Found> {
        let entry = self.slots.get(slot(exchange, resource))?.as_ref()?;
        let same = entry.question.is_of(exchange, resource);
        same.then_some(entry.found)
    }

    /// Remembers what was found for an exchange.
    pub(super) fn remember(&mut self, exchange: &Exchange, resource: &Arc<Resource>, found: Found) {
        if let Some(place) = self.slots.get_mut(slot(exchange, resource)) {
            let question = Question::of(exchange, resource);
            *place = Some(Entry { question, found });
        }
    }

    /// Forgets everything: places have changed.
    pub(super) fn clear(&mut self) {
        self.slots.fill_with(|| None);
    }
}

fn slot(exchange: &Exchange, resource: &Arc<Resource>) -> usize {
    let mut hasher = NumberHasher::default();
    Arc::as_ptr(resource).addr().hash(&mut hasher);
    exchange.path.as_ptr().addr().hash(&mut hasher);
    (exchange.method as usize + (usize::from(exchange.status.unwrap_or(0)) << 8)).hash(&mut hasher);
    if exchange.role == Role::Client {
        let host = exchange.host.as_ref();
        host.map_or(0, |host| host.as_ptr().addr())
            .hash(&mut hasher);
    }
    usize::try_from(hasher.finish()).unwrap_or_default() % SLOTS
}

impl Question {
    fn of(exchange: &Exchange, resource: &Arc<Resource>) -> Self {
        Self {
            resource: Arc::clone(resource),
            path: Arc::clone(&exchange.path),
            method: exchange.method,
            status: exchange.status,
            failure: exchange.failure,
            version: exchange.version,
            scheme: exchange.scheme,
            asked: (exchange.role == Role::Client).then(|| Asked {
                host: exchange.host.clone(),
                remote: exchange.tuple.remote,
                remote_port: exchange.tuple.remote_port,
            }),
        }
    }

    fn is_of(&self, exchange: &Exchange, resource: &Arc<Resource>) -> bool {
        Arc::ptr_eq(&self.resource, resource)
            && Arc::ptr_eq(&self.path, &exchange.path)
            && self.method == exchange.method
            && self.status == exchange.status
            && self.failure == exchange.failure
            && self.version == exchange.version
            && self.scheme == exchange.scheme
            && match &self.asked {
                None => exchange.role == Role::Server,
                Some(asked) => exchange.role == Role::Client && asked.is_of(exchange),
            }
    }
}

impl Asked {
    fn is_of(&self, exchange: &Exchange) -> bool {
        let same_host = match (&self.host, &exchange.host) {
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
            (None, None) => true,
            _ => false,
        };
        same_host
            && self.remote_port == exchange.tuple.remote_port
            && self.remote == exchange.tuple.remote
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{
        cardinality::{Limits, Table},
        fixture::{exchange, resource},
        service::Services,
    };

    /// Places of three series.
    fn places() -> [Place; 3] {
        let mut services = Services::new(1);
        let service = services.id(&resource("shop"), || std::time::UNIX_EPOCH);
        let mut table = Table::<u8, u64>::new("test", Limits::default());
        [0, 1, 2].map(|key| table.place(service, Some(key)))
    }

    #[test]
    fn whatever_a_series_depends_on_is_told_apart() {
        let (shop, [place, ..]) = (resource("shop"), places());
        let found = Found {
            route: RouteId::OTHER,
            place,
        };
        let asked = Exchange {
            host: Some("h".into()),
            ..exchange(Role::Client)
        };
        let mut recent = Recent::new();
        recent.remember(&asked, &shop, found);
        assert_eq!(recent.find(&asked, &shop), Some(found));
        let others: [fn(&mut Exchange); 9] = [
            |other| other.path = "/users/42".into(),
            |other| other.method = Method::Put,
            |other| other.status = Some(201),
            |other| other.failure = Some(Failure::ConnectionReset),
            |other| other.version = "1.0",
            |other| other.scheme = "https",
            |other| other.host = None,
            |other| other.tuple.remote_port += 1,
            |other| other.role = Role::Server,
        ];
        for change in others {
            let mut other = asked.clone();
            change(&mut other);
            assert_eq!(recent.find(&other, &shop), None, "{other:?}");
        }
        assert_eq!(recent.find(&asked, &resource("shop")), None);
        recent.clear();
        assert_eq!(recent.find(&asked, &shop), None);
    }

    #[test]
    fn a_server_is_not_told_apart_by_who_asked() {
        let (shop, [_, place, _]) = (resource("shop"), places());
        let answered = exchange(Role::Server);
        let found = Found {
            route: RouteId::OTHER,
            place,
        };
        let mut recent = Recent::new();
        recent.remember(&answered, &shop, found);
        let mut other = answered;
        other.host = Some("elsewhere".into());
        other.tuple.remote_port += 1;
        assert_eq!(recent.find(&other, &shop), Some(found));
    }
}
