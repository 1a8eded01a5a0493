//! Block I/O latency: from issue to the device to completion.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{btf_tracepoint, map},
    maps::HashMap,
    programs::BtfTracePointContext,
};
use sonde_common::{
    event::block::{Issue, LatencyKey, Operation},
    fault::Fault,
    hist::Log2,
};

use crate::{
    emit::fault,
    hist::record,
    kernel::{Direct, Request},
};

/// Requests that a device works on, by the address of their `struct request`.
#[map]
static BLOCK_ISSUED: HashMap<u64, Issue> = HashMap::with_max_entries(8192, 0);

/// Latencies by device and operation.
#[map]
static BLOCK_LATENCY: HashMap<LatencyKey, Log2> = HashMap::with_max_entries(512, 0);

/// `block_rq_issue(rq)`, kernel 5.11
#[btf_tracepoint(function = "block_rq_issue")]
pub(crate) fn block_issue(ctx: BtfTracePointContext) -> i32 {
    on_issue(&Request::new(ctx.arg(0)));
    0
}

/// `block_rq_issue(q, rq)` before
#[btf_tracepoint(function = "block_rq_issue")]
pub(crate) fn block_issue_queue(ctx: BtfTracePointContext) -> i32 {
    on_issue(&Request::new(ctx.arg(1)));
    0
}

/// `block_rq_complete(rq, error, nr_bytes)`
#[btf_tracepoint(function = "block_rq_complete")]
pub(crate) fn block_complete(ctx: BtfTracePointContext) -> i32 {
    on_complete(ctx.arg(0));
    0
}

#[inline(always)]
fn on_issue(request: &Request<Direct>) {
    let issue = Issue {
        // SAFETY: the helper takes nothing and always succeeds.
        time: unsafe { bpf_ktime_get_ns() },
        key: LatencyKey {
            device: request.device(),
            operation: operation(request.command()) as u32,
        },
    };
    if BLOCK_ISSUED.insert(&(request.0 as u64), &issue, 0).is_err() {
        fault(Fault::BlockMapFull);
    }
}

/// The first completion counts: a request may complete in parts.
#[inline(always)]
fn on_complete(request: u64) {
    // SAFETY: the value is copied before the entry goes.
    let Some(issue) = (unsafe { BLOCK_ISSUED.get(&request) }).copied() else {
        return;
    };
    let _ = BLOCK_ISSUED.remove(&request);
    if issue.key.device == 0 {
        // No disk behind it, as for SCSI commands that programs send.
        return;
    }
    // SAFETY: the helper takes nothing and always succeeds.
    let latency = unsafe { bpf_ktime_get_ns() }.saturating_sub(issue.time);
    if !record(&BLOCK_LATENCY, &issue.key, latency) {
        fault(Fault::BlockMapFull);
    }
}

/// `REQ_OP_*` of `include/linux/blk_types.h`; the flags are above the low 8 bits.
#[inline(always)]
fn operation(command: u32) -> Operation {
    match command & 0xff {
        0 => Operation::Read,
        1 => Operation::Write,
        2 => Operation::Flush,
        3 | 5 | 9 => Operation::Discard,
        _ => Operation::Other,
    }
}
