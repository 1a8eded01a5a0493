//! The series of HTTP requests and what each holds.

use crate::{
    aggregate::{
        distribution::{DURATION, Distribution, SIZE},
        error_type::ErrorType,
        route::{RouteId, Routes},
        server::{ServerId, Servers},
        timed::Timed,
    },
    l7::exchange::{Exchange, Method, Role},
    metric::{AttributeValue, Attributes},
};

/// What tells one series of a service from another. A few bytes and no text, so that looking a
/// series up allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) method: Method,
    pub(super) status: Option<u16>,
    pub(super) error: Option<ErrorType>,
    pub(super) route: RouteId,
    pub(super) version: &'static str,
    pub(super) scheme: &'static str,
    /// Clients only.
    pub(super) server: Option<ServerId>,
}

/// The part of a [`Key`] that the body size metrics tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SizeKey {
    method: Method,
    status: Option<u16>,
    route: RouteId,
}

impl Key {
    pub(super) fn of(exchange: &Exchange, route: RouteId, server: Option<ServerId>) -> Self {
        Self {
            method: exchange.method,
            status: exchange.status,
            error: ErrorType::of(exchange),
            route,
            version: exchange.version,
            scheme: exchange.scheme,
            server,
        }
    }

    pub(super) fn size_key(self) -> SizeKey {
        SizeKey {
            method: self.method,
            status: self.status,
            route: self.route,
        }
    }

    pub(super) fn attributes(self, routes: &Routes, servers: &Servers) -> Attributes {
        let server = self.server.and_then(|id| servers.get(id));
        common(self.size_key(), routes)
            .chain([
                ("network.protocol.version", self.version.into()),
                ("url.scheme", self.scheme.into()),
            ])
            .chain(self.error.map(|error| ("error.type", error.attribute())))
            .chain(server.into_iter().flat_map(|server| {
                [
                    ("server.address", server.address.clone().into()),
                    ("server.port", server.port.into()),
                ]
            }))
            .collect()
    }
}

impl SizeKey {
    pub(super) fn attributes(self, routes: &Routes) -> Attributes {
        common(self, routes).collect()
    }
}

fn common(
    key: SizeKey,
    routes: &Routes,
) -> impl Iterator<Item = (&'static str, AttributeValue)> + use<> {
    let route = routes.template(key.route);
    let route = (!route.is_empty()).then(|| ("http.route", route.into()));
    let status = key
        .status
        .map(|status| ("http.response.status_code", status.into()));
    let method = key.method.as_str();
    let method = method.map(|method| ("http.request.method", method.into()));
    method.into_iter().chain(status).chain(route)
}

/// What one series holds.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) timed: Timed,
    pub(super) request_size: Distribution,
    pub(super) response_size: Distribution,
    pub(super) queued: Distribution,
}

impl Requests {
    pub(super) fn record(&mut self, exchange: &Exchange) -> usize {
        if let Some(bytes) = exchange.request_body {
            self.request_size.record(&SIZE, bytes);
        }
        if let Some(bytes) = exchange.response_body {
            self.response_size.record(&SIZE, bytes);
        }
        if let Some(microseconds) = exchange.queued
            && exchange.role == Role::Server
        {
            self.queued
                .record(&DURATION, u64::from(microseconds) * 1_000);
        }
        self.timed.record(exchange)
    }
}
