//! The UDP stack: sockets, memory, what waits in queues and what no buffer had room for.

use std::time::Instant;

use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    method::{Signal, amount, counter},
    read,
    snmp::{self, Counters, Sockets, ratio},
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "udp";

static SOCKETS: Descriptor = amount(
    "system.network.udp.sockets",
    "UDP sockets in use (/proc/net/sockstat UDP, /proc/net/sockstat6 UDP6)",
    Unit::Count("{socket}"),
);
static MEMORY: Descriptor = amount(
    "system.network.udp.memory.usage",
    "Memory for the buffers of UDP sockets (/proc/net/sockstat, UDP mem)",
    Unit::Bytes,
);
static MEMORY_LIMIT: Descriptor = amount(
    "system.network.udp.memory.limit",
    "Most that the buffers of UDP sockets may take (/proc/sys/net/ipv4/udp_mem, third value)",
    Unit::Bytes,
);
static QUEUES: Descriptor = amount(
    "system.network.udp.queue.usage",
    "Buffer space that datagrams take which wait to be read, or to be sent (/proc/net/udp and udp6, rx_queue and tx_queue)",
    Unit::Bytes,
);
static EVENTS: Descriptor = counter(
    "system.network.udp.events",
    "Counters of the UDP stack under their kernel names (/proc/net/snmp Udp, /proc/net/snmp6 Udp6)",
    Unit::Count("{event}"),
);

static RECEIVE_BUFFER: Signal = Signal {
    name: "receive_buffer_drop_rate",
    help: "Datagrams dropped because a socket's receive buffer was full: nobody read it in time (/proc/net/snmp, Udp RcvbufErrors)",
};

static RECEIVE_DROP: Signal = Signal {
    name: "receive_buffer_drop",
    help: "Datagrams dropped because a socket's receive buffer was full (/proc/net/snmp, Udp RcvbufErrors)",
};
static SEND_DROP: Signal = Signal {
    name: "send_buffer_drop",
    help: "Datagrams that could not be sent for want of room below (/proc/net/snmp, Udp SndbufErrors)",
};
static CHECKSUM: Signal = Signal {
    name: "bad_checksum",
    help: "Datagrams received with a wrong checksum (/proc/net/snmp, Udp InCsumErrors)",
};
static MEMORY_DROP: Signal = Signal {
    name: "memory_drop",
    help: "Datagrams dropped because all UDP sockets together had taken their limit (/proc/net/snmp, Udp MemErrors)",
};

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[&SOCKETS, &MEMORY, &MEMORY_LIMIT, &QUEUES, &EVENTS],
    saturation: &[&RECEIVE_BUFFER],
    errors: &[&RECEIVE_DROP, &SEND_DROP, &CHECKSUM, &MEMORY_DROP],
    open: |_| Box::<Udp>::default(),
};

const REPORTED: &[&str] = &[
    "InDatagrams",
    "OutDatagrams",
    "NoPorts",
    "InErrors",
    "RcvbufErrors",
    "SndbufErrors",
    "InCsumErrors",
    "MemErrors",
];

const ERRORS: [(&Signal, &str); 4] = [
    (&RECEIVE_DROP, "RcvbufErrors"),
    (&SEND_DROP, "SndbufErrors"),
    (&CHECKSUM, "InCsumErrors"),
    (&MEMORY_DROP, "MemErrors"),
];

/// The stack has its own counters for each version of IP.
#[derive(Debug, Default)]
struct Sample {
    ipv4: Counters,
    ipv6: Counters,
}

impl Sample {
    fn versions(&self) -> [(&'static str, &Counters); 2] {
        [("ipv4", &self.ipv4), ("ipv6", &self.ipv6)]
    }

    /// Of both; `None` where there is neither.
    fn sum(&self, name: &str) -> Option<u64> {
        let counts = self.versions().map(|(_, counters)| counters.get(name));
        counts.into_iter().flatten().reduce(u64::saturating_add)
    }
}

#[derive(Debug, Default)]
struct Udp {
    last: Option<Timed<Sample>>,
}

impl Resource for Udp {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let Some(text) = read::net(root, "sockstat")? else {
            return Ok(None);
        };
        let Some(sockets) = Sockets::parse(&text, "UDP") else {
            return Err(read::malformed(
                &root.procfs.join("net/sockstat"),
                "UDP line",
            ));
        };
        room(&sockets, root, &mut report);
        for (file, version) in [("udp", "ipv4"), ("udp6", "ipv6")] {
            queues(file, version, root, &mut report);
        }
        let mut sample = Sample::default();
        let skipped = &mut report.skipped;
        if let Some(text) = snmp::text(root, "snmp", skipped) {
            sample.ipv4.columns(&text, "Udp", REPORTED, skipped);
        }
        if let Some(text) = snmp::text(root, "snmp6", skipped) {
            sample.ipv6.lines(&text, "Udp6", REPORTED, skipped);
        }
        let now = Timed {
            at: now,
            value: sample,
        };
        events(&now.value, &mut report);
        if let Some(interval) = Interval::between(self.last.as_ref(), &now) {
            let dropped = interval.rate(|sample| sample.sum("RcvbufErrors"));
            report.saturation(None, &RECEIVE_BUFFER, dropped);
        }
        self.last = Some(now);
        Ok(Some(report))
    }
}

fn room(sockets: &Sockets<'_>, root: &Root, report: &mut Use) {
    let text = snmp::text(root, "sockstat6", &mut report.skipped).unwrap_or_default();
    let in_ipv6 = Sockets::parse(&text, "UDP6").and_then(|sockets| sockets.get("inuse"));
    for (version, count) in [("ipv4", sockets.get("inuse")), ("ipv6", in_ipv6)] {
        report.count(&SOCKETS, [("network.type", version.into())], count);
    }
    // Both versions draw on one account.
    let used = sockets.get("mem");
    let limit = snmp::memory_limit(root, "udp_mem", &mut report.skipped);
    report.count(&MEMORY, [], used.and_then(snmp::bytes));
    report.count(&MEMORY_LIMIT, [], limit.and_then(snmp::bytes));
    report.utilization(None, ratio(used, limit));
}

/// Adds the sum over all sockets of `/proc/net/udp` or `udp6`.
fn queues(file: &str, version: &str, root: &Root, report: &mut Use) {
    const HEADINGS: usize = 1;
    let Some(text) = snmp::text(root, file, &mut report.skipped) else {
        return;
    };
    let queues = report
        .skipped
        .lines(text.lines().skip(HEADINGS), parse_queues);
    let (mut sending, mut receiving) = (0_u64, 0_u64);
    for (send, receive) in queues {
        sending = sending.saturating_add(send);
        receiving = receiving.saturating_add(receive);
    }
    for (direction, bytes) in [("transmit", sending), ("receive", receiving)] {
        let attributes = [
            ("network.io.direction", direction.into()),
            ("network.type", version.into()),
        ];
        report.count(&QUEUES, attributes, bytes);
    }
}

/// `sl local_address rem_address st tx_queue:rx_queue ...`, in hexadecimal.
fn parse_queues(line: &str) -> Option<(u64, u64)> {
    let (sending, receiving) = line.split_ascii_whitespace().nth(4)?.split_once(':')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(sending)?, number(receiving)?))
}

fn events(sample: &Sample, report: &mut Use) {
    for (version, counters) in sample.versions() {
        for name in REPORTED {
            let attributes = [("event", (*name).into()), ("network.type", version.into())];
            report.count(&EVENTS, attributes, counters.get(name));
        }
    }
    for (signal, name) in ERRORS {
        report.errors(None, signal, sample.sum(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_hexadecimal_and_a_cut_line_has_none() {
        let line = "  512: 0100007F:0035 00000000:0000 07 00000A00:00000300 00:00000000 00000000";
        assert_eq!(parse_queues(line), Some((0xa00, 0x300)));
        assert_eq!(
            parse_queues("  512: 0100007F:0035 00000000:0000 07 00000A00"),
            None
        );
        assert_eq!(parse_queues("x y z w g:1"), None);
    }
}
