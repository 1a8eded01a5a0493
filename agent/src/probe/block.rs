//! Block I/O: latency, bytes, errors, and whose requests they are.

use super::{Family, Hook};
use crate::kernel::{
    attach::{Attach, Condition},
    feature::Kernel,
};

/// The hook that begins what a device is measured by.
pub const ISSUE: &str = "block_rq_issue";
/// The hooks that tell who submits a request.
const START: &str = "block_io_start";
const INSERT: &str = "block_rq_insert";
const REQUEUE: &str = "block_rq_requeue";
const MERGE: &str = "block_rq_merge";
const COMPLETE: &str = "block_rq_complete";

const LOST: &str = "no block I/O latency, bytes by service or errors";

/// The family.
pub const FAMILY: Family = Family {
    name: "block",
    help: "block I/O: latency and errors by device and operation; bytes, operations and time by service",
    hooks: &[
        Hook {
            name: START,
            required: false,
            lost: "block I/O that the kernel queues has no service",
            any_of: &[
                Attach::tp_btf("block_start", START, tells_submissions),
                Attach::tp_btf("block_insert", INSERT, |kernel| {
                    lacks_submissions(kernel, INSERT, 1)
                }),
                Attach::tp_btf("block_insert_queue", INSERT, |kernel| {
                    lacks_submissions(kernel, INSERT, 2)
                }),
            ],
        },
        Hook {
            name: ISSUE,
            required: true,
            lost: LOST,
            any_of: &[
                Attach::tp_btf("block_issue", ISSUE, |kernel| {
                    tells_submissions(kernel)?;
                    passes(kernel, ISSUE, 1)
                }),
                Attach::tp_btf("block_issue_first", ISSUE, |kernel| {
                    lacks_submissions(kernel, ISSUE, 1)
                }),
                Attach::tp_btf("block_issue_queue", ISSUE, |kernel| {
                    lacks_submissions(kernel, ISSUE, 2)
                }),
            ],
        },
        Hook {
            name: REQUEUE,
            required: false,
            lost: "requests that a device gives back seem to be at the device meanwhile",
            any_of: &either(
                REQUEUE,
                ["block_requeue", "block_requeue_queue"],
                [
                    |kernel| passes(kernel, REQUEUE, 1),
                    |kernel| passes(kernel, REQUEUE, 2),
                ],
            ),
        },
        Hook {
            name: MERGE,
            required: false,
            lost: "requests that are merged into others seem to wait for a while",
            any_of: &either(
                MERGE,
                ["block_merge", "block_merge_queue"],
                [
                    |kernel| passes(kernel, MERGE, 1),
                    |kernel| passes(kernel, MERGE, 2),
                ],
            ),
        },
        Hook {
            name: COMPLETE,
            required: true,
            lost: LOST,
            any_of: &[Attach::tp_btf("block_complete", COMPLETE, |kernel| {
                kernel.has_tracepoint(COMPLETE)
            })],
        },
    ],
    maps: &[
        "BLOCK_REQUESTS",
        "BLOCK_LATENCY",
        "BLOCK_USAGE",
        "BLOCK_ERRORS",
    ],
};

/// The two forms of a tracepoint.
const fn either(
    name: &'static str,
    [one, two]: [&'static str; 2],
    [when_one, when_two]: [Condition; 2],
) -> [Attach; 2] {
    [
        Attach::tp_btf(one, name, when_one),
        Attach::tp_btf(two, name, when_two),
    ]
}

/// Since 6.5 there is a tracepoint that every request passes when it is made.
fn tells_submissions(kernel: &Kernel) -> Result<(), String> {
    if kernel.is_older() {
        return Err("not to be used".to_owned());
    }
    kernel.has_tracepoint(START)
}

/// Before, they are told when they are queued, or else issued.
fn lacks_submissions(kernel: &Kernel, name: &str, arguments: u32) -> Result<(), String> {
    if tells_submissions(kernel).is_ok() {
        return Err(format!("only used where {START} is missing (kernel 6.5)"));
    }
    passes(kernel, name, arguments)
}

/// These tracepoints pass the request alone since 5.11, its queue and the request before.
fn passes(kernel: &Kernel, name: &str, arguments: u32) -> Result<(), String> {
    kernel.has_tracepoint(name)?;
    let btf = kernel.btf.as_ref().ok();
    if btf.and_then(|btf| btf.tracepoint_arguments(name)) == Some(arguments) {
        Ok(())
    } else {
        Err(format!(
            "the tracepoint doesn't pass {arguments} arguments here"
        ))
    }
}
