//! The series of HTTP requests and what each holds.

use crate::{
    aggregate::{
        distribution::{DURATION, Distribution, SIZE},
        error_type::ErrorType,
        route::{RouteId, Routes},
        server::{ServerId, Servers},
    },
    l7::exchange::{Exchange, Method},
    metric::{AttributeValue, Attributes, Exemplar},
    signal::SpanContext,
};
use std::time::SystemTime;

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
    pub(super) duration: Distribution,
    pub(super) request_size: Distribution,
    pub(super) response_size: Distribution,
    /// The latest of each bucket that has any; a series rarely fills more than a few.
    examples: Vec<Example>,
}

#[derive(Debug)]
struct Example {
    bucket: usize,
    nanoseconds: u64,
    time: SystemTime,
    context: SpanContext,
}

impl Requests {
    pub(super) fn record(&mut self, exchange: &Exchange) -> usize {
        if let Some(bytes) = exchange.request_body {
            self.request_size.record(&SIZE, bytes);
        }
        if let Some(bytes) = exchange.response_body {
            self.response_size.record(&SIZE, bytes);
        }
        self.duration.record(&DURATION, duration(exchange))
    }

    pub(super) fn remember(
        &mut self,
        bucket: usize,
        exchange: &Exchange,
        time: SystemTime,
        context: SpanContext,
    ) {
        let example = Example {
            bucket,
            nanoseconds: duration(exchange),
            time,
            context,
        };
        match self.examples.iter_mut().find(|held| held.bucket == bucket) {
            Some(held) => *held = example,
            None => self.examples.push(example),
        }
    }

    pub(super) fn exemplars(&self) -> Vec<Exemplar> {
        let mut exemplars: Vec<_> = self.examples.iter().collect();
        exemplars.sort_by_key(|example| example.bucket);
        exemplars
            .into_iter()
            .map(|example| Exemplar {
                value: DURATION.convert(example.nanoseconds),
                time: example.time,
                trace_id: example.context.trace_id,
                span_id: example.context.span_id,
            })
            .collect()
    }
}

/// First byte of the request to last byte of the answer, in nanoseconds; never negative.
fn duration(exchange: &Exchange) -> u64 {
    exchange.end.saturating_sub(exchange.start)
}
