//! What services move over the network, whatever the protocol.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use crate::metric::{Attributes, Collector, Descriptor, Point, Resource, Unit, Value};

/// The sum of what the protocols have.
pub const IO: Descriptor = Descriptor::counter(
    "process.network.io",
    "Payload bytes that a service has received and sent: tcp.io and udp.io together, absent where there are none",
    Unit::Bytes,
);

/// All of them, for the reference.
pub const DESCRIPTORS: &[&Descriptor] = &[&IO];

/// Bytes by service, while they are added up.
#[derive(Debug, Default)]
pub struct NetworkIo {
    services: Vec<Moved>,
    index: HashMap<Arc<Resource>, usize>,
}

/// The bytes of one service, and since when they count.
#[derive(Debug)]
struct Moved {
    resource: Arc<Resource>,
    start: SystemTime,
    received: u64,
    sent: u64,
}

impl NetworkIo {
    /// Adds what a service has received and sent by one protocol.
    pub fn add(
        &mut self,
        (resource, start): (Arc<Resource>, SystemTime),
        [received, sent]: [u64; 2],
    ) {
        let next = self.services.len();
        let index = *self.index.entry(Arc::clone(&resource)).or_insert(next);
        match self.services.get_mut(index) {
            Some(moved) => {
                moved.start = moved.start.min(start);
                moved.received = moved.received.saturating_add(received);
                moved.sent = moved.sent.saturating_add(sent);
            }
            None => self.services.push(Moved {
                resource,
                start,
                received,
                sent,
            }),
        }
    }

    /// Adds all series, the services in the order in which they came.
    pub fn collect(self, collector: &mut Collector) {
        for moved in self.services {
            for (direction, bytes) in [("receive", moved.received), ("transmit", moved.sent)] {
                let point = Point {
                    resource: Arc::clone(&moved.resource),
                    attributes: Attributes::from([("network.io.direction", direction.into())]),
                    start: moved.start,
                    value: Value::Integer(bytes),
                    exemplars: Vec::new(),
                };
                collector.push_point(&IO, point);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::aggregate::fixture::{host, resource, series};

    #[test]
    fn protocols_add_up_from_the_first_of_them_on() {
        let later = UNIX_EPOCH + Duration::from_secs(5);
        let mut io = NetworkIo::default();
        io.add((resource("shop"), later), [10, 200]);
        // Equal, and not the same allocation.
        io.add((resource("shop"), UNIX_EPOCH), [1, 2]);
        io.add((resource("db"), later), [5, 0]);
        let mut collector = Collector::new(host(), UNIX_EPOCH);
        io.collect(&mut collector);
        let snapshot = collector.finish(later);
        assert_eq!(
            series(&snapshot, "process.network.io"),
            [
                "11 {service.name=shop,network.io.direction=receive}",
                "202 {service.name=shop,network.io.direction=transmit}",
                "5 {service.name=db,network.io.direction=receive}",
                "0 {service.name=db,network.io.direction=transmit}",
            ]
        );
        let points = &snapshot.families[0].points;
        let starts: Vec<_> = points.iter().map(|point| point.start).collect();
        assert_eq!(starts, [UNIX_EPOCH, UNIX_EPOCH, later, later]);
    }
}
