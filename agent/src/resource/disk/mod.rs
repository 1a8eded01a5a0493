//! Disks: traffic, operations, time busy, queue depth, pressure and what SCSI devices count as
//! errors; discards, flushes, and the members of software RAIDs.

mod discard;
mod raid;

use std::{collections::BTreeMap, path::Path, time::Instant};

use procfs::DiskStat;

use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    method::{Signal, amount, counter, gauge},
    pressure::{self, Pressure},
    read::{self, Skipped},
};
use crate::metric::{AttributeValue, Descriptor, Unit};

const NAME: &str = "disk";
/// Unit of sectors in `/proc/diskstats` and `/sys/block/*/size`, whatever the device's own is.
const SECTOR: u64 = 512;
const MILLISECONDS: f64 = 1e3;

static IO: Descriptor = counter(
    "system.disk.io",
    "Bytes moved (/proc/diskstats, sectors read and written)",
    Unit::Bytes,
);
static OPERATIONS: Descriptor = counter(
    "system.disk.operations",
    "Operations completed (/proc/diskstats, reads and writes completed)",
    Unit::Count("{operation}"),
);
static OPERATION_TIME: Descriptor = counter(
    "system.disk.operation_time",
    "Sum of the time that each operation took (/proc/diskstats, time reading and writing)",
    Unit::Seconds,
);
static IO_TIME: Descriptor = counter(
    "system.disk.io_time",
    "Time in which the disk had at least one operation to do (/proc/diskstats, time doing I/Os)",
    Unit::Seconds,
);
static WEIGHTED_IO_TIME: Descriptor = counter(
    "system.disk.weighted_io_time",
    "Time doing I/Os multiplied by the operations in progress (/proc/diskstats, weighted time)",
    Unit::Seconds,
);
static MERGED: Descriptor = counter(
    "system.disk.merged",
    "Operations merged into others before they were issued (/proc/diskstats, reads and writes merged)",
    Unit::Count("{operation}"),
);
static PENDING: Descriptor = gauge(
    "system.disk.pending_operations",
    "Operations in progress (/proc/diskstats, I/Os currently in progress)",
    Unit::Count("{operation}"),
);
static LIMIT: Descriptor = amount(
    "system.disk.limit",
    "Capacity of the disk (/sys/block/*/size)",
    Unit::Bytes,
);

static QUEUE: Signal = Signal {
    name: "queue_length",
    help: "Mean number of operations in progress since the last snapshot (/proc/diskstats, weighted time)",
};
static IO_ERROR: Signal = Signal {
    name: "io_error",
    help: "Commands that a SCSI device completed with an error (/sys/block/*/device/ioerr_cnt)",
};
static IO_TIMEOUT: Signal = Signal {
    name: "io_timeout",
    help: "Commands of a SCSI device that timed out (/sys/block/*/device/iotmo_cnt)",
};

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[
        &IO,
        &OPERATIONS,
        &OPERATION_TIME,
        &IO_TIME,
        &WEIGHTED_IO_TIME,
        &MERGED,
        &PENDING,
        &LIMIT,
        &discard::IO,
        &discard::OPERATIONS,
        &discard::OPERATION_TIME,
        &discard::MERGED,
        &discard::FLUSHES,
        &discard::FLUSH_TIME,
        &raid::MEMBERS,
        &raid::MISSING,
        &pressure::STALL,
    ],
    saturation: &[&QUEUE, &pressure::SOME, &pressure::FULL],
    errors: &[&IO_ERROR, &IO_TIMEOUT, &raid::READ_ERROR],
    open: |_| Box::<Disk>::default(),
};

#[derive(Debug, Default)]
struct Sample {
    disks: BTreeMap<String, DiskStat>,
    pressure: Pressure,
}

#[derive(Debug, Default)]
struct Disk {
    last: Option<Timed<Sample>>,
}

impl Resource for Disk {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let path = root.procfs.join("diskstats");
        let Some(text) = read::text(&path)? else {
            return Ok(None);
        };
        let disks = parse(&text, root, &mut report.skipped);
        if disks.is_empty() {
            if report.skipped() > 0 {
                return Err(read::malformed(&path, "statistics of any disk"));
            }
            self.last = None;
            return Ok(None);
        }
        let now = Timed {
            at: now,
            value: Sample {
                disks,
                pressure: Pressure::read(root, "io", &mut report),
            },
        };
        for (name, disk) in &now.value.disks {
            raw(name, disk, &mut report);
            discard::report(name, disk, &mut report);
            device(name, root, &mut report);
        }
        now.value.pressure.raw("io", &mut report);
        if let Some(interval) = Interval::between(self.last.as_ref(), &now) {
            usage(&interval, &mut report);
        }
        self.last = Some(now);
        Ok(Some(report))
    }
}

fn parse(text: &str, root: &Root, skipped: &mut Skipped) -> BTreeMap<String, DiskStat> {
    let disks = skipped.lines(text.lines(), |line| DiskStat::from_line(line).ok());
    let block = root.sysfs.join("block");
    disks
        .into_iter()
        .filter(|disk| is_reported(disk, &block))
        .map(|disk| (disk.name.clone(), disk))
        .collect()
}

/// Whole disks, as the kernel lists them in `/sys/block`, without those that have nothing behind
/// them and never had (a card reader); of the kinds of which a host has many that nobody uses, only
/// those that have done something and still have something behind them (no detached loop device).
fn is_reported(disk: &DiskStat, block: &Path) -> bool {
    const OFTEN_UNUSED: [&str; 6] = ["loop", "ram", "zram", "nbd", "fd", "sr"];
    let kind = disk
        .name
        .trim_end_matches(|last: char| last.is_ascii_digit());
    let is_used = disk.reads > 0 || disk.writes > 0;
    let is_whole = if block.is_dir() {
        block.join(sysfs_name(&disk.name)).exists()
    } else {
        !looks_like_partition(&disk.name)
    };
    let is_empty = || {
        let size = read::number::<u64>(&block.join(sysfs_name(&disk.name)).join("size"));
        matches!(size, Ok(Some(0)))
    };
    is_whole
        && if OFTEN_UNUSED.contains(&kind) {
            is_used && !is_empty()
        } else {
            is_used || !is_empty()
        }
}

/// `sda1`, `vda15`, `nvme0n1p2`, `mmcblk0p1`: for want of sysfs.
fn looks_like_partition(name: &str) -> bool {
    let base = name.trim_end_matches(|last: char| last.is_ascii_digit());
    if base.len() == name.len() {
        return false;
    }
    let is_lettered = ["sd", "hd", "vd", "xvd"]
        .iter()
        .any(|kind| base.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()));
    let is_numbered = base
        .strip_suffix('p')
        .is_some_and(|rest| rest.ends_with(|last: char| last.is_ascii_digit()));
    is_lettered || is_numbered
}

/// sysfs writes the `/` in names such as `cciss/c0d0` as `!`.
fn sysfs_name(name: &str) -> String {
    name.replace('/', "!")
}

fn raw(name: &str, disk: &DiskStat, report: &mut Use) {
    let device: AttributeValue = name.into();
    let directions = [
        (
            "read",
            disk.sectors_read,
            disk.reads,
            disk.time_reading,
            disk.merged,
        ),
        (
            "write",
            disk.sectors_written,
            disk.writes,
            disk.time_writing,
            disk.writes_merged,
        ),
    ];
    for (direction, sectors, operations, milliseconds, merged) in directions {
        let attributes = || {
            [
                ("system.device", device.clone()),
                ("disk.io.direction", direction.into()),
            ]
        };
        report.count(&IO, attributes(), sectors.checked_mul(SECTOR));
        report.count(&OPERATIONS, attributes(), operations);
        let seconds = milliseconds as f64 / MILLISECONDS;
        report.measure(&OPERATION_TIME, attributes(), seconds);
        report.count(&MERGED, attributes(), merged);
    }
    let attributes = || [("system.device", device.clone())];
    let busy = disk.time_in_progress as f64 / MILLISECONDS;
    report.measure(&IO_TIME, attributes(), busy);
    let weighted = disk.weighted_time_in_progress as f64 / MILLISECONDS;
    report.measure(&WEIGHTED_IO_TIME, attributes(), weighted);
    report.count(&PENDING, attributes(), disk.in_progress);
}

fn device(name: &str, root: &Root, report: &mut Use) {
    let directory = root.sysfs.join("block").join(sysfs_name(name));
    let sectors = read::number::<u64>(&directory.join("size"));
    let sectors = report.skipped.or_skip(sectors);
    let bytes = sectors.and_then(|sectors| sectors.checked_mul(SECTOR));
    report.count(&LIMIT, [("system.device", name.into())], bytes);
    for (signal, file) in [(&IO_ERROR, "ioerr_cnt"), (&IO_TIMEOUT, "iotmo_cnt")] {
        let path = directory.join("device").join(file);
        let Some(text) = report.skipped.or_skip(read::text(&path)) else {
            continue;
        };
        match hexadecimal(&text) {
            Some(count) => report.errors(Some(name), signal, count),
            None => report.skipped.one(),
        }
    }
    raid::report(name, &directory, report);
}

/// `0x1f`, as `drivers/scsi/scsi_sysfs.c` writes its counters.
fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

fn usage(interval: &Interval<'_, Sample>, report: &mut Use) {
    let names = interval.now().disks.keys();
    for name in names {
        let Some(disk) = interval.part(|sample| sample.disks.get(name)) else {
            continue;
        };
        let busy = disk.share(MILLISECONDS, |disk| disk.time_in_progress);
        report.utilization(Some(name), busy);
        let queue = disk.rate(|disk| disk.weighted_time_in_progress);
        let queue = queue.map(|milliseconds| milliseconds / MILLISECONDS);
        report.saturation(Some(name), &QUEUE, queue);
    }
    Pressure::saturation(interval.part(|sample| Some(&sample.pressure)), report);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_told_by_name_without_sysfs() {
        for name in ["sda1", "vda15", "nvme0n1p2", "mmcblk0p1", "xvda1"] {
            assert!(looks_like_partition(name), "{name}");
        }
        for name in ["sda", "nvme0n1", "md0", "dm-3", "loop0", "mmcblk0", "sr0"] {
            assert!(!looks_like_partition(name), "{name}");
        }
    }

    #[test]
    fn a_device_without_anything_behind_it_is_left_out() {
        let block = tempfile::tempdir().unwrap();
        let reported = |name: &str, sectors: Option<&str>, reads: u64| {
            let directory = block.path().join(name);
            std::fs::create_dir_all(&directory).unwrap();
            if let Some(sectors) = sectors {
                std::fs::write(directory.join("size"), sectors).unwrap();
            }
            let line = format!("7 0 {name} {reads} 0 8 1 0 0 0 0 0 1 1");
            is_reported(&DiskStat::from_line(&line).unwrap(), block.path())
        };
        assert!(reported("loop0", Some("2048\n"), 5));
        assert!(!reported("loop0", Some("2048\n"), 0), "never used");
        assert!(!reported("loop1", Some("0\n"), 5), "detached");
        assert!(reported("sda", Some("2048\n"), 0));
        assert!(!reported("sda", Some("0\n"), 0), "no medium");
        assert!(reported("sdb", Some("0\n"), 5), "its medium was taken out");
        assert!(reported("sdc", None, 0), "not known");
    }

    #[test]
    fn scsi_counters_are_hexadecimal() {
        assert_eq!(hexadecimal("0x1f\n"), Some(31));
        assert_eq!(hexadecimal("31"), None);
    }
}
