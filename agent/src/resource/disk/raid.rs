//! Software RAID, `/sys/block/mdN/md` (Documentation/admin-guide/md.rst).

use std::path::Path;

use crate::{
    metric::{Descriptor, Unit},
    resource::{
        Use,
        method::{Signal, amount},
        read,
    },
};

pub(super) static MEMBERS: Descriptor = amount(
    "system.disk.raid.members",
    "Disks that the array has when it is whole (/sys/block/mdN/md/raid_disks)",
    Unit::Count("{disk}"),
);
pub(super) static MISSING: Descriptor = amount(
    "system.disk.raid.missing",
    "Disks that the array lacks: failed, taken out, or not yet rebuilt (/sys/block/mdN/md/degraded)",
    Unit::Count("{disk}"),
);

pub(super) static READ_ERROR: Signal = Signal {
    name: "raid_read_error",
    help: "Read errors of an array's disks that were corrected from the others (/sys/block/mdN/md/dev-*/errors)",
};

/// Adds what there is of the array `name`, whose directory in sysfs is `block`; nothing for other
/// disks. Arrays without redundancy lack most of it.
pub(super) fn report(name: &str, block: &Path, report: &mut Use) {
    if !name.starts_with("md") {
        return;
    }
    let directory = block.join("md");
    for (descriptor, file) in [(&MEMBERS, "raid_disks"), (&MISSING, "degraded")] {
        let count = read::number::<u64>(&directory.join(file));
        let count = report.skipped.or_skip(count);
        report.count(descriptor, [("system.device", name.into())], count);
    }
    let mut errors = None;
    for member in read::directory(&directory, &mut report.skipped) {
        if !member.starts_with("dev-") {
            continue;
        }
        let count = read::number::<u64>(&directory.join(member).join("errors"));
        if let Some(count) = report.skipped.or_skip(count) {
            errors = Some(count.saturating_add(errors.unwrap_or(0)));
        }
    }
    report.errors(Some(name), &READ_ERROR, errors);
}
