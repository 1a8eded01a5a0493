//! Rate, errors and duration of remote procedure calls.
//!
//! The conventions treat a gRPC call and the HTTP request that carries it as two operations, each
//! with metrics of its own, and so does this: what counts here counts in [`super::red`] as well,
//! there by HTTP's rules, so that the requests of a server stay complete whatever they carry.

mod descriptors;
mod methods;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::methods::Methods;
pub use self::{
    descriptors::{CLIENT_DURATION, DESCRIPTORS, SERVER_DURATION},
    methods::{MethodId, OTHER},
};
use super::{
    cardinality::{Limits, Series, Table, Usage},
    error_type::ErrorType,
    server::{ServerId, Servers},
    service::Services,
    timed::Timed,
};
use crate::{
    clock::Clock,
    enrich::Renewed,
    l7::{
        exchange::{Exchange, Role},
        rpc::RpcStatus,
    },
    metric::{Attributes, Collector, Descriptor, Resource},
    signal::SpanContext,
};

/// `rpc.system.name`
pub const SYSTEM: &str = "grpc";

/// Caps of [`Calls`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Series, of servers and of clients each.
    pub series: Limits,
    /// Methods of one service.
    pub methods_per_service: usize,
    /// Servers that the clients of one service may call, each with series of its own.
    pub servers_per_service: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            series: Limits::default(),
            methods_per_service: 200,
            servers_per_service: 200,
        }
    }
}

/// What tells one series of a service from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    method: MethodId,
    status: Option<RpcStatus>,
    error: Option<ErrorType>,
    /// Clients only.
    server: Option<ServerId>,
}

/// The RPC metrics of all services.
#[derive(Debug)]
pub struct Calls {
    services: Services,
    methods: Methods,
    servers: Servers,
    server: Table<Key, Timed>,
    client: Table<Key, Timed>,
}

impl Calls {
    /// Nothing observed yet.
    #[must_use]
    pub fn new(limits: CallLimits) -> Self {
        Self {
            services: Services::new(limits.series.total),
            methods: Methods::new(limits.methods_per_service),
            servers: Servers::new(limits.servers_per_service),
            server: Table::new("rpc.server", limits.series),
            client: Table::new("rpc.client", limits.series),
        }
    }

    /// Counts an exchange of a service that is a call, whatever becomes of its span, and says its
    /// method; `None` when it is no call.
    ///
    /// `example` makes it an exemplar: a span that is kept somewhere, its own or its caller's.
    pub fn observe(
        &mut self,
        exchange: &Exchange,
        resource: &Arc<Resource>,
        example: Option<SpanContext>,
        clock: &Clock,
    ) -> Option<MethodId> {
        let rpc = exchange.rpc?;
        let start = || clock.system_time(exchange.start);
        let service = self.services.id(resource, start);
        let method = service.map_or(MethodId::OTHER, |service| {
            self.methods.of(service, exchange)
        });
        let server = match exchange.role {
            Role::Server => Some(None),
            Role::Client => service
                .and_then(|service| self.servers.asked(service, exchange))
                .map(Some),
        };
        let key = server.map(|server| Key {
            method,
            status: rpc.status,
            error: ErrorType::of_call(exchange, rpc),
            server,
        });
        let table = match exchange.role {
            Role::Server => &mut self.server,
            Role::Client => &mut self.client,
        };
        let timed = table.observe(service, key);
        let bucket = timed.record(exchange);
        if let Some(context) = example {
            timed.remember(bucket, exchange, clock.system_time(exchange.end), context);
        }
        Some(method)
    }

    /// The name of a method that [`Self::observe`] gave; `None` for one that isn't known.
    #[must_use]
    pub fn method(&self, id: MethodId) -> Option<&Arc<str>> {
        self.methods.name(id)
    }

    /// Adds all series.
    pub fn collect(&self, collector: &mut Collector) {
        self.collect_side(&SERVER_DURATION, &self.server, collector);
        self.collect_side(&CLIENT_DURATION, &self.client, collector);
    }

    fn collect_side(
        &self,
        descriptor: &'static Descriptor,
        table: &Table<Key, Timed>,
        collector: &mut Collector,
    ) {
        for (slot, timed) in table.iter() {
            if let Some((value, examples)) = timed.value() {
                Series::new(collector, &self.services, &slot, |key| self.attributes(key))
                    .push_with(descriptor, [], value, examples);
            }
        }
    }

    fn attributes(&self, key: Key) -> Attributes {
        let method = self.methods.name(key.method);
        let server = key.server.and_then(|id| self.servers.get(id));
        [("rpc.system.name", SYSTEM.into())]
            .into_iter()
            .chain(method.map(|method| ("rpc.method", Arc::clone(method).into())))
            .chain(
                key.status
                    .map(|status| ("rpc.response.status_code", status.as_str().into())),
            )
            .chain(key.error.map(|error| ("error.type", error.attribute())))
            .chain(server.into_iter().flat_map(|server| {
                [
                    ("server.address", Arc::clone(&server.address).into()),
                    ("server.port", server.port.into()),
                ]
            }))
            .collect()
    }

    /// A service's resource has changed: its series go on under the new one.
    pub fn renew(&mut self, renewed: &Renewed) {
        self.services.renew(renewed);
    }

    /// Forgets the services that `keep` doesn't hold to: those without a process for a while.
    pub fn retain(&mut self, keep: impl Fn(&Resource) -> bool) {
        let gone = self.services.retain(keep);
        self.methods.forget(&gone);
        self.servers.forget(&gone);
        self.server.forget(&gone);
        self.client.forget(&gone);
    }

    /// What is held, for the agent's own metrics.
    #[must_use]
    pub fn usage(&self) -> [Usage; 3] {
        [
            self.server.usage(),
            self.client.usage(),
            self.methods.usage(),
        ]
    }
}
