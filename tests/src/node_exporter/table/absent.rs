//! Collectors of which sonde has nothing.

use crate::node_exporter::row::{Collector, Row};

macro_rules! absent {
    ($($name:literal, $metrics:literal, $why:literal;)+) => {
        &[$(Collector { name: $name, rows: &[Row::no($metrics, $why)] },)+]
    };
}

pub(super) const COLLECTORS: &[Collector] = absent! {
    "bcache", "node_bcache_*", "one cache's own statistics; its disks and their latency are told";
    "btrfs", "node_btrfs_*", "one filesystem's own accounting; its room is told as of all filesystems";
    "fibrechannel", "node_fibrechannel_*", "of storage networks; their disks and latency are told";
    "infiniband", "node_infiniband_*", "of computing clusters; traffic over IP is told";
    "ipvs", "node_ipvs_*", "one load balancer's own statistics";
    "nfs", "node_nfs_*", "calls by operation; that a mount is stuck is told, and whose system calls wait";
    "nfsd", "node_nfsd_*", "one server's own statistics";
    "nvme", "node_nvme_info", "model and firmware: identity, no measurement";
    "tapestats", "node_tape_*", "of tape drives";
    "xfs", "node_xfs_*", "one filesystem's own statistics; its room is told as of all filesystems";
    "zfs", "node_zfs_*", "one filesystem's own statistics, from a module outside of the kernel";
};
