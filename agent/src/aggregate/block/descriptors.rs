//! The metrics of block I/O.

use crate::{
    metric::{Descriptor, Unit},
    resource::Signal,
};

/// Those of disks, as told by the kernel side.
pub const OF_DISKS: &[&Descriptor] = &[&DEVICE_LATENCY, &QUEUE_LATENCY, &REQUEUES, &DISK_ERRORS];

/// Those of services.
pub const DESCRIPTORS: &[&Descriptor] = &[&IO, &OPERATIONS, &QUEUE_TIME, &OPERATION_TIME, &ERRORS];

/// Time from issue to completion.
pub const DEVICE_LATENCY: Descriptor = Descriptor::histogram(
    "system.disk.operation.latency",
    "Time that block requests spent at the device, from issue to completion (tracepoints block_rq_issue, block_rq_complete)",
    Unit::Seconds,
);
/// Time from submission to issue.
pub const QUEUE_LATENCY: Descriptor = Descriptor::histogram(
    "system.disk.operation.queue_latency",
    "Time that block requests waited before the device got them, from the submission of their first bio to issue (tracepoints block_io_start or block_rq_insert, block_rq_issue); what a cgroup's limit holds back is submitted after that",
    Unit::Seconds,
);
/// What devices gave back.
pub const REQUEUES: Descriptor = Descriptor::counter(
    "system.disk.requeues",
    "Block requests that the device gave back, for want of room, to be issued again (tracepoint block_rq_requeue)",
    Unit::Count("{operation}"),
);
/// Requests of a disk that failed.
pub const DISK_ERRORS: Descriptor = Descriptor::counter(
    "system.disk.errors",
    "Block requests, or parts of them, that failed, by blk_status_t (tracepoint block_rq_complete)",
    Unit::Count("{operation}"),
);
/// Bytes.
pub const IO: Descriptor = Descriptor::counter(
    "block.io",
    "Bytes that the service's requests moved at the block layer: past caches, after merging, writeback by the cgroup that it is charged to",
    Unit::Bytes,
);
/// Requests.
pub const OPERATIONS: Descriptor = Descriptor::counter(
    "block.operations",
    "Block requests of the service that were completed",
    Unit::Count("{operation}"),
);
/// Time in the queue.
pub const QUEUE_TIME: Descriptor = Descriptor::counter(
    "block.queue_time",
    "Time that the service's block requests waited before the device got them",
    Unit::Seconds,
);
/// Time at the device.
pub const OPERATION_TIME: Descriptor = Descriptor::counter(
    "block.operation_time",
    "Time that the service's block requests spent at the device",
    Unit::Seconds,
);
/// Failures.
pub const ERRORS: Descriptor = Descriptor::counter(
    "block.errors",
    "Block requests of the service, or parts of them, that failed, by blk_status_t",
    Unit::Count("{operation}"),
);

/// Whose requests wait.
pub static QUEUE_LENGTH: Signal = Signal {
    name: "queue_length",
    help: "Mean number of the service's block requests that waited or were at the device since the last snapshot",
};

/// Resource and signal of each kind of point in `use.saturation.by_service`, for the reference.
pub const SATURATION: &[(&str, &Signal)] = &[("disk", &QUEUE_LENGTH)];
