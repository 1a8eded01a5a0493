//! TCP, UDP, IP.

use crate::node_exporter::row::{Collector, Pair, Row};

macro_rules! tcp {
    ($event:literal) => {
        &[Pair::of("tcp", "system_network_tcp_events_total").ours(&[("event", $event)])]
    };
}

macro_rules! event {
    ($resource:literal, $metric:literal, $event:literal, $version:literal) => {
        &[Pair::of($resource, $metric).ours(&[("event", $event), ("network_type", $version)])]
    };
}

macro_rules! udp {
    ($event:literal, $version:literal) => {
        event!("udp", "system_network_udp_events_total", $event, $version)
    };
}

macro_rules! icmp {
    ($event:literal, $version:literal) => {
        event!(
            "network",
            "system_network_icmp_events_total",
            $event,
            $version
        )
    };
}

macro_rules! octets {
    ($direction:literal, $version:literal) => {
        &[
            Pair::of("network", "system_network_ip_io_bytes_total").ours(&[
                ("network_io_direction", $direction),
                ("network_type", $version),
            ]),
        ]
    };
}

macro_rules! tcp_sockets {
    ($state:literal) => {
        &[Pair::of("tcp", "system_network_tcp_sockets")
            .ours(&[("network_connection_state", $state)])]
    };
}

macro_rules! version {
    ($resource:literal, $metric:literal, $version:literal) => {
        &[Pair::of($resource, $metric).ours(&[("network_type", $version)])]
    };
}

pub(super) const COLLECTORS: &[Collector] = &[
    Collector {
        name: "netstat",
        rows: &[
            Row::counter("node_netstat_Tcp_ActiveOpens", tcp!("ActiveOpens"), ""),
            Row::counter("node_netstat_Tcp_PassiveOpens", tcp!("PassiveOpens"), ""),
            Row::counter("node_netstat_Tcp_InSegs", tcp!("InSegs"), ""),
            Row::counter("node_netstat_Tcp_OutSegs", tcp!("OutSegs"), ""),
            Row::counter("node_netstat_Tcp_RetransSegs", tcp!("RetransSegs"), ""),
            Row::counter("node_netstat_Tcp_InErrs", tcp!("InErrs"), ""),
            Row::counter("node_netstat_Tcp_OutRsts", tcp!("OutRsts"), ""),
            Row::moving(
                "node_netstat_Tcp_CurrEstab",
                &[Pair::of("tcp", "system_network_tcp_established")],
                "",
            ),
            Row::counter("node_netstat_TcpExt_ListenDrops", tcp!("ListenDrops"), ""),
            Row::counter(
                "node_netstat_TcpExt_ListenOverflows",
                tcp!("ListenOverflows"),
                "",
            ),
            Row::counter(
                "node_netstat_TcpExt_SyncookiesFailed",
                tcp!("SyncookiesFailed"),
                "",
            ),
            Row::counter(
                "node_netstat_TcpExt_SyncookiesRecv",
                tcp!("SyncookiesRecv"),
                "",
            ),
            Row::counter(
                "node_netstat_TcpExt_SyncookiesSent",
                tcp!("SyncookiesSent"),
                "",
            ),
            Row::counter(
                "node_netstat_TcpExt_TCPSynRetrans",
                tcp!("TCPSynRetrans"),
                "",
            ),
            Row::counter("node_netstat_TcpExt_TCPTimeouts", tcp!("TCPTimeouts"), ""),
            Row::counter(
                "node_netstat_Udp_InDatagrams",
                udp!("InDatagrams", "ipv4"),
                "",
            ),
            Row::counter(
                "node_netstat_Udp_OutDatagrams",
                udp!("OutDatagrams", "ipv4"),
                "",
            ),
            Row::counter("node_netstat_Udp_NoPorts", udp!("NoPorts", "ipv4"), ""),
            Row::counter("node_netstat_Udp_InErrors", udp!("InErrors", "ipv4"), ""),
            Row::counter(
                "node_netstat_Udp_RcvbufErrors",
                udp!("RcvbufErrors", "ipv4"),
                "",
            ),
            Row::counter(
                "node_netstat_Udp_SndbufErrors",
                udp!("SndbufErrors", "ipv4"),
                "",
            ),
            Row::counter(
                "node_netstat_Udp6_InDatagrams",
                udp!("InDatagrams", "ipv6"),
                "",
            ),
            Row::counter(
                "node_netstat_Udp6_OutDatagrams",
                udp!("OutDatagrams", "ipv6"),
                "",
            ),
            Row::counter("node_netstat_Udp6_NoPorts", udp!("NoPorts", "ipv6"), ""),
            Row::counter("node_netstat_Udp6_InErrors", udp!("InErrors", "ipv6"), ""),
            Row::counter(
                "node_netstat_Udp6_RcvbufErrors",
                udp!("RcvbufErrors", "ipv6"),
                "",
            ),
            Row::counter(
                "node_netstat_Udp6_SndbufErrors",
                udp!("SndbufErrors", "ipv6"),
                "",
            ),
            Row::no("node_netstat_UdpLite_InErrors", "UDP-Lite: nobody uses it"),
            Row::no("node_netstat_UdpLite6_InErrors", "UDP-Lite: nobody uses it"),
            Row::counter("node_netstat_Icmp_InMsgs", icmp!("InMsgs", "ipv4"), ""),
            Row::counter("node_netstat_Icmp_InErrors", icmp!("InErrors", "ipv4"), ""),
            Row::counter("node_netstat_Icmp_OutMsgs", icmp!("OutMsgs", "ipv4"), ""),
            Row::counter("node_netstat_Icmp6_InMsgs", icmp!("InMsgs", "ipv6"), ""),
            Row::counter("node_netstat_Icmp6_InErrors", icmp!("InErrors", "ipv6"), ""),
            Row::counter("node_netstat_Icmp6_OutMsgs", icmp!("OutMsgs", "ipv6"), ""),
            Row::counter(
                "node_netstat_IpExt_InOctets",
                octets!("receive", "ipv4"),
                "",
            ),
            Row::counter(
                "node_netstat_IpExt_OutOctets",
                octets!("transmit", "ipv4"),
                "",
            ),
            Row::counter("node_netstat_Ip6_InOctets", octets!("receive", "ipv6"), ""),
            Row::counter(
                "node_netstat_Ip6_OutOctets",
                octets!("transmit", "ipv6"),
                "",
            ),
            Row::no("node_netstat_Ip_Forwarding", "a setting"),
        ],
    },
    Collector {
        name: "sockstat",
        rows: &[
            Row::moving(
                "node_sockstat_sockets_used",
                &[Pair::of("network", "system_network_sockets")],
                "",
            ),
            Row::moving("node_sockstat_TCP_inuse", tcp_sockets!("inuse"), ""),
            Row::moving(
                "node_sockstat_TCP_orphan",
                tcp_sockets!("orphan"),
                "and against `tcp_max_orphans` as `signal=\"orphan_share\"`",
            ),
            Row::moving("node_sockstat_TCP_tw", tcp_sockets!("time_wait"), ""),
            Row::moving(
                "node_sockstat_TCP_alloc",
                tcp_sockets!("allocated"),
                "of both versions of IP",
            ),
            Row::moving(
                "node_sockstat_TCP_mem_bytes",
                &[Pair::of("tcp", "system_network_tcp_memory_usage_bytes")],
                "and against `tcp_mem` as `use_utilization_ratio`",
            ),
            Row::no("node_sockstat_TCP_mem", "the same in pages"),
            Row::no(
                "node_sockstat_TCP6_inuse",
                "`allocated` holds both versions of IP",
            ),
            Row::moving(
                "node_sockstat_UDP_inuse",
                version!("udp", "system_network_udp_sockets", "ipv4"),
                "",
            ),
            Row::moving(
                "node_sockstat_UDP6_inuse",
                version!("udp", "system_network_udp_sockets", "ipv6"),
                "",
            ),
            Row::moving(
                "node_sockstat_UDP_mem_bytes",
                &[Pair::of("udp", "system_network_udp_memory_usage_bytes")],
                "and against `udp_mem` as `use_utilization_ratio`",
            ),
            Row::no("node_sockstat_UDP_mem", "the same in pages"),
            Row::moving(
                "node_sockstat_FRAG_memory",
                version!(
                    "network",
                    "system_network_ip_fragment_memory_usage_bytes",
                    "ipv4"
                ),
                "",
            ),
            Row::moving(
                "node_sockstat_FRAG6_memory",
                version!(
                    "network",
                    "system_network_ip_fragment_memory_usage_bytes",
                    "ipv6"
                ),
                "",
            ),
            Row::no(
                "node_sockstat_FRAG_inuse",
                "the memory says whether they pile up",
            ),
            Row::no(
                "node_sockstat_FRAG6_inuse",
                "the memory says whether they pile up",
            ),
            Row::no("node_sockstat_RAW*", "ping and its like"),
            Row::no("node_sockstat_UDPLITE*", "UDP-Lite: nobody uses it"),
        ],
    },
    Collector {
        name: "udp_queues",
        rows: &[Row::moving(
            "node_udp_queues",
            &[
                Pair::of("udp", "system_network_udp_queue_usage_bytes")
                    .theirs(&[("queue", "rx"), ("ip", "v4")])
                    .ours(&[
                        ("network_io_direction", "receive"),
                        ("network_type", "ipv4"),
                    ]),
                Pair::of("udp", "system_network_udp_queue_usage_bytes")
                    .theirs(&[("queue", "tx"), ("ip", "v4")])
                    .ours(&[
                        ("network_io_direction", "transmit"),
                        ("network_type", "ipv4"),
                    ]),
                Pair::of("udp", "system_network_udp_queue_usage_bytes")
                    .theirs(&[("queue", "rx"), ("ip", "v6")])
                    .ours(&[
                        ("network_io_direction", "receive"),
                        ("network_type", "ipv6"),
                    ]),
                Pair::of("udp", "system_network_udp_queue_usage_bytes")
                    .theirs(&[("queue", "tx"), ("ip", "v6")])
                    .ours(&[
                        ("network_io_direction", "transmit"),
                        ("network_type", "ipv6"),
                    ]),
            ],
            "",
        )],
    },
];
