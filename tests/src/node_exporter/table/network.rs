//! Interfaces, softirqs, tables of addresses and connections.

use crate::node_exporter::row::{Collector, Labels, Pair, Row};

const DEVICE: Labels = &[("device", "network_interface_name")];
const CPU: Labels = &[("cpu", "cpu_logical_number")];
const LINKS: &str = "hardware and bonds of it only";

macro_rules! interface {
    ($metric:literal) => {
        &[Pair::of("network", $metric).join(DEVICE)]
    };
    ($metric:literal, $direction:literal) => {
        &[Pair::of("network", $metric)
            .ours(&[("network_io_direction", $direction)])
            .join(DEVICE)]
    };
    ($metric:literal, $direction:literal, $kind:literal) => {
        &[Pair::of("network", $metric)
            .ours(&[("network_io_direction", $direction), ("error_type", $kind)])
            .join(DEVICE)]
    };
}

macro_rules! softnet {
    ($metric:literal) => {
        &[Pair::of("network", $metric).join(CPU)]
    };
}

macro_rules! conntrack {
    ($event:literal) => {
        &[
            Pair::of("conntrack", "system_network_conntrack_events_total")
                .ours(&[("event", $event)]),
        ]
    };
}

pub(super) const COLLECTORS: &[Collector] = &[
    Collector {
        name: "netdev",
        rows: &[
            Row::counter(
                "node_network_receive_bytes_total",
                interface!("system_network_io_bytes_total", "receive"),
                "with the loopback, which theirs leaves out",
            ),
            Row::counter(
                "node_network_transmit_bytes_total",
                interface!("system_network_io_bytes_total", "transmit"),
                "",
            ),
            Row::counter(
                "node_network_receive_packets_total",
                interface!("system_network_packet_count_total", "receive"),
                "",
            ),
            Row::counter(
                "node_network_transmit_packets_total",
                interface!("system_network_packet_count_total", "transmit"),
                "",
            ),
            Row::counter(
                "node_network_receive_errs_total",
                interface!("system_network_errors_total", "receive"),
                "",
            ),
            Row::counter(
                "node_network_transmit_errs_total",
                interface!("system_network_errors_total", "transmit"),
                "",
            ),
            Row::counter(
                "node_network_receive_drop_total",
                interface!("system_network_packet_dropped_total", "receive"),
                "",
            ),
            Row::counter(
                "node_network_transmit_drop_total",
                interface!("system_network_packet_dropped_total", "transmit"),
                "",
            ),
            Row::counter(
                "node_network_receive_fifo_total",
                interface!("system_network_errors_detail_total", "receive", "fifo"),
                "",
            ),
            Row::counter(
                "node_network_receive_frame_total",
                interface!("system_network_errors_detail_total", "receive", "frame"),
                "",
            ),
            Row::counter(
                "node_network_transmit_fifo_total",
                interface!("system_network_errors_detail_total", "transmit", "fifo"),
                "",
            ),
            Row::counter(
                "node_network_transmit_colls_total",
                interface!(
                    "system_network_errors_detail_total",
                    "transmit",
                    "collision"
                ),
                "",
            ),
            Row::counter(
                "node_network_transmit_carrier_total",
                interface!("system_network_errors_detail_total", "transmit", "carrier"),
                "",
            ),
            Row::counter(
                "node_network_receive_multicast_total",
                interface!("system_network_packet_multicast_total"),
                "",
            ),
            Row::no(
                "node_network_receive_compressed_total",
                "of PPP and SLIP only",
            ),
            Row::no(
                "node_network_transmit_compressed_total",
                "of PPP and SLIP only",
            ),
            Row::no(
                "node_network_receive_nohandler_total",
                "packets of inactive links of a bond, not in `/proc/net/dev`",
            ),
        ],
    },
    Collector {
        name: "netclass",
        rows: &[
            Row::stable(
                "node_network_carrier",
                interface!("system_network_carrier"),
                LINKS,
            ),
            Row::counter(
                "node_network_carrier_changes_total",
                interface!("system_network_carrier_changes_total"),
                LINKS,
            ),
            Row::other(
                "node_network_carrier_down_changes_total",
                &["use_errors_total"],
                "`signal=\"carrier_loss\"`; hardware and bonds of it only",
            ),
            Row::no(
                "node_network_carrier_up_changes_total",
                "the difference of the two before",
            ),
            Row::stable(
                "node_network_mtu_bytes",
                interface!("system_network_mtu_bytes"),
                LINKS,
            ),
            Row::other(
                "node_network_speed_bytes",
                &["system_network_speed_bytes"],
                "absent where unknown (theirs is -125000) or made up (veth, tun); with it, `use_utilization_ratio`",
            ),
            Row::other(
                "node_network_up",
                &["system_network_carrier"],
                "`operstate`; ours is the link itself",
            ),
            Row::no(
                "node_network_info",
                "addresses and names: identity, no measurement",
            ),
            Row::no(
                "node_network_transmit_queue_length",
                "a setting, and of the queueing discipline that nobody uses any more",
            ),
            Row::no("node_network_address_assign_type", "a setting"),
            Row::no("node_network_name_assign_type", "a setting"),
            Row::no("node_network_protocol_type", "a setting"),
            Row::no("node_network_net_dev_group", "a setting"),
            Row::no("node_network_flags", "a set of bits as a number"),
            Row::no("node_network_dormant", "of 802.1X supplicants"),
            Row::no("node_network_device_id", "a number without a quantity"),
            Row::no("node_network_iface_*", "numbers without a quantity"),
        ],
    },
    Collector {
        name: "bonding",
        rows: &[
            Row::other(
                "node_bonding_slaves",
                &["system_network_bond_links"],
                "both states together",
            ),
            Row::other(
                "node_bonding_active",
                &["system_network_bond_links"],
                "`network_bond_link_state=\"up\"`, and failures as `signal=\"bond_link_failure\"`",
            ),
        ],
    },
    Collector {
        name: "softnet",
        rows: &[
            Row::counter(
                "node_softnet_processed_total",
                softnet!("system_network_softnet_processed_total"),
                "carried on in 64 bits, where the kernel's 32 wrap",
            ),
            Row::counter(
                "node_softnet_dropped_total",
                softnet!("system_network_softnet_dropped_total"),
                "carried on in 64 bits",
            ),
            Row::counter(
                "node_softnet_times_squeezed_total",
                softnet!("system_network_softnet_squeezed_total"),
                "carried on in 64 bits",
            ),
        ],
    },
    Collector {
        name: "arp",
        rows: &[Row::other(
            "node_arp_entries",
            &["system_network_neighbour_entries"],
            "the whole table, IPv6's as well, against its limit; not by interface",
        )],
    },
    Collector {
        name: "conntrack",
        rows: &[
            Row::moving(
                "node_nf_conntrack_entries",
                &[Pair::of("conntrack", "system_network_conntrack_entries")],
                "",
            ),
            Row::stable(
                "node_nf_conntrack_entries_limit",
                &[Pair::of("conntrack", "system_network_conntrack_limit")],
                "",
            ),
            Row::counter("node_nf_conntrack_stat_found", conntrack!("found"), ""),
            Row::counter("node_nf_conntrack_stat_invalid", conntrack!("invalid"), ""),
            Row::counter("node_nf_conntrack_stat_insert", conntrack!("insert"), ""),
            Row::counter(
                "node_nf_conntrack_stat_insert_failed",
                conntrack!("insert_failed"),
                "",
            ),
            Row::counter("node_nf_conntrack_stat_drop", conntrack!("drop"), ""),
            Row::counter(
                "node_nf_conntrack_stat_early_drop",
                conntrack!("early_drop"),
                "",
            ),
            Row::counter(
                "node_nf_conntrack_stat_search_restart",
                conntrack!("search_restart"),
                "",
            ),
            Row::no("node_nf_conntrack_stat_ignore", "0 since 5.9"),
        ],
    },
];
