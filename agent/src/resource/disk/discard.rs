//! What is asked of a disk besides reading and writing: discards (since 4.18), flushes (since 5.5).

use procfs::DiskStat;

use super::{MILLISECONDS, SECTOR};
use crate::{
    metric::{Descriptor, Unit},
    resource::{Use, method::counter},
};

pub(super) static IO: Descriptor = counter(
    "system.disk.discard.io",
    "Bytes that were given back to the disk as unused (/proc/diskstats, sectors discarded)",
    Unit::Bytes,
);
pub(super) static OPERATIONS: Descriptor = counter(
    "system.disk.discard.operations",
    "Discards completed (/proc/diskstats, discards completed)",
    Unit::Count("{operation}"),
);
pub(super) static OPERATION_TIME: Descriptor = counter(
    "system.disk.discard.operation_time",
    "Sum of the time that each discard took (/proc/diskstats, time discarding)",
    Unit::Seconds,
);
pub(super) static MERGED: Descriptor = counter(
    "system.disk.discard.merged",
    "Discards merged into others before they were issued (/proc/diskstats, discards merged)",
    Unit::Count("{operation}"),
);
pub(super) static FLUSHES: Descriptor = counter(
    "system.disk.flush.operations",
    "Orders to the disk to make its cache durable (/proc/diskstats, flush requests completed)",
    Unit::Count("{operation}"),
);
pub(super) static FLUSH_TIME: Descriptor = counter(
    "system.disk.flush.operation_time",
    "Sum of the time that each flush took (/proc/diskstats, time flushing)",
    Unit::Seconds,
);

pub(super) fn report(name: &str, disk: &DiskStat, report: &mut Use) {
    let attributes = || [("system.device", name.into())];
    let seconds = |milliseconds: u64| milliseconds as f64 / MILLISECONDS;
    let bytes = disk
        .sectors_discarded
        .and_then(|sectors| sectors.checked_mul(SECTOR));
    report.count(&IO, attributes(), bytes);
    report.count(&OPERATIONS, attributes(), disk.discards);
    let time = disk.time_discarding.map(seconds);
    report.measure(&OPERATION_TIME, attributes(), time);
    report.count(&MERGED, attributes(), disk.discards_merged);
    report.count(&FLUSHES, attributes(), disk.flushes);
    let time = disk.time_flushing.map(seconds);
    report.measure(&FLUSH_TIME, attributes(), time);
}
