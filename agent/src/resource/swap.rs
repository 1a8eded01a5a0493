//! Swap: use by device, pages moved, and what zram keeps compressed.

use std::{path::Path, time::Instant};

use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    memory::Vmstat,
    method::{Signal, amount, counter, gauge},
    read,
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "swap";

static USAGE: Descriptor = amount(
    "system.paging.usage",
    "Swap space by device and state (/proc/swaps)",
    Unit::Bytes,
);
static UTILIZATION: Descriptor = gauge(
    "system.paging.utilization",
    "Share of the swap space by device and state (/proc/swaps)",
    Unit::Ratio,
);
static OPERATIONS: Descriptor = counter(
    "system.paging.operations",
    "Pages moved from (in) and to (out) swap space (/proc/vmstat, pswpin and pswpout)",
    Unit::Count("{operation}"),
);
static ZRAM_USAGE: Descriptor = amount(
    "system.paging.zram.usage",
    "Data in a compressed swap device: as written, compressed, and the memory it takes (/sys/block/zramN/mm_stat)",
    Unit::Bytes,
);

static SWAP_IN: Signal = Signal {
    name: "swap_in_rate",
    help: "Pages read back from swap (/proc/vmstat, pswpin)",
};
static SWAP_OUT: Signal = Signal {
    name: "swap_out_rate",
    help: "Pages written to swap (/proc/vmstat, pswpout)",
};
static FAILED_READ: Signal = Signal {
    name: "failed_read",
    help: "Reads that a zram device failed (/sys/block/zramN/io_stat, field 1)",
};
static FAILED_WRITE: Signal = Signal {
    name: "failed_write",
    help: "Writes that a zram device failed (/sys/block/zramN/io_stat, field 2)",
};

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[&USAGE, &UTILIZATION, &OPERATIONS, &ZRAM_USAGE],
    saturation: &[&SWAP_IN, &SWAP_OUT],
    errors: &[&FAILED_READ, &FAILED_WRITE],
    open: |_| Box::<Swap>::default(),
};

#[derive(Debug, Default)]
struct Swap {
    last: Option<Timed<Vmstat>>,
}

impl Resource for Swap {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let path = root.procfs.join("swaps");
        let Some(text) = read::text(&path)? else {
            return Ok(None);
        };
        let mut lines = text.lines();
        if !lines
            .next()
            .is_some_and(|head| head.starts_with("Filename"))
        {
            return Err(read::malformed(&path, "heading"));
        }
        let mut devices = report.skipped.lines(lines, Device::parse);
        devices.sort_by(|left, right| left.name.cmp(&right.name));
        devices.dedup_by(|later, earlier| later.name == earlier.name);
        if devices.is_empty() && report.skipped() == 0 {
            // What there was before swapoff must not make a rate after swapon.
            self.last = None;
            return Ok(None);
        }
        for device in &devices {
            device.report(&mut report);
            device.zram(root, &mut report);
        }
        let now = Timed {
            at: now,
            value: Vmstat::read(root, &mut report.skipped),
        };
        traffic(self.last.as_ref(), &now, &mut report);
        self.last = Some(now);
        Ok(Some(report))
    }
}

/// A line of `/proc/swaps`; sizes in bytes.
struct Device {
    name: String,
    size: u64,
    used: u64,
}

impl Device {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let name = read::unescape(fields.next()?);
        let _kind = fields.next()?;
        let mut kibibytes = || fields.next()?.parse::<u64>().ok()?.checked_mul(1024);
        let (size, used) = (kibibytes()?, kibibytes()?);
        (used <= size && size > 0).then_some(Self { name, size, used })
    }

    fn report(&self, report: &mut Use) {
        let share = |bytes: u64| bytes as f64 / self.size as f64;
        for (state, bytes) in [("used", self.used), ("free", self.size - self.used)] {
            let attributes = || {
                [
                    ("system.device", self.name.as_str().into()),
                    ("system.paging.state", state.into()),
                ]
            };
            report.count(&USAGE, attributes(), bytes);
            report.measure(&UTILIZATION, attributes(), share(bytes));
        }
        report.utilization(Some(&self.name), share(self.used));
    }

    fn zram(&self, root: &Root, report: &mut Use) {
        let Some(block) = Path::new(&self.name)
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|name| name.starts_with("zram"))
        else {
            return;
        };
        let directory = root.sysfs.join("block").join(block);
        if let Some([original, compressed, memory]) = fields(&directory.join("mm_stat"), report) {
            for (state, bytes) in [
                ("original", original),
                ("compressed", compressed),
                ("memory", memory),
            ] {
                let attributes = [
                    ("system.device", self.name.as_str().into()),
                    ("system.paging.state", state.into()),
                ];
                report.count(&ZRAM_USAGE, attributes, bytes);
            }
        }
        if let Some([reads, writes]) = fields(&directory.join("io_stat"), report) {
            report.errors(Some(&self.name), &FAILED_READ, reads);
            report.errors(Some(&self.name), &FAILED_WRITE, writes);
        }
    }
}

fn fields<const N: usize>(path: &Path, report: &mut Use) -> Option<[u64; N]> {
    let text = report.skipped.or_skip(read::text(path))?;
    let fields = read::numbers(&text);
    if fields.is_none() {
        report.skipped.one();
    }
    fields
}

fn traffic(last: Option<&Timed<Vmstat>>, now: &Timed<Vmstat>, report: &mut Use) {
    for (direction, pages) in [
        ("in", now.value.get("pswpin")),
        ("out", now.value.get("pswpout")),
    ] {
        let attributes = [
            ("system.paging.direction", direction.into()),
            ("system.paging.fault.type", "major".into()),
        ];
        report.count(&OPERATIONS, attributes, pages);
    }
    if let Some(interval) = Interval::between(last, now) {
        let read = interval.rate(|vmstat| vmstat.get("pswpin"));
        report.saturation(None, &SWAP_IN, read);
        let written = interval.rate(|vmstat| vmstat.get("pswpout"));
        report.saturation(None, &SWAP_OUT, written);
    }
}
