//! Memory: use by state, reclaim, faults, OOM kills and what ECC memory reports.
//!
//! `/proc/meminfo` and `/proc/vmstat` are parsed by name here: `procfs::Meminfo` and
//! `procfs::VmStat` give up on the first line that they can't take, and overflow on absurd sizes.

use std::{collections::HashMap, time::Instant};

use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    method::{Signal, amount, counter, gauge},
    pressure::{self, Pressure},
    read::{self, Skipped},
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "memory";

static USAGE: Descriptor = amount(
    "system.memory.usage",
    "Memory by state; cached includes reclaimable slab, used is the rest (/proc/meminfo)",
    Unit::Bytes,
);
static LIMIT: Descriptor = amount(
    "system.memory.limit",
    "Memory that the kernel manages (/proc/meminfo, MemTotal)",
    Unit::Bytes,
);
static UTILIZATION: Descriptor = gauge(
    "system.memory.utilization",
    "Share of the memory in each state (/proc/meminfo)",
    Unit::Ratio,
);
static AVAILABLE: Descriptor = amount(
    "system.memory.linux.available",
    "Memory that new work could get without swapping (/proc/meminfo, MemAvailable)",
    Unit::Bytes,
);
static SHARED: Descriptor = amount(
    "system.memory.linux.shared",
    "Shared memory, mostly of tmpfs (/proc/meminfo, Shmem)",
    Unit::Bytes,
);
static SLAB: Descriptor = amount(
    "system.memory.linux.slab.usage",
    "Kernel caches by state (/proc/meminfo, SReclaimable and SUnreclaim)",
    Unit::Bytes,
);
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
        &USAGE,
        &LIMIT,
        &UTILIZATION,
        &AVAILABLE,
        &SHARED,
        &SLAB,
        &FAULTS,
        &DIRECT_RECLAIMS,
        &OOM_KILLS,
        &pressure::STALL,
    ],
    saturation: &[
        &MAJOR_FAULTS,
        &DIRECT_RECLAIM,
        &pressure::SOME,
        &pressure::FULL,
    ],
    errors: &[&OOM_KILL, &ECC_CORRECTED, &ECC_UNCORRECTED],
    open: || Box::<Memory>::default(),
};

/// Bytes of `/proc/meminfo` by name, without the colon.
#[derive(Debug, Default)]
struct Meminfo(HashMap<String, u64>);

impl Meminfo {
    fn parse(text: &str, skipped: &mut Skipped) -> Self {
        let fields = skipped.lines(text.lines(), |line| {
            let (name, value) = line.split_once(':')?;
            let mut fields = value.split_ascii_whitespace();
            let value: u64 = fields.next()?.parse().ok()?;
            let scale = match fields.next() {
                None => 1,
                Some("kB") => 1024,
                Some(_) => return None,
            };
            Some((name.to_owned(), value.checked_mul(scale)?))
        });
        Self(fields.into_iter().collect())
    }

    fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }
}

/// The counters of `/proc/vmstat` that are reported.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Vmstat {
    pub(super) swap_in: Option<u64>,
    pub(super) swap_out: Option<u64>,
    faults: Option<u64>,
    major_faults: Option<u64>,
    direct_reclaims: Option<u64>,
    oom_kills: Option<u64>,
}

impl Vmstat {
    pub(super) fn read(root: &Root, skipped: &mut Skipped) -> Self {
        let text = skipped.or_skip(read::text(&root.procfs.join("vmstat")));
        text.map(|text| Self::parse(&text, skipped))
            .unwrap_or_default()
    }

    fn parse(text: &str, skipped: &mut Skipped) -> Self {
        let mut vmstat = Self::default();
        for line in text.lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            let field = match name {
                "pswpin" => &mut vmstat.swap_in,
                "pswpout" => &mut vmstat.swap_out,
                "pgfault" => &mut vmstat.faults,
                "pgmajfault" => &mut vmstat.major_faults,
                "oom_kill" => &mut vmstat.oom_kills,
                // One per zone; "allocstall" alone before 4.10.
                name if name.starts_with("allocstall") => &mut vmstat.direct_reclaims,
                _ => continue,
            };
            match value.trim().parse::<u64>() {
                Ok(value) => *field = Some(field.unwrap_or(0).saturating_add(value)),
                Err(_) => skipped.one(),
            }
        }
        vmstat
    }
}

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
        room(&meminfo, total, &mut report);
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

fn room(meminfo: &Meminfo, total: u64, report: &mut Use) {
    let free = meminfo.get("MemFree");
    let buffers = meminfo.get("Buffers");
    let reclaimable = meminfo.get("SReclaimable");
    let cached = meminfo
        .get("Cached")
        .and_then(|cached| cached.checked_add(reclaimable.unwrap_or(0)));
    let used = [free, buffers, cached]
        .into_iter()
        .try_fold(total, |rest, part| rest.checked_sub(part?));
    let states = [
        ("used", used),
        ("free", free),
        ("buffers", buffers),
        ("cached", cached),
    ];
    for (state, bytes) in states {
        let attributes = || [("system.memory.state", state.into())];
        report.count(&USAGE, attributes(), bytes);
        let share = bytes.map(|bytes| bytes as f64 / total as f64);
        report.measure(&UTILIZATION, attributes(), share);
    }
    for (state, name) in [
        ("reclaimable", "SReclaimable"),
        ("unreclaimable", "SUnreclaim"),
    ] {
        let attributes = [("system.memory.linux.slab.state", state.into())];
        report.count(&SLAB, attributes, meminfo.get(name));
    }
    report.count(&LIMIT, [], total);
    report.count(&SHARED, [], meminfo.get("Shmem"));
    let available = meminfo.get("MemAvailable");
    report.count(&AVAILABLE, [], available);
    let taken = available.and_then(|available| total.checked_sub(available));
    report.utilization(None, taken.map(|taken| taken as f64 / total as f64));
}

fn reclaim(last: Option<&Timed<Sample>>, now: &Timed<Sample>, report: &mut Use) {
    let vmstat = &now.value.vmstat;
    let minor = vmstat
        .faults
        .zip(vmstat.major_faults)
        .and_then(|(all, major)| all.checked_sub(major));
    for (kind, faults) in [("major", vmstat.major_faults), ("minor", minor)] {
        report.count(&FAULTS, [("system.paging.fault.type", kind.into())], faults);
    }
    report.count(&DIRECT_RECLAIMS, [], vmstat.direct_reclaims);
    report.count(&OOM_KILLS, [], vmstat.oom_kills);
    report.errors(None, &OOM_KILL, vmstat.oom_kills);
    now.value.pressure.raw(NAME, report);

    let Some(interval) = Interval::between(last, now) else {
        return;
    };
    let major = interval.rate(|sample| sample.vmstat.major_faults);
    report.saturation(None, &MAJOR_FAULTS, major);
    let direct = interval.rate(|sample| sample.vmstat.direct_reclaims);
    report.saturation(None, &DIRECT_RECLAIM, direct);
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
