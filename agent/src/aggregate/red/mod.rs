//! Rate, errors and duration of HTTP requests.

mod descriptors;
mod recent;
mod series;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

pub use descriptors::{
    ACTIVE_REQUESTS, CLIENT_DURATION, CLIENT_REQUEST_SIZE, CLIENT_RESPONSE_SIZE, DESCRIPTORS,
    SERVER_DURATION, SERVER_QUEUE_DURATION, SERVER_REQUEST_SIZE, SERVER_RESPONSE_SIZE,
};

use self::{
    descriptors::Side,
    recent::{Found, Recent},
    series::{Key, Requests, SizeKey},
};
use super::{
    cardinality::{Limits, Place, Series, Slot, Table, Usage},
    distribution::{DURATION, Distribution, SIZE},
    route::{Asked, Known, Pattern, RouteId, RouteLimits, Routes},
    server::Servers,
    service::{ServiceId, Services},
};
use crate::{
    clock::Clock,
    enrich::Renewed,
    l7::exchange::{Exchange, Method, Role},
    metric::{Attributes, Collector, Resource, Value},
    signal::SpanContext,
};

/// Caps of [`Red`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedLimits {
    /// Series, of servers and of clients each.
    pub series: Limits,
    /// Routes.
    pub routes: RouteLimits,
    /// Servers that the clients of one service may ask, each with series of its own.
    pub servers_per_service: usize,
}

impl Default for RedLimits {
    fn default() -> Self {
        Self {
            series: Limits::default(),
            routes: RouteLimits::default(),
            servers_per_service: 200,
        }
    }
}

/// Requests under way, by what tells the series apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// Whose.
    pub resource: Arc<Resource>,
    /// Request method.
    pub method: Method,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// How many.
    pub count: u64,
}

/// The HTTP metrics of all services.
#[derive(Debug)]
pub struct Red {
    services: Services,
    routes: Routes,
    servers: Servers,
    server: Table<Key, Requests>,
    client: Table<Key, Requests>,
    active: Table<(Method, &'static str), u64>,
    recent: Recent,
}

impl Red {
    /// Nothing observed yet, and no routes but those that paths tell.
    #[must_use]
    pub fn new(limits: RedLimits) -> Self {
        Self::with_patterns(limits, &[])
    }

    /// Nothing observed yet; paths that fit one of `patterns` have it as their route.
    #[must_use]
    pub fn with_patterns(limits: RedLimits, patterns: &[Pattern]) -> Self {
        Self {
            services: Services::new(limits.series.total),
            routes: Routes::new(limits.routes, patterns),
            servers: Servers::new(limits.servers_per_service),
            server: Table::new("http.server", limits.series),
            client: Table::new("http.client", limits.series),
            active: Table::new("http.server.active_requests", limits.series),
            recent: Recent::new(),
        }
    }

    /// Counts an exchange of a service, whatever becomes of its span, and says its route.
    ///
    /// `example` makes it an exemplar: a span that is kept somewhere, its own or its caller's.
    pub fn observe(
        &mut self,
        exchange: &Exchange,
        resource: &Arc<Resource>,
        example: Option<SpanContext>,
        clock: &Clock,
    ) -> RouteId {
        let found = self
            .recent
            .find(exchange, resource)
            .unwrap_or_else(|| self.look_up(exchange, resource, clock));
        let requests = self.table(exchange.role).at(found.place, 1);
        let bucket = requests.record(exchange);
        if let Some(context) = example {
            let end = clock.system_time(exchange.end);
            requests.timed.remember(bucket, exchange, end, context);
        }
        found.route
    }

    fn look_up(&mut self, exchange: &Exchange, resource: &Arc<Resource>, clock: &Clock) -> Found {
        let service = self
            .services
            .id(resource, || clock.system_time(exchange.start));
        let route = match service {
            Some(service) => self.route_of(service, exchange),
            None => RouteId::OTHER,
        };
        let key = match exchange.role {
            Role::Server => Some(Key::of(exchange, route, None)),
            Role::Client => service
                .and_then(|service| self.servers.asked(service, exchange))
                .map(|server| Key::of(exchange, route, Some(server))),
        };
        let place = self.table(exchange.role).place(service, key);
        let found = Found { route, place };
        // What overflows is counted each time, and may find room later.
        if matches!(place, Place::Own(_)) && route != RouteId::OTHER {
            self.recent.remember(exchange, resource, found);
        }
        found
    }

    fn route_of(&mut self, service: ServiceId, exchange: &Exchange) -> RouteId {
        let before = self.routes.generation();
        let route = self.routes.of(&Asked {
            service,
            role: exchange.role,
            method: exchange.method,
            path: &exchange.path,
            known: known(exchange),
        });
        if self.routes.generation() != before {
            self.recent.clear();
        }
        route
    }

    fn table(&mut self, role: Role) -> &mut Table<Key, Requests> {
        match role {
            Role::Server => &mut self.server,
            Role::Client => &mut self.client,
        }
    }

    /// The text of a route that [`Self::observe`] gave; empty for a path that had none (CONNECT).
    #[must_use]
    pub fn route(&self, id: RouteId) -> Arc<str> {
        self.routes.template(id)
    }

    /// Sets the requests that servers are busy with at `now`. What is not among `counts` is none;
    /// what was seen once is told as 0 from then on.
    pub fn set_active(&mut self, now: SystemTime, counts: impl IntoIterator<Item = Active>) {
        self.active.values_mut().for_each(|count| *count = 0);
        for active in counts {
            let service = self.services.id(&active.resource, || now);
            let key = (active.method, active.scheme);
            *self.active.observe(service, Some(key)) += active.count;
        }
    }

    /// Adds all series.
    pub fn collect(&self, collector: &mut Collector) {
        self.collect_side(Role::Server, &self.server, collector);
        self.collect_side(Role::Client, &self.client, collector);
        self.collect_queue(collector);
        for (slot, count) in self.active.iter() {
            Series::new(collector, &self.services, &slot, |(method, scheme)| {
                let method = method.as_str();
                let method = method.map(|method| ("http.request.method", method.into()));
                let scheme = ("url.scheme", scheme.into());
                method.into_iter().chain([scheme]).collect()
            })
            .push(&ACTIVE_REQUESTS, Value::Integer(*count));
        }
    }

    fn collect_side(&self, role: Role, table: &Table<Key, Requests>, collector: &mut Collector) {
        let side = Side::of(role);
        // The body sizes tell fewer attributes apart than the durations do.
        let mut sizes: BTreeMap<Slot<SizeKey>, (Distribution, Distribution)> = BTreeMap::new();
        for (slot, requests) in table.iter() {
            let (request, response) = sizes.entry(slot.map(Key::size_key)).or_default();
            request.merge(&requests.request_size);
            response.merge(&requests.response_size);
            if let Some((value, examples)) = requests.timed.value() {
                self.series(collector, &slot)
                    .push_with(side.duration, [], value, examples);
            }
        }
        for (descriptor, which) in [(side.request_size, 0), (side.response_size, 1)] {
            for (slot, (request, response)) in &sizes {
                let sizes = if which == 0 { request } else { response };
                if let Some(histogram) = sizes.histogram(&SIZE) {
                    Series::new(collector, &self.services, slot, |key| {
                        key.attributes(&self.routes)
                    })
                    .push(descriptor, Value::Histogram(histogram));
                }
            }
        }
    }

    /// Adds how long requests lay in their sockets, of each service.
    fn collect_queue(&self, collector: &mut Collector) {
        let mut services: BTreeMap<Slot<()>, Distribution> = BTreeMap::new();
        for (slot, requests) in self.server.iter() {
            let queued = services.entry(slot.map(|_| ())).or_default();
            queued.merge(&requests.queued);
        }
        for (slot, queued) in &services {
            if let Some(histogram) = queued.histogram(&DURATION) {
                Series::new(collector, &self.services, slot, |()| Attributes::none())
                    .push(&SERVER_QUEUE_DURATION, Value::Histogram(histogram));
            }
        }
    }

    fn series<'a>(&self, collector: &'a mut Collector, slot: &Slot<Key>) -> Series<'a> {
        Series::new(collector, &self.services, slot, |key| {
            key.attributes(&self.routes, &self.servers)
        })
    }

    /// A service's resource has changed: its series go on under the new one.
    pub fn renew(&mut self, renewed: &Renewed) {
        self.services.renew(renewed);
    }

    /// Forgets the services that `keep` doesn't hold to: those without a process for a while.
    pub fn retain(&mut self, keep: impl Fn(&Resource) -> bool) {
        let gone = self.services.retain(keep);
        self.routes.forget(&gone);
        self.servers.forget(&gone);
        self.server.forget(&gone);
        self.client.forget(&gone);
        if !gone.is_empty() {
            self.recent.clear();
        }
        self.active.forget(&gone);
    }

    /// What is held, for the agent's own metrics.
    #[must_use]
    pub fn usage(&self) -> [Usage; 4] {
        [
            self.server.usage(),
            self.client.usage(),
            self.active.usage(),
            self.routes.usage(),
        ]
    }
}

/// Whether the answer says that the server has such a path. Some are given before a path is looked
/// at: to who may not ask, asks too much, or asks for something else than HTTP.
fn known(exchange: &Exchange) -> Known {
    match exchange.status {
        None | Some(400 | 401 | 403 | 404 | 405 | 410 | 414 | 421 | 429 | 431) => Known::No,
        Some(_) => Known::Yes,
    }
}
