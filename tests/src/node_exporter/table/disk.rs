//! Disks and filesystems.

use crate::node_exporter::row::{Collector, Labels, Pair, Row};

const DEVICE: Labels = &[("device", "system_device")];
const MOUNT: Labels = &[("mountpoint", "system_filesystem_mountpoint")];

macro_rules! disk {
    ($metric:literal) => {
        &[Pair::of("disk", $metric).join(DEVICE)]
    };
    ($metric:literal, $direction:literal) => {
        &[Pair::of("disk", $metric)
            .ours(&[("disk_io_direction", $direction)])
            .join(DEVICE)]
    };
}

macro_rules! filesystem {
    ($metric:literal) => {
        &[Pair::of("filesystem", $metric).join(MOUNT)]
    };
    ($metric:literal, $state:literal) => {
        &[Pair::of("filesystem", $metric)
            .ours(&[("system_filesystem_state", $state)])
            .join(MOUNT)]
    };
}

const SCOPE: &str =
    "whole disks, and loop and zram devices that are used; theirs leaves out loop devices";

pub(super) const COLLECTORS: &[Collector] = &[
    Collector {
        name: "diskstats",
        rows: &[
            Row::counter(
                "node_disk_read_bytes_total",
                disk!("system_disk_io_bytes_total", "read"),
                SCOPE,
            ),
            Row::counter(
                "node_disk_written_bytes_total",
                disk!("system_disk_io_bytes_total", "write"),
                "",
            ),
            Row::counter(
                "node_disk_reads_completed_total",
                disk!("system_disk_operations_total", "read"),
                "",
            ),
            Row::counter(
                "node_disk_writes_completed_total",
                disk!("system_disk_operations_total", "write"),
                "",
            ),
            Row::counter(
                "node_disk_reads_merged_total",
                disk!("system_disk_merged_total", "read"),
                "",
            ),
            Row::counter(
                "node_disk_writes_merged_total",
                disk!("system_disk_merged_total", "write"),
                "",
            ),
            Row::counter(
                "node_disk_read_time_seconds_total",
                disk!("system_disk_operation_time_seconds_total", "read"),
                "and the distribution, `system_disk_operation_latency_seconds`",
            ),
            Row::counter(
                "node_disk_write_time_seconds_total",
                disk!("system_disk_operation_time_seconds_total", "write"),
                "and the distribution, `system_disk_operation_latency_seconds`",
            ),
            Row::counter(
                "node_disk_io_time_seconds_total",
                disk!("system_disk_io_time_seconds_total"),
                "",
            ),
            Row::counter(
                "node_disk_io_time_weighted_seconds_total",
                disk!("system_disk_weighted_io_time_seconds_total"),
                "",
            ),
            Row::moving(
                "node_disk_io_now",
                disk!("system_disk_pending_operations"),
                "",
            ),
            Row::counter(
                "node_disk_discards_completed_total",
                disk!("system_disk_discard_operations_total"),
                "",
            ),
            Row::counter(
                "node_disk_discards_merged_total",
                disk!("system_disk_discard_merged_total"),
                "",
            ),
            Row::counter(
                "node_disk_discarded_sectors_total",
                &[Pair::of("disk", "system_disk_discard_io_bytes_total")
                    .join(DEVICE)
                    .scale(1.0 / 512.0)],
                "in bytes rather than sectors of 512",
            ),
            Row::counter(
                "node_disk_discard_time_seconds_total",
                disk!("system_disk_discard_operation_time_seconds_total"),
                "",
            ),
            Row::counter(
                "node_disk_flush_requests_total",
                disk!("system_disk_flush_operations_total"),
                "",
            ),
            Row::counter(
                "node_disk_flush_requests_time_seconds_total",
                disk!("system_disk_flush_operation_time_seconds_total"),
                "",
            ),
            Row::no(
                "node_disk_info",
                "model and serial number: identity, no measurement",
            ),
            Row::no(
                "node_disk_*_info",
                "what lies on the disk, from udev's files: identity",
            ),
            Row::no("node_disk_ata_*", "what drives can do, from udev's files"),
        ],
    },
    Collector {
        name: "filesystem",
        rows: &[
            Row::stable(
                "node_filesystem_size_bytes",
                filesystem!("system_filesystem_limit_bytes"),
                "each filesystem once, where its root is mounted; theirs once for each mount point",
            ),
            Row::moving(
                "node_filesystem_avail_bytes",
                filesystem!("system_filesystem_usage_bytes", "free"),
                "",
            ),
            Row::other(
                "node_filesystem_free_bytes",
                &["system_filesystem_usage_bytes"],
                "`free` and `reserved` together",
            ),
            Row::stable(
                "node_filesystem_files",
                filesystem!("system_filesystem_inodes_usage"),
                "the sum of both states; absent where the number isn't fixed, such as on btrfs",
            ),
            Row::moving(
                "node_filesystem_files_free",
                filesystem!("system_filesystem_inodes_usage", "free"),
                "",
            ),
            Row::other(
                "node_filesystem_readonly",
                &["system_filesystem_usage_bytes", "use_errors_total"],
                "`system_filesystem_mode`, and remounts counted as `signal=\"read_only_remount\"`",
            ),
            Row::other(
                "node_filesystem_device_error",
                &["system_filesystem_stuck", "use_errors_total"],
                "apart: stuck, and failed (`signal=\"stat_failure\"`)",
            ),
        ],
    },
    Collector {
        name: "mdadm",
        rows: &[
            Row::other(
                "node_md_disks",
                &["system_disk_raid_missing"],
                "those that the array lacks; which state the others are in isn't told",
            ),
            Row::other("node_md_disks_required", &["system_disk_raid_members"], ""),
            Row::no(
                "node_md_state",
                "an array that isn't active serves nothing; one that lacks a disk shows",
            ),
            Row::no(
                "node_md_blocks*",
                "progress of a rebuild: `/proc/mdstat` on the host says it",
            ),
        ],
    },
];
