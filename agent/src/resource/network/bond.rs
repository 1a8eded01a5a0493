//! Bonds: how many of their links work (`drivers/net/bonding/bond_sysfs.c`, `bond_sysfs_slave.c`).

use crate::{
    metric::{Descriptor, Unit},
    resource::{
        Root, Use,
        method::{Signal, amount},
        read,
    },
};

pub(super) static LINKS: Descriptor = amount(
    "system.network.bond.links",
    "Interfaces of a bond by the state of their link (/sys/class/net/*/bonding_slave/mii_status)",
    Unit::Count("{interface}"),
);

pub(super) static LINK_FAILURE: Signal = Signal {
    name: "bond_link_failure",
    help: "Times that the link of a bond's interface failed (/sys/class/net/*/bonding_slave/link_failure_count)",
};

/// Adds the members of the bond `name`; nothing for other interfaces.
pub(super) fn report(name: &str, root: &Root, report: &mut Use) {
    let interfaces = root.sysfs.join("class/net");
    let members = read::text(&interfaces.join(name).join("bonding/slaves"));
    let Some(members) = report.skipped.or_skip(members) else {
        return;
    };
    let (mut up, mut down) = (0, 0);
    for member in members.split_ascii_whitespace() {
        if member.contains('/') {
            report.skipped.one();
            continue;
        }
        let directory = interfaces.join(member).join("bonding_slave");
        let status = read::text(&directory.join("mii_status"));
        match report.skipped.or_skip(status).as_deref().map(str::trim) {
            // "going down" still carries traffic, "going back" doesn't yet.
            Some("up" | "going down") => up += 1,
            Some(_) => down += 1,
            // It left the bond since the list was read.
            None => continue,
        }
        let failures = read::number(&directory.join("link_failure_count"));
        let failures = report.skipped.or_skip(failures);
        report.errors(Some(member), &LINK_FAILURE, failures);
    }
    for (state, count) in [("up", up), ("down", down)] {
        let attributes = [
            ("network.bond.link.state", state.into()),
            ("network.interface.name", name.into()),
        ];
        report.count(&LINKS, attributes, count);
    }
}
