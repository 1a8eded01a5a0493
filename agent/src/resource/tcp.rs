//! The TCP stack: sockets, memory, listen queues, retransmissions, what it had to throw away.

use std::time::Instant;

use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    method::{Signal, amount, counter},
    read,
    snmp::{self, Counters, Sockets, ratio},
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "tcp";

static SOCKETS: Descriptor = amount(
    "system.network.tcp.sockets",
    "TCP sockets by state: inuse, orphan (no process holds it), time_wait, allocated (/proc/net/sockstat, TCP)",
    Unit::Count("{socket}"),
);
static MEMORY: Descriptor = amount(
    "system.network.tcp.memory.usage",
    "Memory for the buffers of TCP sockets (/proc/net/sockstat, TCP mem)",
    Unit::Bytes,
);
static MEMORY_LIMIT: Descriptor = amount(
    "system.network.tcp.memory.limit",
    "Most that the buffers of TCP sockets may take (/proc/sys/net/ipv4/tcp_mem, third value)",
    Unit::Bytes,
);
static ESTABLISHED: Descriptor = amount(
    "system.network.tcp.established",
    "Connections that are established or wait for this side to close (/proc/net/snmp, Tcp CurrEstab)",
    Unit::Count("{connection}"),
);
static EVENTS: Descriptor = counter(
    "system.network.tcp.events",
    "Counters of the TCP stack under their kernel names (/proc/net/snmp Tcp, /proc/net/netstat TcpExt)",
    Unit::Count("{event}"),
);

static ORPHANS: Signal = Signal {
    name: "orphan_share",
    help: "Sockets that no process holds, of tcp_max_orphans; beyond 1 they are reset (/proc/net/sockstat)",
};
static RETRANSMITS: Signal = Signal {
    name: "retransmit_share",
    help: "Segments sent again, of all sent since the last snapshot (/proc/net/snmp, Tcp RetransSegs and OutSegs)",
};
static LISTEN_OVERFLOW: Signal = Signal {
    name: "listen_overflow_rate",
    help: "Connections refused because an accept queue was full (/proc/net/netstat, ListenOverflows)",
};
static PRUNE: Signal = Signal {
    name: "prune_rate",
    help: "Times receive buffers were pruned for want of memory (/proc/net/netstat, PruneCalled, RcvPruned, OfoPruned)",
};
static MEMORY_PRESSURE: Signal = Signal {
    name: "memory_pressure_rate",
    help: "Times TCP came under memory pressure (/proc/net/netstat, TCPMemoryPressures)",
};

static LISTEN_DROP: Signal = Signal {
    name: "listen_drop",
    help: "Connection requests dropped, overflows among them (/proc/net/netstat, ListenDrops)",
};
static BACKLOG_DROP: Signal = Signal {
    name: "backlog_drop",
    help: "Segments dropped because a socket's backlog was full (/proc/net/netstat, TCPBacklogDrop)",
};
static RECEIVE_DROP: Signal = Signal {
    name: "receive_queue_drop",
    help: "Segments dropped because a receive queue was full (/proc/net/netstat, TCPRcvQDrop)",
};
static BAD_SEGMENT: Signal = Signal {
    name: "bad_segment",
    help: "Segments received with an error (/proc/net/snmp, Tcp InErrs)",
};
static CONNECT_FAILURE: Signal = Signal {
    name: "attempt_failure",
    help: "Connections that failed before they were established (/proc/net/snmp, Tcp AttemptFails)",
};
static ABORT_MEMORY: Signal = Signal {
    name: "abort_on_memory",
    help: "Connections reset for want of memory or too many orphans (/proc/net/netstat, TCPAbortOnMemory)",
};

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[&SOCKETS, &ESTABLISHED, &MEMORY, &MEMORY_LIMIT, &EVENTS],
    saturation: &[
        &ORPHANS,
        &RETRANSMITS,
        &LISTEN_OVERFLOW,
        &PRUNE,
        &MEMORY_PRESSURE,
    ],
    errors: &[
        &LISTEN_DROP,
        &BACKLOG_DROP,
        &RECEIVE_DROP,
        &BAD_SEGMENT,
        &CONNECT_FAILURE,
        &ABORT_MEMORY,
    ],
    open: |_| Box::<Tcp>::default(),
};

/// The one number of the MIB that isn't a counter.
const CURRENT: &str = "CurrEstab";

/// What `system.network.tcp.events` reports of the stack's many counters.
const REPORTED: &[&str] = &[
    CURRENT,
    "ActiveOpens",
    "PassiveOpens",
    "AttemptFails",
    "EstabResets",
    "InSegs",
    "OutSegs",
    "RetransSegs",
    "InErrs",
    "InCsumErrors",
    "OutRsts",
    "ListenOverflows",
    "ListenDrops",
    "PruneCalled",
    "RcvPruned",
    "OfoPruned",
    "SyncookiesSent",
    "SyncookiesRecv",
    "SyncookiesFailed",
    "TCPAbortOnMemory",
    "TCPAbortOnTimeout",
    "TCPBacklogDrop",
    "TCPFastRetrans",
    "TCPLostRetransmit",
    "TCPMemoryPressures",
    "TCPOFODrop",
    "TCPRcvCollapsed",
    "TCPRcvQDrop",
    "TCPReqQFullDrop",
    "TCPSpuriousRTOs",
    "TCPSynRetrans",
    "TCPTimeWaitOverflow",
    "TCPTimeouts",
    "TCPZeroWindowDrop",
];

const ERRORS: [(&Signal, &str); 6] = [
    (&LISTEN_DROP, "ListenDrops"),
    (&BACKLOG_DROP, "TCPBacklogDrop"),
    (&RECEIVE_DROP, "TCPRcvQDrop"),
    (&BAD_SEGMENT, "InErrs"),
    (&CONNECT_FAILURE, "AttemptFails"),
    (&ABORT_MEMORY, "TCPAbortOnMemory"),
];

#[derive(Debug, Default)]
struct Tcp {
    last: Option<Timed<Counters>>,
}

impl Resource for Tcp {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let Some(text) = read::net(root, "sockstat")? else {
            return Ok(None);
        };
        let Some(sockets) = Sockets::parse(&text, "TCP") else {
            return Err(read::malformed(
                &root.procfs.join("net/sockstat"),
                "TCP line",
            ));
        };
        room(&sockets, root, &mut report);
        let mut counters = Counters::default();
        for (file, protocol) in [("snmp", "Tcp"), ("netstat", "TcpExt")] {
            let skipped = &mut report.skipped;
            if let Some(text) = snmp::text(root, file, skipped) {
                counters.columns(&text, protocol, REPORTED, skipped);
            }
        }
        let now = Timed {
            at: now,
            value: counters,
        };
        raw(&now.value, &mut report);
        if let Some(interval) = Interval::between(self.last.as_ref(), &now) {
            saturation(&interval, &mut report);
        }
        self.last = Some(now);
        Ok(Some(report))
    }
}

fn room(sockets: &Sockets<'_>, root: &Root, report: &mut Use) {
    for (state, field) in [
        ("inuse", "inuse"),
        ("orphan", "orphan"),
        ("time_wait", "tw"),
        ("allocated", "alloc"),
    ] {
        let attributes = [("network.connection.state", state.into())];
        report.count(&SOCKETS, attributes, sockets.get(field));
    }
    let limit = snmp::memory_limit(root, "tcp_mem", &mut report.skipped);
    let used = sockets.get("mem");
    report.count(&MEMORY, [], used.and_then(snmp::bytes));
    report.count(&MEMORY_LIMIT, [], limit.and_then(snmp::bytes));
    report.utilization(None, ratio(used, limit));
    let most = read::number(&root.procfs.join("sys/net/ipv4/tcp_max_orphans"));
    let most = report.skipped.or_skip(most);
    report.saturation(None, &ORPHANS, ratio(sockets.get("orphan"), most));
}

fn raw(counters: &Counters, report: &mut Use) {
    report.count(&ESTABLISHED, [], counters.get(CURRENT));
    for name in REPORTED.iter().filter(|name| **name != CURRENT) {
        let attributes = [("event", (*name).into())];
        report.count(&EVENTS, attributes, counters.get(name));
    }
    for (signal, name) in ERRORS {
        report.errors(None, signal, counters.get(name));
    }
}

fn saturation(interval: &Interval<'_, Counters>, report: &mut Use) {
    let growth = |name: &str| interval.growth(|counters| counters.get(name));
    let rate = |name: &str| interval.rate(|counters| counters.get(name));
    let retransmits = ratio(growth("RetransSegs"), growth("OutSegs"));
    // OutSegs leaves retransmissions out (RFC 4022), so the share may pass 1 when nothing else goes.
    let retransmits = retransmits.map(|share| share.min(1.0));
    report.saturation(None, &RETRANSMITS, retransmits);
    report.saturation(None, &LISTEN_OVERFLOW, rate("ListenOverflows"));
    let prunes = ["PruneCalled", "RcvPruned", "OfoPruned"].map(rate);
    let prunes = prunes.into_iter().flatten().reduce(|sum, rate| sum + rate);
    report.saturation(None, &PRUNE, prunes);
    report.saturation(None, &MEMORY_PRESSURE, rate("TCPMemoryPressures"));
}
