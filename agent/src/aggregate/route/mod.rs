//! Routes: what a service's paths have in common, under a cap per service.
//!
//! A path's route is found in three steps:
//!
//! 1. a [`Pattern`] of the configuration, the most specific one that fits ([`pattern`]);
//! 2. else its shape: a segment that is an id, a UUID, a date, ... or that looks like a secret
//!    becomes a placeholder at once ([`template`]);
//! 3. and where a service was seen to have more than so many different names in one place, a name
//!    there becomes `{name}` ([`tree`]). Only paths that the server is sure to know teach that, so
//!    that a scanner's inventions can't.
//!
//! What was learnt depends on which paths came and not on their order. A name that was told as a
//! route before its place had too many keeps its series, which no longer grow: the totals stay
//! right, and nothing is told twice. Its place under the cap is free again.

mod classify;
mod kind;
mod path;
mod pattern;
mod placeholder;
mod redact;
mod secret;
mod service;
mod template;
#[cfg(test)]
mod tests;
mod tree;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

#[cfg(test)]
pub(crate) use self::secret::fixture;
use self::{pattern::Patterns, service::ServiceRoutes};
pub use self::{
    pattern::{Pattern, PatternError},
    redact::redacted,
    template::{MAX_LENGTH, MAX_SEGMENTS, route},
};
use super::service::ServiceId;
use crate::{
    hash::NumberMap,
    l7::exchange::{Method, Role},
};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// It answered as to a path of its own.
    Yes,
    /// It answered as it may answer to anything: the path may be anybody's invention.
    No,
}

/// A request whose route is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The service.
    pub service: ServiceId,
    /// Whether the service answered it or made it: the paths of others teach nothing about its
    /// own.
    pub role: Role,
    /// Request method.
    pub method: Method,
    /// Path, as sent.
    pub path: &'a Arc<str>,
    /// What the answer says about the path.
    pub known: Known,
}

/// Caps of [`Routes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteLimits {
    /// Routes per service and role. A quarter of them may come from paths that the server did not
    /// know, so that a scanner can't use up the room of real routes.
    pub per_service: usize,
    /// How many of them one method may have.
    pub per_method: usize,
    /// Different names that one place in a service's paths may have before they become values.
    pub names: usize,
    /// Places in a service's paths that are remembered.
    pub places: usize,
    /// Paths whose route is remembered, over all services; twice as many for short times.
    pub remembered: usize,
}

impl Default for RouteLimits {
    fn default() -> Self {
        Self {
            per_service: 200,
            per_method: 150,
            names: 50,
            places: 2_048,
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
    patterns: Patterns,
    services: HashMap<(ServiceId, Role), ServiceRoutes>,
    templates: NumberMap<RouteId, Arc<str>>,
    recent: Remembered,
    /// What `recent` held before it was full: dropped when it is full again.
    older: Remembered,
    ids: Ids,
    overflowed: u64,
    generation: u64,
}

/// By everything that a route depends on.
type Remembered = HashMap<(ServiceId, Role, Method, Known, Arc<str>), RouteId>;

/// Gives out numbers for routes.
#[derive(Debug)]
struct Ids(u32);

impl Ids {
    fn next(&mut self) -> Option<RouteId> {
        self.0 = self.0.checked_add(1)?;
        Some(RouteId(self.0))
    }
}

impl Routes {
    /// No routes yet. The patterns hold for every service.
    #[must_use]
    pub fn new(limits: RouteLimits, patterns: &[Pattern]) -> Self {
        Self {
            limits,
            patterns: Patterns::new(patterns),
            services: HashMap::new(),
            templates: NumberMap::from_iter([(RouteId::OTHER, Arc::from(OTHER))]),
            recent: HashMap::new(),
            older: HashMap::new(),
            ids: Ids(RouteId::OTHER.0),
            overflowed: 0,
            generation: 0,
        }
    }

    /// The route of a request. The same request has the same route until [`Self::generation`]
    /// changes; when a cap is reached, new ones are [`RouteId::OTHER`].
    pub fn of(&mut self, asked: &Asked<'_>) -> RouteId {
        let id = self.look_up(asked);
        self.overflowed += u64::from(id == RouteId::OTHER);
        id
    }

    /// Changes whenever routes that were given may have become others.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn look_up(&mut self, asked: &Asked<'_>) -> RouteId {
        let path = Arc::clone(asked.path);
        let key = (asked.service, asked.role, asked.method, asked.known, path);
        if let Some(id) = self.recent.get(&key) {
            return *id;
        }
        if let Some(id) = self.older.get(&key).copied() {
            self.remember(key, id);
            return id;
        }
        let admitted = self.admit(asked);
        let id = admitted.unwrap_or(RouteId::OTHER);
        // A path that is refused only because it is unknown may find room later.
        if admitted.is_some() || asked.known == Known::Yes {
            self.remember(key, id);
        }
        id
    }

    /// The id of the path's route; `None` when there is no room for it.
    fn admit(&mut self, asked: &Asked<'_>) -> Option<RouteId> {
        let limits = &self.limits;
        let side = (asked.service, asked.role);
        let routes = self
            .services
            .entry(side)
            .or_insert_with(|| ServiceRoutes::new(limits));
        let segments = path::segments(asked.path);
        if let Some(pattern) = self.patterns.find(&segments.all, segments.cut) {
            let text = self.patterns.text(pattern)?;
            let id = routes.of_pattern(pattern, &mut self.ids)?;
            self.templates.entry(id).or_insert_with(|| Arc::clone(text));
            return Some(id);
        }
        let template = match path::without_query(asked.path) {
            whole @ ("" | "*") => whole.to_owned(),
            _ => template::of(&segments),
        };
        let found = routes.of_template(&template, asked, limits, &mut self.ids);
        if let Some(new) = found.new {
            self.templates.insert(new.id, new.template);
        }
        if found.merged {
            self.generation += 1;
            self.recent.clear();
            self.older.clear();
        }
        found.id
    }

    fn remember(&mut self, key: (ServiceId, Role, Method, Known, Arc<str>), id: RouteId) {
        if key.4.len() > REMEMBERED_LENGTH {
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
        self.recent.retain(|key, _| !gone.contains(&key.0));
        self.older.retain(|key, _| !gone.contains(&key.0));
        let left = self
            .services
            .extract_if(|(service, _), _| gone.contains(service));
        for id in left.flat_map(|(_, routes)| routes.into_ids()) {
            self.templates.remove(&id);
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
