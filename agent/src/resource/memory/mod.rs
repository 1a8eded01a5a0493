//! Memory: use by state, reclaim, faults, OOM kills and what ECC memory reports.
//!
//! `/proc/meminfo` and `/proc/vmstat` are parsed by name here: `procfs::Meminfo` and
//! `procfs::VmStat` give up on the first line that they can't take, and overflow on absurd sizes.

mod meminfo;
mod vmstat;

use std::time::Instant;

use self::meminfo::Meminfo;
pub(super) use self::vmstat::Vmstat;
use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    method::{Signal, counter},
    pressure::{self, Pressure},
    read,
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "memory";

static FAULTS: Descriptor = counter(
    "system.paging.faults",
    "Page faults; major ones had to wait for storage (/proc/vmstat, pgmajfault, and pgfault less these)",
    Unit::Count("{fault}"),
);
static DIRECT_RECLAIMS: Descriptor = counter(
    "system.memory.linux.direct_reclaims",
    "Allocations that had to free memory themselves first (/proc/vmstat, allocstall_*)",
    Unit::Count("{reclaim}"),
);
static EVENTS: Descriptor = counter(
    "system.memory.linux.events",
    "Pages scanned, freed and read back, compactions: counters of reclaim under their kernel names (/proc/vmstat)",
    Unit::Count("{event}"),
);
static OOM_KILLS: Descriptor = counter(
    "system.memory.linux.oom_kills",
    "Processes killed for want of memory (/proc/vmstat, oom_kill)",
    Unit::Count("{process}"),
);

static MAJOR_FAULTS: Signal = Signal {
    name: "major_fault_rate",
    help: "Page faults that had to wait for storage (/proc/vmstat, pgmajfault)",
};
static DIRECT_RECLAIM: Signal = Signal {
    name: "direct_reclaim_rate",
    help: "Allocations that had to free memory themselves first (/proc/vmstat, allocstall_*)",
};
static COMPACTION_STALL: Signal = Signal {
    name: "compaction_stall_rate",
    help: "Allocations that had to move pages together themselves first (/proc/vmstat, compact_stall)",
};
static REFAULT: Signal = Signal {
    name: "refault_rate",
    help: "Pages that were missed soon after they had been reclaimed: thrashing (/proc/vmstat, workingset_refault_*)",
};
static OOM_KILL: Signal = Signal {
    name: "oom_kill",
    help: "Processes killed for want of memory (/proc/vmstat, oom_kill)",
};
static ECC_CORRECTED: Signal = Signal {
    name: "ecc_corrected",
    help: "Memory errors that the controller corrected (/sys/devices/system/edac/mc/mcN/ce_count)",
};
static ECC_UNCORRECTED: Signal = Signal {
    name: "ecc_uncorrected",
    help: "Memory errors that could not be corrected (/sys/devices/system/edac/mc/mcN/ue_count)",
};

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[
        &meminfo::USAGE,
        &meminfo::LIMIT,
        &meminfo::UTILIZATION,
        &meminfo::AVAILABLE,
        &meminfo::SHARED,
        &meminfo::SLAB,
        &meminfo::DETAIL,
        &meminfo::HUGEPAGES_LIMIT,
        &meminfo::HUGEPAGES_USAGE,
        &meminfo::HUGEPAGES_RESERVED,
        &meminfo::HUGEPAGES_SURPLUS,
        &meminfo::HUGEPAGES_SIZE,
        &FAULTS,
        &DIRECT_RECLAIMS,
        &EVENTS,
        &OOM_KILLS,
        &pressure::STALL,
    ],
    saturation: &[
        &MAJOR_FAULTS,
        &DIRECT_RECLAIM,
        &COMPACTION_STALL,
        &REFAULT,
        &pressure::SOME,
        &pressure::FULL,
    ],
    errors: &[&OOM_KILL, &ECC_CORRECTED, &ECC_UNCORRECTED],
    open: |_| Box::<Memory>::default(),
};

#[derive(Debug, Default)]
struct Sample {
    vmstat: Vmstat,
    pressure: Pressure,
}

#[derive(Debug, Default)]
struct Memory {
    last: Option<Timed<Sample>>,
}

impl Resource for Memory {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let path = root.procfs.join("meminfo");
        let Some(text) = read::text(&path)? else {
            return Ok(None);
        };
        let meminfo = Meminfo::parse(&text, &mut report.skipped);
        let Some(total) = meminfo.get("MemTotal").filter(|total| *total > 0) else {
            return Err(read::malformed(&path, "MemTotal"));
        };
        meminfo.report(total, &mut report);
        let now = Timed {
            at: now,
            value: Sample {
                vmstat: Vmstat::read(root, &mut report.skipped),
                pressure: Pressure::read(root, NAME, &mut report),
            },
        };
        reclaim(self.last.as_ref(), &now, &mut report);
        ecc(root, &mut report);
        self.last = Some(now);
        Ok(Some(report))
    }
}

fn reclaim(last: Option<&Timed<Sample>>, now: &Timed<Sample>, report: &mut Use) {
    let vmstat = &now.value.vmstat;
    let major = vmstat.get("pgmajfault");
    let minor = vmstat
        .get("pgfault")
        .zip(major)
        .and_then(|(all, major)| all.checked_sub(major));
    for (kind, faults) in [("major", major), ("minor", minor)] {
        report.count(&FAULTS, [("system.paging.fault.type", kind.into())], faults);
    }
    report.count(&DIRECT_RECLAIMS, [], vmstat.get(vmstat::ALLOCSTALL));
    for event in vmstat::EVENTS {
        report.count(&EVENTS, [("event", (*event).into())], vmstat.get(event));
    }
    let kills = vmstat.get("oom_kill");
    report.count(&OOM_KILLS, [], kills);
    report.errors(None, &OOM_KILL, kills);
    now.value.pressure.raw(NAME, report);

    let Some(interval) = Interval::between(last, now) else {
        return;
    };
    for (signal, names) in [
        (&MAJOR_FAULTS, &["pgmajfault"][..]),
        (&DIRECT_RECLAIM, &[vmstat::ALLOCSTALL]),
        (&COMPACTION_STALL, &["compact_stall"]),
        (&REFAULT, vmstat::REFAULTS),
    ] {
        let rates = names
            .iter()
            .filter_map(|name| interval.rate(|sample| sample.vmstat.get(name)));
        report.saturation(None, signal, rates.reduce(|sum, rate| sum + rate));
    }
    Pressure::saturation(interval.part(|sample| Some(&sample.pressure)), report);
}

fn ecc(root: &Root, report: &mut Use) {
    let controllers = root.sysfs.join("devices/system/edac/mc");
    for name in read::directory(&controllers, &mut report.skipped) {
        let number = name.strip_prefix("mc").unwrap_or_default();
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        for (signal, file) in [(&ECC_CORRECTED, "ce_count"), (&ECC_UNCORRECTED, "ue_count")] {
            let count = read::number(&controllers.join(&name).join(file));
            let count = report.skipped.or_skip(count);
            report.errors(Some(&name), signal, count);
        }
    }
}
