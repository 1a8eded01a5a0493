//! Connection tracking: entries against the limit, and what was dropped.

use std::time::Instant;

use super::{
    Error, Registration, Resource, Root, Use,
    method::{Signal, amount},
    read,
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "conntrack";

static ENTRIES: Descriptor = amount(
    "system.network.conntrack.entries",
    "Connections in the table (/proc/sys/net/netfilter/nf_conntrack_count)",
    Unit::Count("{entry}"),
);
static LIMIT: Descriptor = amount(
    "system.network.conntrack.limit",
    "Most connections that the table holds (/proc/sys/net/netfilter/nf_conntrack_max)",
    Unit::Count("{entry}"),
);

static DROP: Signal = Signal {
    name: "drop",
    help: "Packets dropped because the table was full or memory short (/proc/net/stat/nf_conntrack, drop)",
};
static EARLY_DROP: Signal = Signal {
    name: "early_drop",
    help: "Entries thrown out to make room for others (/proc/net/stat/nf_conntrack, early_drop)",
};
static INSERT_FAILED: Signal = Signal {
    name: "insert_failed",
    help: "Entries that could not be added (/proc/net/stat/nf_conntrack, insert_failed)",
};

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[&ENTRIES, &LIMIT],
    saturation: &[],
    errors: &[&DROP, &EARLY_DROP, &INSERT_FAILED],
    open: || Box::new(Conntrack),
};

#[derive(Debug)]
struct Conntrack;

impl Resource for Conntrack {
    fn sample(&mut self, root: &Root, _now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let settings = root.procfs.join("sys/net/netfilter");
        let Some(entries) = read::number::<u64>(&settings.join("nf_conntrack_count"))? else {
            return Ok(None);
        };
        let limit = read::number::<u64>(&settings.join("nf_conntrack_max"));
        let limit = report.skipped.or_skip(limit).filter(|limit| *limit > 0);
        report.count(&ENTRIES, [], entries);
        report.count(&LIMIT, [], limit);
        report.utilization(None, limit.map(|limit| entries as f64 / limit as f64));

        let text = read::text(&read::net(root, "stat/nf_conntrack"));
        if let Some(text) = report.skipped.or_skip(text) {
            for signal in [&DROP, &EARLY_DROP, &INSERT_FAILED] {
                report.errors(None, signal, sum(&text, signal.name));
            }
        }
        Ok(Some(report))
    }
}

/// Sum of a column over the CPUs; a line of names, then a line of hexadecimal numbers for each CPU.
fn sum(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines();
    let column = lines
        .next()?
        .split_ascii_whitespace()
        .position(|heading| heading == name)?;
    lines
        .map(|line| {
            let field = line.split_ascii_whitespace().nth(column)?;
            u64::from_str_radix(field, 16).ok()
        })
        .try_fold(None, |sum: Option<u64>, value| {
            Some(Some(sum.unwrap_or(0).saturating_add(value?)))
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_summed_over_cpus() {
        let text =
            "entries drop early_drop\n0000000a 00000001 00000010\n0000000a 0000000f 00000000\n";
        assert_eq!(sum(text, "drop"), Some(16));
        assert_eq!(sum(text, "early_drop"), Some(16));
        assert_eq!(sum(text, "insert_failed"), None);
        assert_eq!(sum("drop\n", "drop"), None);
        assert_eq!(sum("drop\nzz\n", "drop"), None);
    }
}
