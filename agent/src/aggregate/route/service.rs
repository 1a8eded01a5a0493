//! The routes of one service.

use std::{collections::HashMap, sync::Arc};

use super::{
    Asked, Ids, Known, RouteId, RouteLimits,
    pattern::PatternId,
    tree::{Taught, Tree, TreeLimits},
};
use crate::l7::exchange::Method;

/// Routes that a service may have been given in all, those that have become others among them, in
/// units of its cap: so many names that are not values, and so many with those in which some are.
const GIVEN_NAMES: usize = 2;
const GIVEN_ALL: usize = 3;

/// What a service's paths have taught, and the routes that it was given.
#[derive(Debug)]
pub(super) struct ServiceRoutes {
    tree: Tree<End>,
    patterns: HashMap<PatternId, RouteId>,
    /// Ends in the tree.
    live: usize,
    /// Those of them that the server isn't sure to know.
    unknown: usize,
    /// Ids that were given for ends.
    given: Vec<RouteId>,
    methods: HashMap<Method, usize>,
}

/// A route at the end of a path.
#[derive(Debug)]
struct End {
    id: RouteId,
    methods: Vec<Method>,
    known: Known,
}

/// What became of a path.
#[derive(Debug)]
pub(super) struct Found {
    /// Its route; `None` when there is no room for it.
    pub(super) id: Option<RouteId>,
    /// The route is a new one.
    pub(super) new: Option<New>,
    /// Other paths may have become other routes.
    pub(super) merged: bool,
}

/// A new route.
#[derive(Debug)]
pub(super) struct New {
    pub(super) id: RouteId,
    pub(super) template: Arc<str>,
}

impl ServiceRoutes {
    pub(super) fn new(limits: &RouteLimits) -> Self {
        Self {
            tree: Tree::new(TreeLimits {
                names: limits.names,
                nodes: limits.places,
            }),
            patterns: HashMap::new(),
            live: 0,
            unknown: 0,
            given: Vec::new(),
            methods: HashMap::new(),
        }
    }

    /// The id of a pattern's route. Patterns are as many as were configured, and under no cap.
    pub(super) fn of_pattern(&mut self, pattern: PatternId, ids: &mut Ids) -> Option<RouteId> {
        if let Some(id) = self.patterns.get(&pattern) {
            return Some(*id);
        }
        let id = ids.next()?;
        self.patterns.insert(pattern, id);
        Some(id)
    }

    /// The route of a path of this shape.
    pub(super) fn of_template(
        &mut self,
        shape: &str,
        asked: &Asked<'_>,
        limits: &RouteLimits,
        ids: &mut Ids,
    ) -> Found {
        let segments: Vec<_> = match shape {
            "/" => Vec::new(),
            shape => shape
                .strip_prefix('/')
                .unwrap_or(shape)
                .split('/')
                .collect(),
        };
        let merged = self.learn(&segments, asked, limits);
        let new = self.add(&segments, asked, limits, ids).map(|id| New {
            id,
            template: self.text(shape, &segments),
        });
        let end = self.tree.end(&segments).and_then(Option::as_mut);
        let id = end.and_then(|end| end.admit(asked, &mut self.methods, limits));
        Found { id, new, merged }
    }

    /// Takes in what a path teaches; whether other paths may have become other routes.
    fn learn(&mut self, segments: &[&str], asked: &Asked<'_>, limits: &RouteLimits) -> bool {
        if asked.known == Known::No {
            if self.has_room(asked, limits) {
                self.tree.reserve(segments);
            }
            return false;
        }
        match self.tree.teach(segments) {
            Taught::Unchanged => {}
            Taught::Merged(gone) => {
                for end in &gone {
                    self.give_up(end);
                }
                return true;
            }
        }
        if let Some(Some(end)) = self.tree.end(segments)
            && end.known == Known::No
        {
            end.known = Known::Yes;
            self.unknown -= 1;
        }
        false
    }

    /// Whether a request may have a route that there isn't yet.
    fn has_room(&self, asked: &Asked<'_>, limits: &RouteLimits) -> bool {
        let of_method = self.methods.get(&asked.method).copied().unwrap_or(0);
        let is_known = asked.known == Known::Yes;
        self.live < limits.per_service
            && of_method < limits.per_method
            && (is_known || self.unknown < limits.per_service.div_ceil(4))
    }

    /// Gives a path that is in the tree a route, if there is room for it.
    fn add(
        &mut self,
        segments: &[&str],
        asked: &Asked<'_>,
        limits: &RouteLimits,
        ids: &mut Ids,
    ) -> Option<RouteId> {
        let has_values = self.tree.template(segments) != segments;
        let given = if has_values { GIVEN_ALL } else { GIVEN_NAMES };
        if !self.has_room(asked, limits) || self.given.len() >= given * limits.per_service {
            return None;
        }
        let end = self.tree.end(segments)?;
        if end.is_some() {
            return None;
        }
        let id = ids.next()?;
        *end = Some(End {
            id,
            methods: Vec::new(),
            known: asked.known,
        });
        self.live += 1;
        self.unknown += usize::from(asked.known == Known::No);
        self.given.push(id);
        Some(id)
    }

    /// What a route of these segments is called.
    fn text(&self, shape: &str, segments: &[&str]) -> Arc<str> {
        let keys = self.tree.template(segments);
        if keys == segments {
            shape.into()
        } else {
            format!("/{}", keys.join("/")).into()
        }
    }

    fn give_up(&mut self, end: &End) {
        self.live -= 1;
        self.unknown -= usize::from(end.known == Known::No);
        for method in &end.methods {
            if let Some(count) = self.methods.get_mut(method) {
                *count -= 1;
            }
        }
    }

    /// All ids that were given.
    pub(super) fn into_ids(self) -> impl Iterator<Item = RouteId> {
        self.given.into_iter().chain(self.patterns.into_values())
    }
}

impl End {
    /// The route, unless the method has as many as it may have.
    fn admit(
        &mut self,
        asked: &Asked<'_>,
        methods: &mut HashMap<Method, usize>,
        limits: &RouteLimits,
    ) -> Option<RouteId> {
        if !self.methods.contains(&asked.method) {
            let count = methods.entry(asked.method).or_default();
            if *count >= limits.per_method {
                return None;
            }
            *count += 1;
            self.methods.push(asked.method);
        }
        Some(self.id)
    }
}
