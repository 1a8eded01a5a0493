//! Sockets that listen: how full their accept queues are, and what is turned away.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use sonde_common::event::tcp::AcceptQueue;

use crate::{
    aggregate::{
        cardinality::{Limits, Series, Table, Usage},
        service::Services,
    },
    enrich::Renewed,
    metric::{Attributes, Collector, Descriptor, Resource, Unit, Value},
    resource::{SATURATION_BY_SERVICE, Signal, by_service},
};

/// Connections that wait.
pub const LENGTH: Descriptor = Descriptor::up_down_counter(
    "tcp.accept_queue.length",
    "Connections that wait to be accepted, by the port that is listened on (sk_ack_backlog)",
    Unit::Count("{connection}"),
);
/// How many may.
pub const LIMIT: Descriptor = Descriptor::up_down_counter(
    "tcp.accept_queue.limit",
    "Connections that may wait to be accepted: the backlog asked for, at most net.core.somaxconn (sk_max_ack_backlog); the kernel takes one more",
    Unit::Count("{connection}"),
);
/// Connection requests that were turned away.
pub const DROPS: Descriptor = Descriptor::counter(
    "tcp.listen.drops",
    "Connection requests that were dropped by a socket that listens, nearly always because its accept queue was full (sk_drops)",
    Unit::Count("{request}"),
);

/// All of them, for the reference.
pub const DESCRIPTORS: &[&Descriptor] = &[&LENGTH, &LIMIT, &DROPS];

/// The fullest queue.
pub static SHARE: Signal = Signal {
    name: "accept_queue_share",
    help: "How full the fullest of the service's accept queues is at the snapshot; at 1 the next connection request is dropped",
};
/// Requests dropped.
pub static DROP_RATE: Signal = Signal {
    name: "listen_drop_rate",
    help: "Connection requests dropped by the service's sockets that listen, nearly always because an accept queue was full",
};

/// Resource and signal of each kind of point in `use.saturation.by_service`, for the reference.
pub const SIGNALS: &[(&str, &Signal)] = &[("tcp", &SHARE), ("tcp", &DROP_RATE)];

/// Tells sockets apart that had the same address one after the other.
type Socket = (u64, u64);

/// What the listeners of a service on one port have now, and what they dropped so far.
#[derive(Debug, Default)]
struct Queue {
    /// Length and limit; none where nobody listens any more.
    now: Option<(u64, u64)>,
    drops: u64,
}

#[derive(Debug, Default)]
struct Saturation {
    share: f64,
    dropped: u64,
    /// Requests in a second; none before there is an interval.
    rate: Option<f64>,
}

/// The accept queues of all services.
#[derive(Debug)]
pub struct AcceptQueues {
    services: Services,
    /// Drops that have been counted, by socket.
    drops: HashMap<Socket, u32>,
    queues: Table<u16, Queue>,
    saturation: Table<(), Saturation>,
    /// When the last reading was, `CLOCK_MONOTONIC` in nanoseconds.
    last: Option<u64>,
}

impl AcceptQueues {
    /// Nothing observed yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            services: Services::new(limits.total),
            drops: HashMap::new(),
            queues: Table::new("tcp.accept_queue", limits),
            saturation: Table::new("tcp.accept_queue_share", limits),
            last: None,
        }
    }

    /// Takes a reading of all sockets that listen, made at `time`, `now` on `CLOCK_MONOTONIC` in
    /// nanoseconds. What a socket dropped before it was first seen counts where its begin was seen.
    pub fn read(
        &mut self,
        queues: &[AcceptQueue],
        time: SystemTime,
        now: u64,
        mut owner: impl FnMut(&AcceptQueue) -> Arc<Resource>,
    ) {
        self.queues.values_mut().for_each(|queue| queue.now = None);
        for saturation in self.saturation.values_mut() {
            *saturation = Saturation::default();
        }
        for queue in queues {
            let dropped = self.dropped(queue);
            let service = self.services.id(&owner(queue), || time);
            let [length, limit] = [queue.length, queue.limit].map(u64::from);
            let place = self.queues.observe(service, Some(queue.listener.port));
            let (lengths, limits) = place.now.unwrap_or_default();
            place.now = Some((lengths + length, limits + limit));
            place.drops += dropped;
            let saturation = self.saturation.observe(service, Some(()));
            let share = length as f64 / (limit + 1) as f64;
            saturation.share = saturation.share.max(share);
            saturation.dropped += dropped;
        }
        if let Some(passed) = self
            .last
            .replace(now)
            .and_then(|last| now.checked_sub(last))
            && passed > 0
        {
            for saturation in self.saturation.values_mut() {
                saturation.rate = Some(saturation.dropped as f64 * 1e9 / passed as f64);
            }
        }
        let open: HashSet<Socket> = queues.iter().map(socket).collect();
        self.drops.retain(|socket, _| open.contains(socket));
    }

    /// What a socket has dropped since the last reading.
    fn dropped(&mut self, queue: &AcceptQueue) -> u64 {
        let before = self.drops.insert(socket(queue), queue.drops);
        let first = if queue.listener.since == 0 {
            queue.drops
        } else {
            0
        };
        // The kernel's number has 32 bits.
        queue.drops.wrapping_sub(before.unwrap_or(first)).into()
    }

    /// Adds all series.
    pub fn collect(&self, collector: &mut Collector) {
        for (slot, queue) in self.queues.iter() {
            let mut series = Series::new(collector, &self.services, &slot, |port| {
                Attributes::from([("server.port", i64::from(port).into())])
            });
            if let Some((length, limit)) = queue.now {
                series.push(&LENGTH, Value::Integer(length));
                series.push(&LIMIT, Value::Integer(limit));
            }
            series.push(&DROPS, Value::Integer(queue.drops));
        }
        for (signal, value) in [
            (&SHARE, (|it| Some(it.share)) as fn(&Saturation) -> _),
            (&DROP_RATE, |it| it.rate),
        ] {
            for (slot, saturation) in self.saturation.iter() {
                if let Some(value) = value(saturation) {
                    let of = |()| by_service("tcp", None, signal);
                    Series::new(collector, &self.services, &slot, of)
                        .push(&SATURATION_BY_SERVICE, Value::Float(value));
                }
            }
        }
    }

    /// A service's resource has changed: its series go on under the new one.
    pub fn renew(&mut self, renewed: &Renewed) {
        self.services.renew(renewed);
    }

    /// Forgets the services that `keep` doesn't hold to: those without a process for a while.
    pub fn retain(&mut self, keep: impl Fn(&Resource) -> bool) {
        let gone = self.services.retain(keep);
        self.queues.forget(&gone);
        self.saturation.forget(&gone);
    }

    /// What is held, for the agent's own metrics.
    #[must_use]
    pub fn usage(&self) -> [Usage; 2] {
        [self.queues.usage(), self.saturation.usage()]
    }
}

fn socket(queue: &AcceptQueue) -> Socket {
    (queue.socket, queue.listener.since)
}
