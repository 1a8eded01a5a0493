//! Block I/O: queue time and time at the device, bytes, errors, and whose requests they are.
//!
//! A request is told three times: in the context of whoever submits it, when it goes to the device,
//! and when it is done. Between them it may come back from the device, or be merged into another.

mod done;

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{bpf_ktime_get_ns, generated::bpf_get_current_task},
    macros::{btf_tracepoint, map},
    maps::HashMap,
    programs::BtfTracePointContext,
};
use sonde_common::{
    event::block::{DeviceKey, Operation, Owner, Pending, UsageKey},
    fault::Fault,
};

use crate::{
    current,
    emit::fault,
    kernel::{Access, Direct, Probed, Request, Task},
};

/// Requests that wait or that a device works on, by the address of their `struct request`.
#[map]
static BLOCK_REQUESTS: HashMap<u64, Pending> = HashMap::with_max_entries(3072, 0);

/// `block_io_start(rq)`, kernel 6.5: a request has been made of a bio.
#[btf_tracepoint(function = "block_io_start")]
pub(crate) fn block_start(ctx: BtfTracePointContext) -> i32 {
    let (request, now) = (Request::new(ctx.arg(0)), now());
    let submitted = request.submitted(now).unwrap_or(now);
    on_submission(&request, submitted, &current::task());
    0
}

/// `block_rq_insert(rq)`, kernel 5.11: a request waits in a queue.
#[btf_tracepoint(function = "block_rq_insert")]
pub(crate) fn block_insert(ctx: BtfTracePointContext) -> i32 {
    on_queued(&Request::new(ctx.arg(0)));
    0
}

/// `block_rq_insert(q, rq)` before
#[btf_tracepoint(function = "block_rq_insert")]
pub(crate) fn block_insert_queue(ctx: BtfTracePointContext) -> i32 {
    on_queued(&Request::new(ctx.arg(1)));
    0
}

/// `block_rq_issue(rq)`, where all submissions are told (6.5).
#[btf_tracepoint(function = "block_rq_issue")]
pub(crate) fn block_issue(ctx: BtfTracePointContext) -> i32 {
    on_issue(&Request::new(ctx.arg(0)), false);
    0
}

/// `block_rq_issue(rq)`, kernel 5.11: what wasn't queued is issued by whoever submits it.
#[btf_tracepoint(function = "block_rq_issue")]
pub(crate) fn block_issue_first(ctx: BtfTracePointContext) -> i32 {
    on_issue(&Request::new(ctx.arg(0)), true);
    0
}

/// `block_rq_issue(q, rq)` before
#[btf_tracepoint(function = "block_rq_issue")]
pub(crate) fn block_issue_queue(ctx: BtfTracePointContext) -> i32 {
    on_issue(&Request::new(ctx.arg(1)), true);
    0
}

/// `block_rq_requeue(rq)`, kernel 5.11
#[btf_tracepoint(function = "block_rq_requeue")]
pub(crate) fn block_requeue(ctx: BtfTracePointContext) -> i32 {
    on_requeue(ctx.arg(0));
    0
}

/// `block_rq_requeue(q, rq)` before
#[btf_tracepoint(function = "block_rq_requeue")]
pub(crate) fn block_requeue_queue(ctx: BtfTracePointContext) -> i32 {
    on_requeue(ctx.arg(1));
    0
}

/// `block_rq_merge(rq)`, kernel 5.11: this one has become a part of another.
#[btf_tracepoint(function = "block_rq_merge")]
pub(crate) fn block_merge(ctx: BtfTracePointContext) -> i32 {
    forget(ctx.arg(0));
    0
}

/// `block_rq_merge(q, rq)` before
#[btf_tracepoint(function = "block_rq_merge")]
pub(crate) fn block_merge_queue(ctx: BtfTracePointContext) -> i32 {
    forget(ctx.arg(1));
    0
}

/// `block_rq_complete(rq, error, nr_bytes)`
#[btf_tracepoint(function = "block_rq_complete")]
pub(crate) fn block_complete(ctx: BtfTracePointContext) -> i32 {
    done::on_complete(&Request::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2));
    0
}

/// The current task, before 5.11.
#[inline(always)]
fn task() -> Task<Probed> {
    // SAFETY: the helper takes nothing; the current task is always there.
    Task::new(unsafe { bpf_get_current_task() } as *const u8)
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper takes nothing and always succeeds.
    unsafe { bpf_ktime_get_ns() }
}

#[inline(always)]
fn key(request: &Request<Direct>, owner: Owner) -> UsageKey {
    UsageKey {
        of: DeviceKey {
            device: request.device(),
            operation: request.operation() as u32,
        },
        owner,
    }
}

/// Whose request it is that this task submits.
#[inline(always)]
fn owner<A: Access>(request: &Request<Direct>, task: &Task<A>) -> Owner {
    if task.is_kernel_thread() {
        return request.charged();
    }
    Owner {
        tgid: task.tgid(),
        ..Owner::KERNEL
    }
}

#[inline(always)]
fn follow(request: &Request<Direct>, pending: &Pending) {
    let address = request.0 as u64;
    if BLOCK_REQUESTS
        .insert(&address, pending, BPF_NOEXIST.into())
        .is_ok()
    {
        return;
    }
    let Some(before) = BLOCK_REQUESTS.get_ptr_mut(&address) else {
        fault(Fault::BlockMapFull);
        return;
    };
    // SAFETY: a live map value; a request is in one place at a time.
    unsafe {
        // Else the same one waits again (before 6.5).
        if (*before).issued != 0 && (*before).key.of.device != 0 {
            fault(Fault::BlockEndUnseen);
        }
        *before = *pending;
    }
}

#[inline(always)]
fn on_queued(request: &Request<Direct>) {
    on_submission(request, submitted_before(request, now()), &task());
}

/// When a request was submitted of which nothing was told then.
#[inline(always)]
fn submitted_before(request: &Request<Direct>, now: u64) -> u64 {
    request
        .submitted(now)
        .or_else(|| request.made(now))
        .unwrap_or(now)
}

#[inline(always)]
fn on_submission<A: Access>(request: &Request<Direct>, submitted: u64, task: &Task<A>) {
    let pending = Pending {
        submitted,
        issued: 0,
        bytes: 0,
        key: key(request, owner(request, task)),
    };
    follow(request, &pending);
}

/// `submits`: whether a request that nobody has told of is submitted by this.
#[inline(always)]
fn on_issue(request: &Request<Direct>, submits: bool) {
    let now = now();
    if let Some(pending) = BLOCK_REQUESTS.get_ptr_mut(&(request.0 as u64)) {
        // SAFETY: a live map value; a request is in one place at a time.
        unsafe {
            if (*pending).issued == 0 {
                (*pending).issued = now;
                return;
            }
        }
        // What has been issued already has ended unseen; the address has a new one.
    }
    let mut pending = Pending {
        submitted: 0,
        issued: now,
        bytes: 0,
        key: key(request, Owner::KERNEL),
    };
    // The kernel's own flushes are issued for those of others.
    if submits && pending.key.of.operation != Operation::Flush as u32 {
        pending.submitted = submitted_before(request, now);
        pending.key.owner = owner(request, &task());
    }
    follow(request, &pending);
}

#[inline(always)]
fn on_requeue(request: u64) {
    if let Some(pending) = BLOCK_REQUESTS.get_ptr_mut(&request) {
        // SAFETY: a live map value, as above.
        let of = unsafe {
            (*pending).issued = 0;
            (*pending).key.of
        };
        done::count_requeue(&of);
    }
}

#[inline(always)]
fn forget(request: u64) {
    let _ = BLOCK_REQUESTS.remove(&request);
}
