//! The IP layer and ICMP: what is passed on, and what is thrown away before TCP and UDP see it.

use crate::{
    metric::{Descriptor, Unit},
    resource::{
        Root, Use,
        method::{Signal, amount, counter},
        read::Skipped,
        snmp::{self, Counters, Sockets},
    },
};

pub(super) static IO: Descriptor = counter(
    "system.network.ip.io",
    "Bytes of IP packets received and sent, loopback included (/proc/net/netstat IpExt, /proc/net/snmp6 Ip6, InOctets and OutOctets)",
    Unit::Bytes,
);
pub(super) static EVENTS: Descriptor = counter(
    "system.network.ip.events",
    "Counters of the IP layer under their kernel names (/proc/net/snmp Ip, /proc/net/snmp6 Ip6)",
    Unit::Count("{event}"),
);
pub(super) static ICMP: Descriptor = counter(
    "system.network.icmp.events",
    "Counters of ICMP under their kernel names (/proc/net/snmp Icmp, /proc/net/snmp6 Icmp6)",
    Unit::Count("{event}"),
);
pub(super) static FRAGMENTS: Descriptor = amount(
    "system.network.ip.fragment.memory.usage",
    "Memory for IP packets of which not all fragments have come (/proc/net/sockstat FRAG, sockstat6 FRAG6)",
    Unit::Bytes,
);
pub(super) static SOCKETS: Descriptor = amount(
    "system.network.sockets",
    "Open sockets of all families (/proc/net/sockstat, sockets used)",
    Unit::Count("{socket}"),
);

pub(super) static NO_ROUTE: Signal = Signal {
    name: "no_route",
    help: "Packets that were not sent for want of a route (/proc/net/snmp Ip OutNoRoutes, snmp6 Ip6OutNoRoutes)",
};
pub(super) static DISCARD: Signal = Signal {
    name: "ip_discard",
    help: "Good packets that IP dropped, such as for want of memory (/proc/net/snmp Ip InDiscards and OutDiscards, snmp6 Ip6)",
};
pub(super) static REASSEMBLY: Signal = Signal {
    name: "reassembly_failure",
    help: "Packets that could not be put together from their fragments (/proc/net/snmp Ip ReasmFails, snmp6 Ip6ReasmFails)",
};

const EVENT_NAMES: &[&str] = &[
    "InReceives",
    "InHdrErrors",
    "InAddrErrors",
    "ForwDatagrams",
    "InDiscards",
    "InDelivers",
    "OutRequests",
    "OutDiscards",
    "OutNoRoutes",
    "ReasmTimeout",
    "ReasmOKs",
    "ReasmFails",
    "FragFails",
];
const OCTETS: &[&str] = &["InOctets", "OutOctets"];
const ICMP_NAMES: &[&str] = &[
    "InMsgs",
    "InErrors",
    "InDestUnreachs",
    "InTimeExcds",
    "InRedirects",
    "OutMsgs",
    "OutErrors",
    "OutDestUnreachs",
    "OutTimeExcds",
];

/// The counters of one version of IP.
#[derive(Default)]
struct Layer {
    ip: Counters,
    octets: Counters,
    icmp: Counters,
}

impl Layer {
    fn version4(root: &Root, skipped: &mut Skipped) -> Self {
        let mut layer = Self::default();
        if let Some(text) = snmp::text(root, "snmp", skipped) {
            layer.ip.columns(&text, "Ip", EVENT_NAMES, skipped);
            layer.icmp.columns(&text, "Icmp", ICMP_NAMES, skipped);
        }
        if let Some(text) = snmp::text(root, "netstat", skipped) {
            layer.octets.columns(&text, "IpExt", OCTETS, skipped);
        }
        layer
    }

    fn version6(root: &Root, skipped: &mut Skipped) -> Self {
        let mut layer = Self::default();
        if let Some(text) = snmp::text(root, "snmp6", skipped) {
            layer.ip.lines(&text, "Ip6", EVENT_NAMES, skipped);
            layer.octets.lines(&text, "Ip6", OCTETS, skipped);
            layer.icmp.lines(&text, "Icmp6", ICMP_NAMES, skipped);
        }
        layer
    }

    fn report(&self, version: &'static str, report: &mut Use) {
        for (direction, name) in [("receive", "InOctets"), ("transmit", "OutOctets")] {
            let attributes = [
                ("network.io.direction", direction.into()),
                ("network.type", version.into()),
            ];
            report.count(&IO, attributes, self.octets.get(name));
        }
        for (descriptor, counters, names) in [
            (&EVENTS, &self.ip, EVENT_NAMES),
            (&ICMP, &self.icmp, ICMP_NAMES),
        ] {
            for name in names {
                let attributes = [("event", (*name).into()), ("network.type", version.into())];
                report.count(descriptor, attributes, counters.get(name));
            }
        }
    }
}

pub(super) fn report(root: &Root, report: &mut Use) {
    let layers = [
        ("ipv4", Layer::version4(root, &mut report.skipped)),
        ("ipv6", Layer::version6(root, &mut report.skipped)),
    ];
    for (version, layer) in &layers {
        layer.report(version, report);
    }
    for (signal, names) in [
        (&NO_ROUTE, &["OutNoRoutes"][..]),
        (&DISCARD, &["InDiscards", "OutDiscards"]),
        (&REASSEMBLY, &["ReasmFails"]),
    ] {
        let counts = layers.iter().flat_map(|(_, layer)| {
            let counts = names.iter().filter_map(|name| layer.ip.get(name));
            counts.collect::<Vec<_>>()
        });
        report.errors(None, signal, counts.reduce(u64::saturating_add));
    }
    sockets(root, report);
}

fn sockets(root: &Root, report: &mut Use) {
    for (file, protocol, version) in [("sockstat", "FRAG", "ipv4"), ("sockstat6", "FRAG6", "ipv6")]
    {
        let Some(text) = snmp::text(root, file, &mut report.skipped) else {
            continue;
        };
        let fragments = Sockets::parse(&text, protocol);
        let bytes = fragments.and_then(|fragments| fragments.get("memory"));
        report.count(&FRAGMENTS, [("network.type", version.into())], bytes);
        // In the first of the two only.
        let all = Sockets::parse(&text, "sockets").and_then(|sockets| sockets.get("used"));
        report.count(&SOCKETS, [], all);
    }
}
