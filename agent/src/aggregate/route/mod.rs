//! Routes: what a service's paths have in common, under a cap per service.

mod classify;
mod placeholder;
mod template;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

pub use template::{MAX_LENGTH, MAX_SEGMENTS, REDACTED, redacted, route};

use super::service::ServiceId;
use crate::hash::NumberMap;

/// The route that stands for all routes over the cap.
pub const OTHER: &str = "_OTHER";

/// A route within one [`Routes`]; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(u32);

impl RouteId {
    /// [`OTHER`], of every service.
    pub const OTHER: Self = Self(0);
}

/// Whether the server knew the path, as far as its answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It answered with anything but 404 and 405.
    Yes,
    /// It answered 404 or 405: the path may be anybody's invention.
    No,
}

/// Caps of [`Routes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteLimits {
    /// Routes per service. A quarter of them may come from paths that the server did not know, so
    /// that a scanner can't use up the room of real routes.
    pub per_service: usize,
    /// Paths whose route is remembered, over all services; twice as many for short times.
    pub remembered: usize,
}

impl Default for RouteLimits {
    fn default() -> Self {
        Self {
            per_service: 200,
            remembered: 4_096,
        }
    }
}

/// Longest path that is remembered: longer ones are rare, and templated each time.
const REMEMBERED_LENGTH: usize = 256;

/// The routes of all services.
#[derive(Debug)]
pub struct Routes {
    limits: RouteLimits,
    services: HashMap<ServiceId, PerService>,
    templates: NumberMap<RouteId, Arc<str>>,
    next: u32,
    recent: Remembered,
    /// What `recent` held before it was full: dropped when it is full again.
    older: Remembered,
    overflowed: u64,
}

type Remembered = HashMap<(ServiceId, Arc<str>), RouteId>;

#[derive(Debug, Default)]
struct PerService {
    ids: HashMap<Arc<str>, RouteId>,
    unknown: usize,
}

impl Routes {
    /// No routes yet.
    #[must_use]
    pub fn new(limits: RouteLimits) -> Self {
        Self {
            limits,
            services: HashMap::new(),
            templates: NumberMap::from_iter([(RouteId::OTHER, Arc::from(OTHER))]),
            next: 1,
            recent: HashMap::new(),
            older: HashMap::new(),
            overflowed: 0,
        }
    }

    /// The route of a path of a service. A route once given stays; when the service's cap is
    /// reached, new ones are [`RouteId::OTHER`].
    pub fn of(&mut self, service: ServiceId, path: &Arc<str>, known: Known) -> RouteId {
        let id = self.look_up(service, path, known);
        self.overflowed += u64::from(id == RouteId::OTHER);
        id
    }

    fn look_up(&mut self, service: ServiceId, path: &Arc<str>, known: Known) -> RouteId {
        let key = (service, Arc::clone(path));
        if let Some(id) = self.recent.get(&key) {
            return *id;
        }
        if let Some(id) = self.older.get(&key).copied() {
            self.remember(key, id);
            return id;
        }
        let admitted = self.admit(service, &route(path), known);
        let id = admitted.unwrap_or(RouteId::OTHER);
        // A path that is refused only because it is unknown may yet turn out to be known.
        if admitted.is_some() || known == Known::Yes {
            self.remember(key, id);
        }
        id
    }

    /// The id of a template; `None` when there is no room for it.
    fn admit(&mut self, service: ServiceId, template: &str, known: Known) -> Option<RouteId> {
        let routes = self.services.entry(service).or_default();
        if let Some(id) = routes.ids.get(template) {
            return Some(*id);
        }
        let room = match known {
            Known::Yes => routes.ids.len() < self.limits.per_service,
            Known::No => {
                routes.ids.len() < self.limits.per_service
                    && routes.unknown < self.limits.per_service.div_ceil(4)
            }
        };
        if !room {
            return None;
        }
        let id = RouteId(self.next);
        self.next = self.next.checked_add(1)?;
        let template: Arc<str> = template.into();
        routes.ids.insert(Arc::clone(&template), id);
        routes.unknown += usize::from(known == Known::No);
        self.templates.insert(id, template);
        Some(id)
    }

    fn remember(&mut self, key: (ServiceId, Arc<str>), id: RouteId) {
        if key.1.len() > REMEMBERED_LENGTH {
            return;
        }
        if self.recent.len() >= self.limits.remembered {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(key, id);
    }

    /// The route's text; empty for a path that had none (CONNECT).
    #[must_use]
    pub fn template(&self, id: RouteId) -> Arc<str> {
        self.templates
            .get(&id)
            .map_or_else(|| Arc::from(OTHER), Arc::clone)
    }

    /// Forgets the routes of services that are gone.
    pub fn forget(&mut self, gone: &HashSet<ServiceId>) {
        if gone.is_empty() {
            return;
        }
        self.recent
            .retain(|(service, _), _| !gone.contains(service));
        self.older.retain(|(service, _), _| !gone.contains(service));
        for service in gone {
            for (_, id) in self
                .services
                .remove(service)
                .into_iter()
                .flat_map(|routes| routes.ids)
            {
                self.templates.remove(&id);
            }
        }
    }

    /// What is held, for the agent's own metrics.
    #[must_use]
    pub fn usage(&self) -> super::cardinality::Usage {
        super::cardinality::Usage {
            family: "http.route",
            series: self.templates.len() - 1,
            overflowed: self.overflowed,
        }
    }

    /// Paths that are remembered at present.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.recent.len() + self.older.len()
    }
}
