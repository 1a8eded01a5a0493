//! TCP connections to metrics: the open ones at each reading, the others when they end.

mod descriptors;
pub mod listen;
mod peer;
mod progress;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use sonde_common::event::tcp::{Closed, ConnectFailed, Role, Totals};

pub use self::peer::Listening;
pub use descriptors::{
    CONNECT_DURATION, CONNECT_FAILURES, CONNECTIONS, DESCRIPTORS, IO, LIFETIME, RESETS,
    RETRANSMITS, RTT,
};

use self::{
    peer::{Peer, STATES},
    progress::{Growth, Progress},
};
use super::{
    cardinality::{Limits, Series, Slot, Table, Usage},
    distribution::{DURATION, Distribution},
    network::NetworkIo,
    service::{ServiceId, Services},
};
use crate::{
    clock::Clock,
    enrich::Renewed,
    errno,
    metric::{Attributes, Collector, Resource, Value},
    signal::{LogRecord, Severity},
};

/// Caps of [`Tcp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// Series; one for each server that a service talks to, and one for each way in which connects
    /// to it fail.
    pub series: Limits,
    /// Open connections whose progress is remembered. The others are counted when they end.
    pub connections: usize,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            series: Limits {
                per_service: 500,
                total: 10_000,
            },
            connections: 131_072,
        }
    }
}

/// `Closed::reset`: the peer sent a reset.
const RESET_BY_PEER: u8 = 1;
/// `Closed::reset`: this side sent a reset.
const RESET_BY_US: u8 = 2;

#[derive(Debug, Default)]
struct Connections {
    connect_duration: Distribution,
    rtt: Distribution,
    lifetime: Distribution,
    retransmits: u64,
    resets_received: u64,
    resets_sent: u64,
    sent: u64,
    received: u64,
    /// Open now, by number of the state; `None` where there never was one.
    states: [Option<u32>; STATES.len()],
}

/// The TCP metrics of all services.
#[derive(Debug)]
pub struct Tcp {
    /// Owner of connections that have no other.
    host: Arc<Resource>,
    listening: Listening,
    services: Services,
    progress: Progress,
    connections: Table<Peer, Connections>,
    failures: Table<(Peer, u32), u64>,
}

impl Tcp {
    /// Nothing observed yet. Connections without an owner are the host's.
    #[must_use]
    pub fn new(limits: TcpLimits, host: Arc<Resource>) -> Self {
        Self {
            host,
            listening: Listening::new(),
            services: Services::new(limits.series.total),
            progress: Progress::new(limits.connections),
            connections: Table::new("tcp", limits.series),
            failures: Table::new("tcp.connect.failures", limits.series),
        }
    }

    /// Says what is listened on at present, which tells the accepted ones among the connections
    /// that were there before sonde.
    pub fn set_listening(&mut self, listening: Listening) {
        self.listening = listening;
    }

    /// Takes a reading of all open connections, made at `now`.
    ///
    /// Each byte and each retransmit counts once, whether a reading or the connection's end tells
    /// of it first. Of a connection of [`Role::Unknown`], only what comes after it was first seen
    /// counts.
    pub fn read<'a>(
        &mut self,
        open: impl IntoIterator<Item = &'a Totals>,
        now: SystemTime,
        mut owner: impl FnMut(&Totals) -> Option<Arc<Resource>>,
    ) {
        for value in self.connections.values_mut() {
            value.states.iter_mut().flatten().for_each(|open| *open = 0);
        }
        for totals in open {
            let Some(growth) = self.progress.read(totals) else {
                continue;
            };
            let resource = owner(totals);
            let service = self.service(resource.as_ref(), || now);
            let peer = Peer::of(totals, &self.listening);
            let connections = self.connections.observe(service, Some(peer));
            connections.add(totals, growth);
            let state = connections.states.get_mut(usize::from(totals.state));
            if let Some(state) = state {
                *state = Some(state.unwrap_or(0) + 1);
            }
        }
        self.progress.finish_reading();
    }

    /// Counts what a connection did up to its end.
    pub fn closed(&mut self, closed: &Closed, owner: Option<&Arc<Resource>>, clock: &Clock) {
        let totals = &closed.totals;
        let Some(growth) = self.progress.end(totals) else {
            return;
        };
        let service = self.service(owner, || clock.system_time(totals.opened));
        let peer = Peer::of(totals, &self.listening);
        let connections = self.connections.observe(service, Some(peer));
        connections.add(totals, growth);
        match closed.reset {
            RESET_BY_PEER => connections.resets_received += 1,
            RESET_BY_US => connections.resets_sent += 1,
            _ => {}
        }
        // A connection whose begin was not seen has no lifetime that could be told.
        if totals.role != Role::Unknown as u8 {
            let lived = closed.header.time.saturating_sub(totals.opened);
            connections.lifetime.record(&DURATION, lived);
        }
    }

    /// Counts a connect that failed.
    pub fn connect_failed(
        &mut self,
        failed: &ConnectFailed,
        owner: Option<&Arc<Resource>>,
        clock: &Clock,
    ) {
        let begun = failed.header.time.saturating_sub(failed.duration);
        let service = self.service(owner, || clock.system_time(begun));
        let key = (Peer::outbound(&failed.tuple), failed.error);
        *self.failures.observe(service, Some(key)) += 1;
    }

    fn service(
        &mut self,
        owner: Option<&Arc<Resource>>,
        start: impl FnOnce() -> SystemTime,
    ) -> Option<ServiceId> {
        self.services.id(owner.unwrap_or(&self.host), start)
    }

    /// Adds all series.
    pub fn collect(&self, collector: &mut Collector) {
        for (slot, connections) in self.connections.iter() {
            let series = Series::new(collector, &self.services, &slot, Peer::attributes);
            connections.collect(series);
        }
        for (slot, count) in self.failures.iter() {
            Series::new(collector, &self.services, &slot, |(peer, error)| {
                let pairs = peer.pairs().into_iter();
                let error = ("error.type", error_type(error).as_ref().into());
                pairs.chain([error]).collect::<Attributes>()
            })
            .push(&CONNECT_FAILURES, Value::Integer(*count));
        }
    }

    /// Adds what each service has received and sent.
    pub fn add_io(&self, io: &mut NetworkIo, collector: &Collector) {
        let mut sums: BTreeMap<Slot<()>, [u64; 2]> = BTreeMap::new();
        for (slot, connections) in self.connections.iter() {
            let [received, sent] = sums.entry(slot.map(|_| ())).or_default();
            *received += connections.received;
            *sent += connections.sent;
        }
        for (slot, bytes) in sums {
            io.add(slot.owner(&self.services, collector), bytes);
        }
    }

    /// A service's resource has changed: its series go on under the new one.
    pub fn renew(&mut self, renewed: &Renewed) {
        self.services.renew(renewed);
    }

    /// Forgets the services that `keep` doesn't hold to: those without a process for a while.
    pub fn retain(&mut self, keep: impl Fn(&Resource) -> bool) {
        let host = Arc::clone(&self.host);
        let gone = self
            .services
            .retain(|resource| *resource == *host || keep(resource));
        self.connections.forget(&gone);
        self.failures.forget(&gone);
    }

    /// What is held, for the agent's own metrics. The last is of connections rather than series:
    /// those whose progress is remembered, and how often there was no room for one.
    #[must_use]
    pub fn usage(&self) -> [Usage; 3] {
        [
            self.connections.usage(),
            self.failures.usage(),
            Usage {
                family: "tcp.connection.progress",
                series: self.progress.tracked(),
                overflowed: self.progress.untracked(),
            },
        ]
    }
}

impl Connections {
    fn add(&mut self, totals: &Totals, growth: Growth) {
        self.sent += growth.sent;
        self.received += growth.received;
        self.retransmits += growth.retransmits;
        if growth.first && totals.connect_duration > 0 && totals.role == Role::Outbound as u8 {
            self.connect_duration
                .record(&DURATION, totals.connect_duration);
        }
        if totals.srtt > 0 {
            self.rtt.record(&DURATION, u64::from(totals.srtt) * 1_000);
        }
    }

    fn collect(&self, mut series: Series<'_>) {
        for (descriptor, distribution) in [
            (&CONNECT_DURATION, &self.connect_duration),
            (&RTT, &self.rtt),
            (&LIFETIME, &self.lifetime),
        ] {
            if let Some(histogram) = distribution.histogram(&DURATION) {
                series.push(descriptor, Value::Histogram(histogram));
            }
        }
        series.push(&RETRANSMITS, Value::Integer(self.retransmits));
        for (descriptor, name, value, count) in [
            (&RESETS, "direction", "received", self.resets_received),
            (&RESETS, "direction", "sent", self.resets_sent),
            (&IO, "network.io.direction", "receive", self.received),
            (&IO, "network.io.direction", "transmit", self.sent),
        ] {
            let value = [(name, value.into())];
            series.push_with(descriptor, value, Value::Integer(count), Vec::new());
        }
        for (name, open) in STATES.iter().zip(self.states) {
            if let Some(open) = open {
                let state = [("state", (*name).into())];
                let open = Value::Integer(u64::from(open));
                series.push_with(&CONNECTIONS, state, open, Vec::new());
            }
        }
    }
}

/// `error.type` of a failed connect: the errno's name, or `aborted` where the process gave up.
fn error_type(error: u32) -> std::borrow::Cow<'static, str> {
    match error {
        0 => "aborted".into(),
        errno => errno::label(errno),
    }
}

/// The log record of a connect that failed; `None` where the process itself gave up.
#[must_use]
pub fn connect_failed_record(
    failed: &ConnectFailed,
    resource: &Arc<Resource>,
    clock: &Clock,
) -> Option<LogRecord> {
    if failed.error == 0 {
        return None;
    }
    let error = errno::label(failed.error);
    let remote = super::server::ip(failed.tuple.remote);
    let server = std::net::SocketAddr::new(remote, failed.tuple.remote_port);
    let elapsed = std::time::Duration::from_nanos(failed.duration);
    let mut pairs = Peer::outbound(&failed.tuple).pairs();
    pairs.push(("error.type", error.as_ref().into()));
    Some(LogRecord {
        time: clock.system_time(failed.header.time),
        resource: Arc::clone(resource),
        severity: Severity::Error,
        event_name: "tcp.connect.failed",
        body: format!("connect to {server} failed with {error} after {elapsed:.1?}"),
        attributes: pairs.into_iter().collect(),
        span: None,
    })
}
