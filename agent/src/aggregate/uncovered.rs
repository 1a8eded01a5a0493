//! Connections whose requests can't be seen: of which services, and why.

use std::sync::Arc;

use sonde_common::event::tls::{Reason, Uncovered as Record};

use super::{
    cardinality::{Limits, Series, Table, Usage},
    service::Services,
};
use crate::{
    clock::Clock,
    enrich::Renewed,
    metric::{Attributes, Collector, Descriptor, Resource, Unit, Value},
};

/// Connections of which only bytes and times are known.
pub const CONNECTIONS: Descriptor = Descriptor::counter(
    "sonde.uncovered_connections",
    "Connections whose requests can't be seen, by the service that uses them and the reason",
    Unit::Count("{connection}"),
);

/// All of them, for the reference.
pub const DESCRIPTORS: &[&Descriptor] = &[&CONNECTIONS];

/// What tells the series of a service apart: the reason, and what is in the way where that is
/// known.
type Key = (&'static str, &'static str);

/// Uncovered connections of all services.
#[derive(Debug)]
pub struct Uncovered {
    services: Services,
    connections: Table<Key, u64>,
}

impl Default for Uncovered {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Uncovered {
    /// Nothing observed yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            services: Services::new(limits.total),
            connections: Table::new("sonde.uncovered_connections", limits),
        }
    }

    /// Counts a connection of a service. `library` is what encrypts, as far as it was recognised;
    /// empty where there is nothing to say.
    pub fn observe(
        &mut self,
        record: &Record,
        library: &'static str,
        resource: &Arc<Resource>,
        clock: &Clock,
    ) {
        let reason = if record.reason == Reason::IoUring as u32 {
            "io_uring"
        } else {
            "tls"
        };
        let service = self
            .services
            .id(resource, || clock.system_time(record.header.time));
        *self.connections.observe(service, Some((reason, library))) += 1;
    }

    /// Adds all series.
    pub fn collect(&self, collector: &mut Collector) {
        for (slot, count) in self.connections.iter() {
            Series::new(collector, &self.services, &slot, |(reason, library)| {
                let mut attributes = vec![("reason", reason.into())];
                if !library.is_empty() {
                    attributes.push(("tls.library", library.into()));
                }
                attributes.into_iter().collect::<Attributes>()
            })
            .push(&CONNECTIONS, Value::Integer(*count));
        }
    }

    /// A service's resource has changed: its series go on under the new one.
    pub fn renew(&mut self, renewed: &Renewed) {
        self.services.renew(renewed);
    }

    /// Forgets the services that `keep` doesn't hold to.
    pub fn retain(&mut self, keep: impl Fn(&Resource) -> bool) {
        let gone = self.services.retain(keep);
        self.connections.forget(&gone);
    }

    /// What is held, for the agent's own metrics.
    #[must_use]
    pub fn usage(&self) -> [Usage; 1] {
        [self.connections.usage()]
    }
}

#[cfg(test)]
mod tests {
    use sonde_common::{event::http::Tuple, header::Header};

    use super::*;
    use crate::aggregate::fixture::{clock, host, resource, tuple};

    fn record(reason: Reason, tuple: Tuple) -> Record {
        Record {
            header: Header {
                time: 5,
                tgid: 7,
                tid: 7,
                kind: sonde_common::header::Kind::Uncovered as u32,
                pad: 0,
            },
            connection: 1,
            reason: reason as u32,
            late: 0,
            tuple,
        }
    }

    #[test]
    fn connections_count_by_reason_and_library() {
        let (shop, clock) = (resource("shop"), clock());
        let mut uncovered = Uncovered::default();
        for _ in 0..2 {
            uncovered.observe(&record(Reason::Tls, tuple()), "rustls", &shop, &clock);
        }
        uncovered.observe(&record(Reason::IoUring, tuple()), "", &shop, &clock);
        let mut collector = Collector::new(host(), std::time::UNIX_EPOCH);
        uncovered.collect(&mut collector);
        let snapshot = collector.finish(std::time::UNIX_EPOCH);
        let seen: Vec<_> = snapshot
            .families
            .iter()
            .flat_map(|family| &family.points)
            .map(|point| (point.attributes.clone(), point.value.clone()))
            .collect();
        let of = |pairs: &[(&'static str, &'static str)], count| {
            let attributes = pairs.iter().map(|(key, value)| (*key, (*value).into()));
            (attributes.collect::<Attributes>(), Value::Integer(count))
        };
        assert!(seen.contains(&of(&[("reason", "tls"), ("tls.library", "rustls")], 2)));
        assert!(seen.contains(&of(&[("reason", "io_uring")], 1)));
        assert_eq!(seen.len(), 2);
    }
}
