//! `/proc/meminfo`: what memory is used for (`meminfo_proc_show` in `fs/proc/meminfo.c`).

use std::collections::HashMap;

use crate::{
    metric::{Descriptor, Unit},
    resource::{
        Use,
        method::{amount, gauge},
        read::Skipped,
    },
};

pub(super) static USAGE: Descriptor = amount(
    "system.memory.usage",
    "Memory by state; cached includes reclaimable slab, used is the rest (/proc/meminfo)",
    Unit::Bytes,
);
pub(super) static LIMIT: Descriptor = amount(
    "system.memory.limit",
    "Memory that the kernel manages (/proc/meminfo, MemTotal)",
    Unit::Bytes,
);
pub(super) static UTILIZATION: Descriptor = gauge(
    "system.memory.utilization",
    "Share of the memory in each state (/proc/meminfo)",
    Unit::Ratio,
);
pub(super) static AVAILABLE: Descriptor = amount(
    "system.memory.linux.available",
    "Memory that new work could get without swapping (/proc/meminfo, MemAvailable)",
    Unit::Bytes,
);
pub(super) static SHARED: Descriptor = amount(
    "system.memory.linux.shared",
    "Shared memory, mostly of tmpfs (/proc/meminfo, Shmem)",
    Unit::Bytes,
);
pub(super) static SLAB: Descriptor = amount(
    "system.memory.linux.slab.usage",
    "Kernel caches by state (/proc/meminfo, SReclaimable and SUnreclaim)",
    Unit::Bytes,
);
pub(super) static DETAIL: Descriptor = gauge(
    "system.memory.linux.detail",
    "Memory by further kinds, which overlap, under their kernel names (/proc/meminfo)",
    Unit::Bytes,
);
pub(super) static HUGEPAGES_LIMIT: Descriptor = amount(
    "system.memory.linux.hugepages.limit",
    "Huge pages of the default size in the pool; absent where it is empty (/proc/meminfo, HugePages_Total)",
    Unit::Count("{page}"),
);
pub(super) static HUGEPAGES_USAGE: Descriptor = amount(
    "system.memory.linux.hugepages.usage",
    "Huge pages by state (/proc/meminfo, HugePages_Free, and HugePages_Total less these)",
    Unit::Count("{page}"),
);
pub(super) static HUGEPAGES_RESERVED: Descriptor = amount(
    "system.memory.linux.hugepages.reserved",
    "Free huge pages that are promised to somebody (/proc/meminfo, HugePages_Rsvd)",
    Unit::Count("{page}"),
);
pub(super) static HUGEPAGES_SURPLUS: Descriptor = amount(
    "system.memory.linux.hugepages.surplus",
    "Huge pages beyond nr_hugepages (/proc/meminfo, HugePages_Surp)",
    Unit::Count("{page}"),
);
pub(super) static HUGEPAGES_SIZE: Descriptor = amount(
    "system.memory.linux.hugepages.page_size",
    "Size of a huge page of the default size (/proc/meminfo, Hugepagesize)",
    Unit::Bytes,
);

/// What `system.memory.linux.detail` tells, by what one looks them up for: who holds anonymous and
/// file memory, what waits to be written, what the kernel takes for itself, what was promised.
/// Left out are addresses rather than memory (`VmallocTotal`, `DirectMap*`) and fields that have
/// long been 0 (`NFS_Unstable`, `Bounce`, `WritebackTmp`, `VmallocChunk`).
const KINDS: &[&str] = &[
    "Active(anon)",
    "Active(file)",
    "AnonHugePages",
    "AnonPages",
    "Balloon",
    "CommitLimit",
    "Committed_AS",
    "Dirty",
    "FileHugePages",
    "HardwareCorrupted",
    "Hugetlb",
    "Inactive(anon)",
    "Inactive(file)",
    "KernelStack",
    "Mapped",
    "Mlocked",
    "PageTables",
    "Percpu",
    "SecPageTables",
    "ShmemHugePages",
    "SwapCached",
    "Unevictable",
    "VmallocUsed",
    "Writeback",
    "Zswap",
    "Zswapped",
];

/// Bytes, or pages for the counts of huge pages, by name without the colon.
#[derive(Debug, Default)]
pub(super) struct Meminfo(HashMap<String, u64>);

impl Meminfo {
    pub(super) fn parse(text: &str, skipped: &mut Skipped) -> Self {
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

    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// Adds everything; `total` is `MemTotal`, which isn't 0.
    pub(super) fn report(&self, total: u64, report: &mut Use) {
        self.states(total, report);
        for (state, name) in [
            ("reclaimable", "SReclaimable"),
            ("unreclaimable", "SUnreclaim"),
        ] {
            let attributes = [("system.memory.linux.slab.state", state.into())];
            report.count(&SLAB, attributes, self.get(name));
        }
        report.count(&LIMIT, [], total);
        report.count(&SHARED, [], self.get("Shmem"));
        let available = self.get("MemAvailable");
        report.count(&AVAILABLE, [], available);
        let taken = available.and_then(|available| total.checked_sub(available));
        report.utilization(None, taken.map(|taken| taken as f64 / total as f64));
        for kind in KINDS {
            report.count(&DETAIL, [("kind", (*kind).into())], self.get(kind));
        }
        self.hugepages(report);
    }

    fn states(&self, total: u64, report: &mut Use) {
        let free = self.get("MemFree");
        let buffers = self.get("Buffers");
        let reclaimable = self.get("SReclaimable");
        let cached = self
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
    }

    fn hugepages(&self, report: &mut Use) {
        let Some(total) = self.get("HugePages_Total").filter(|total| *total > 0) else {
            return;
        };
        report.count(&HUGEPAGES_LIMIT, [], total);
        let free = self.get("HugePages_Free");
        let used = free.and_then(|free| total.checked_sub(free));
        for (state, pages) in [("free", free), ("used", used)] {
            let attributes = [("system.memory.linux.hugepages.state", state.into())];
            report.count(&HUGEPAGES_USAGE, attributes, pages);
        }
        report.count(&HUGEPAGES_RESERVED, [], self.get("HugePages_Rsvd"));
        report.count(&HUGEPAGES_SURPLUS, [], self.get("HugePages_Surp"));
        report.count(&HUGEPAGES_SIZE, [], self.get("Hugepagesize"));
    }
}
