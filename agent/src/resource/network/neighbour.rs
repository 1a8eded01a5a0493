//! The neighbour tables (ARP, NDP), `/proc/net/stat/{arp,ndisc}_cache` (`neigh_stat_seq_show` in
//! `net/core/neighbour.c`): when one is full, what isn't in it can't be reached.

use crate::{
    metric::{Descriptor, Unit},
    resource::{
        Root, Use,
        method::{Signal, amount},
        per_cpu, read, snmp,
    },
};

pub(super) static ENTRIES: Descriptor = amount(
    "system.network.neighbour.entries",
    "Link addresses that are known or looked for, of all name spaces together (/proc/net/stat/arp_cache and ndisc_cache, entries)",
    Unit::Count("{entry}"),
);
pub(super) static LIMIT: Descriptor = amount(
    "system.network.neighbour.limit",
    "Most that the table holds (/proc/sys/net/ipv4/neigh/default/gc_thresh3, and ipv6)",
    Unit::Count("{entry}"),
);

pub(super) static TABLE_FULL: Signal = Signal {
    name: "neighbour_table_full",
    help: "Entries that found no room in the table (/proc/net/stat/arp_cache and ndisc_cache, table_fulls)",
};

pub(super) fn report(root: &Root, report: &mut Use) {
    for (version, table) in [("ipv4", "arp_cache"), ("ipv6", "ndisc_cache")] {
        let file = format!("stat/{table}");
        let Some(text) = snmp::text(root, &file, &mut report.skipped) else {
            continue;
        };
        let Some(entries) = per_cpu::first(&text, "entries") else {
            report.skipped.one();
            continue;
        };
        let limit = format!("sys/net/{version}/neigh/default/gc_thresh3");
        let limit = read::number::<u64>(&root.procfs.join(limit));
        let limit = report.skipped.or_skip(limit);
        let attributes = || [("network.type", version.into())];
        report.count(&ENTRIES, attributes(), entries);
        report.count(&LIMIT, attributes(), limit);
        report.utilization(Some(table), snmp::ratio(Some(entries), limit));
        let fulls = per_cpu::sum(&text, "table_fulls");
        report.errors(Some(table), &TABLE_FULL, fulls);
    }
}
