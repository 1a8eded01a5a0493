//! Connection tracking: entries against the limit, and what was dropped.

use std::time::Instant;

use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    method::{Signal, amount, counter},
    per_cpu, read,
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

static EVENTS: Descriptor = counter(
    "system.network.conntrack.events",
    "Counters of connection tracking under their kernel names (/proc/net/stat/nf_conntrack)",
    Unit::Count("{event}"),
);

static TURNED_AWAY: Signal = Signal {
    name: "turned_away_rate",
    help: "Packets dropped, and entries that found no room or made room for others (/proc/net/stat/nf_conntrack, drop, early_drop, insert_failed)",
};

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
    metrics: &[&ENTRIES, &LIMIT, &EVENTS],
    saturation: &[&TURNED_AWAY],
    errors: &ERRORS,
    open: |_| Box::<Conntrack>::default(),
};

/// Those that still count: `new`, `ignore` and the like have been 0 since 4.9. `chainlength` counts what
/// was refused because its chain was too long.
const REPORTED: &[&str] = &[
    "found",
    "invalid",
    "insert",
    "insert_failed",
    "drop",
    "early_drop",
    "icmp_error",
    "clashres",
    "chainlength",
    "search_restart",
];

const ERRORS: [&Signal; 3] = [&DROP, &EARLY_DROP, &INSERT_FAILED];

#[derive(Debug, Default)]
struct Conntrack {
    /// What was turned away.
    last: Option<Timed<u64>>,
}

impl Resource for Conntrack {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
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

        let text = read::net(root, "stat/nf_conntrack");
        if let Some(text) = report.skipped.or_skip(text) {
            self.events(&text, now, &mut report);
        }
        Ok(Some(report))
    }
}

impl Conntrack {
    fn events(&mut self, text: &str, now: Instant, report: &mut Use) {
        for name in REPORTED {
            let attributes = [("event", (*name).into())];
            report.count(&EVENTS, attributes, per_cpu::sum(text, name));
        }
        let mut turned_away = None;
        for signal in ERRORS {
            let count = per_cpu::sum(text, signal.name);
            report.errors(None, signal, count);
            if let Some(count) = count {
                turned_away = Some(count.saturating_add(turned_away.unwrap_or(0)));
            }
        }
        let now = turned_away.map(|value| Timed { at: now, value });
        if let Some(now) = &now
            && let Some(interval) = Interval::between(self.last.as_ref(), now)
        {
            report.saturation(None, &TURNED_AWAY, interval.rate(|count| *count));
        }
        self.last = now;
    }
}
