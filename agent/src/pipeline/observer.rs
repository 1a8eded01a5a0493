//! The owner of everything that is aggregated: takes events in, makes snapshots.
//!
//! One thread runs it, so nothing here is locked.

mod life;
mod reading;

use std::{collections::HashMap, sync::Arc};

use sonde_common::event::{
    http::flag,
    process::Fork,
    tcp::{Closed, ConnectFailed, Role as Opener, Totals},
    tls,
};

use super::sink::Sink;
use crate::{
    aggregate::{
        block::Blocks,
        cardinality::Limits,
        process::Processes as Lifecycle,
        red::Red,
        rpc::Calls,
        span::{Operation, Tracer, is_sampled, remote},
        syscall::Syscalls,
        tcp::{Tcp, connect_failed_record, listen::AcceptQueues},
        uncovered::Uncovered,
        usage::Usages,
    },
    clock::Clock,
    enrich::{kubernetes::Kubernetes, listener::Listeners, process::Processes},
    event::{Event, Segment},
    l7::{Connections, exchange::Exchange},
    metric::{Renames, Resource},
    resource::Census,
    signal::Signal,
    tls::{Tls, UNKNOWN},
};

/// Everything that events change.
pub(super) struct Observer {
    pub(super) clock: Clock,
    pub(super) host: Arc<Resource>,
    pub(super) processes: Processes,
    listeners: Listeners,
    /// Whether the kernel side has told of all sockets that listen, each with a live process.
    pub(super) listeners_are_told: bool,
    pub(super) connections: Connections,
    pub(super) red: Red,
    pub(super) calls: Calls,
    pub(super) tracer: Tracer,
    pub(super) tcp: Tcp,
    pub(super) accept_queues: AcceptQueues,
    pub(super) syscalls: Syscalls,
    pub(super) blocks: Blocks,
    pub(super) lifecycle: Lifecycle,
    pub(super) uncovered: Uncovered,
    pub(super) usage: Usages,
    pub(super) census: Arc<Census>,
    /// Whoever looks for TLS libraries, where they can be watched.
    pub(super) tls: Option<Tls>,
    /// Whoever watches this node's pods, where there are any.
    pub(super) kubernetes: Option<Kubernetes>,
    /// Services that had other identities.
    pub(super) renames: Arc<Renames>,
    /// Changes of identity that there was no room to remember.
    pub(super) renames_untold: u64,
    /// Processes that ended since system call counts were last put away.
    pub(super) ended: Vec<u32>,
    forks: HashMap<u32, Fork>,
    sink: Sink,
}

/// The parts that an [`Observer`] is made of.
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) host: Arc<Resource>,
    pub(super) processes: Processes,
    pub(super) listeners: Listeners,
    pub(super) connections: Connections,
    pub(super) red: Red,
    pub(super) calls: Calls,
    pub(super) tracer: Tracer,
    pub(super) tcp: Tcp,
    pub(super) usage: Usages,
    pub(super) blocks: Blocks,
    pub(super) tls: Option<Tls>,
    pub(super) kubernetes: Option<Kubernetes>,
    pub(super) sink: Sink,
}

impl Observer {
    pub(super) fn new(parts: Parts) -> Self {
        let mut observer = Self {
            clock: parts.clock,
            host: parts.host,
            processes: parts.processes,
            listeners: Listeners::default(),
            listeners_are_told: false,
            connections: parts.connections,
            red: parts.red,
            calls: parts.calls,
            tracer: parts.tracer,
            tcp: parts.tcp,
            accept_queues: AcceptQueues::new(Limits::default()),
            syscalls: Syscalls::default(),
            blocks: parts.blocks,
            lifecycle: Lifecycle::default(),
            uncovered: Uncovered::default(),
            usage: parts.usage,
            census: Arc::default(),
            tls: parts.tls,
            kubernetes: parts.kubernetes,
            renames: Arc::default(),
            renames_untold: 0,
            ended: Vec::new(),
            forks: HashMap::new(),
            sink: parts.sink,
        };
        observer.set_listeners(parts.listeners);
        observer
    }

    /// Says who listens where at present.
    pub(super) fn set_listeners(&mut self, listeners: Listeners) {
        self.tcp.set_listening(listeners.ports().collect());
        self.listeners = listeners;
        self.listeners_are_told = false;
    }

    /// Takes one event in.
    pub(super) fn event(&mut self, event: Event<'_>) {
        match event {
            Event::HttpSegment(segment) => self.segment(&segment),
            Event::HttpOpen(opened) => self.connections.open(&opened),
            Event::TcpClosed(closed) => self.closed(closed),
            Event::TcpConnectFailed(failed) => self.connect_failed(failed),
            Event::Fork(fork) => self.fork(fork),
            Event::Exec(exec) => self.exec(exec),
            Event::Exit(exit) => self.exit(exit),
            Event::ExitRest(rest) => {
                let owner = self.processes.owner(rest.header.tgid);
                self.usage.rest(rest, &owner);
            }
            Event::OomKill(kill) => {
                let cgroup = self.processes.memory_cgroup(kill.victim);
                self.lifecycle.oom_killed(kill, cgroup);
            }
            Event::Uncovered(record) => self.uncovered(record),
        }
    }

    fn segment(&mut self, segment: &Segment<'_>) {
        let (red, tracer, processes) = (&mut self.red, &mut self.tracer, &mut self.processes);
        let (clock, sink, calls) = (&self.clock, &mut self.sink, &mut self.calls);
        self.connections.segment(segment, &mut |exchange| {
            complete(exchange, red, calls, tracer, processes, clock, sink);
        });
    }

    /// Gives up requests that got no answer in time, and settles forks. About once a second.
    pub(super) fn tick(&mut self, now: u64) {
        let (red, tracer, processes) = (&mut self.red, &mut self.tracer, &mut self.processes);
        let (clock, sink, calls) = (&self.clock, &mut self.sink, &mut self.calls);
        self.connections.expire(now, &mut |exchange| {
            complete(exchange, red, calls, tracer, processes, clock, sink);
        });
        self.settle_forks(now);
        self.name_uncovered();
        self.processes.expire(now);
        if let Err(error) = self.clock.refresh() {
            tracing::warn!(%error, "can't read the clock; timestamps follow the last reading");
        }
    }

    fn closed(&mut self, closed: &Closed) {
        let owner = owner_of(&mut self.processes, &self.listeners, &closed.totals);
        self.tcp.closed(closed, owner.as_ref(), &self.clock);
        let reset = if closed.reset == 0 { 0 } else { flag::RESET };
        self.segment(&Segment::end(
            closed.totals.connection,
            closed.header.time,
            flag::CLOSED | reset,
            Some(closed.totals.info()),
        ));
    }

    fn connect_failed(&mut self, failed: &ConnectFailed) {
        let owner = self
            .processes
            .owner_at(failed.header.tgid, failed.header.time);
        self.tcp.connect_failed(failed, Some(owner), &self.clock);
        if let Some(record) = connect_failed_record(failed, owner, &self.clock) {
            self.sink.send(Signal::Log(Arc::new(record)));
        }
    }

    /// A connection that is encrypted by something that isn't watched counts once it is known by
    /// what: see [`Self::name_uncovered`].
    fn uncovered(&mut self, record: &tls::Uncovered) {
        let by_tls = record.reason == tls::Reason::Tls as u32;
        let asked = match &self.tls {
            Some(tls) if by_tls => tls.suspect(record),
            _ => false,
        };
        if !asked {
            self.count_uncovered(record, if by_tls { UNKNOWN } else { "" });
        }
    }

    /// Counts the uncovered connections whose libraries have been found out.
    pub(super) fn name_uncovered(&mut self) {
        let named: Vec<_> = self.tls.iter().flat_map(Tls::named).collect();
        for (record, library) in named {
            self.count_uncovered(&record, library);
        }
    }

    fn count_uncovered(&mut self, record: &tls::Uncovered, library: &'static str) {
        let owner = self
            .processes
            .owner_at(record.header.tgid, record.header.time);
        self.uncovered.observe(record, library, owner, &self.clock);
    }
}

/// An exchange has ended: it counts, and is told to whoever wants spans.
fn complete(
    exchange: &Exchange,
    red: &mut Red,
    calls: &mut Calls,
    tracer: &mut Tracer,
    processes: &mut Processes,
    clock: &Clock,
    sink: &mut Sink,
) {
    let resource = processes.owner_at(exchange.tgid, exchange.start);
    let context = sink.wants_signals().then(|| tracer.context(exchange));
    let example = match context {
        Some(context) => Some(context).filter(is_sampled),
        None => remote(exchange),
    };
    let route = red.observe(exchange, resource, example, clock);
    let method = calls.observe(exchange, resource, example, clock);
    if let Some(context) = context {
        let route = red.route(route);
        let operation = Operation {
            route: &route,
            method: method.and_then(|method| calls.method(method)),
        };
        for signal in tracer.signals(exchange, operation, resource, context, clock) {
            sink.send(signal);
        }
    }
}

/// Whose a connection is: the process that the kernel side saw use it, else for an accepted one
/// whoever listens on its port.
fn owner_of(
    processes: &mut Processes,
    listeners: &Listeners,
    totals: &Totals,
) -> Option<Arc<Resource>> {
    if totals.tgid != 0 {
        let owner = processes.owner_at(totals.tgid, totals.opened);
        return Some(Arc::clone(owner));
    }
    if totals.role != Opener::Inbound as u8 {
        return None;
    }
    let tgid = listeners.owner(totals.tuple.netns, totals.tuple.local_port)?;
    Some(processes.owner(tgid))
}
