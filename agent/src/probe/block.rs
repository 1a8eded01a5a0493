//! Block I/O latency.

use super::{Family, Hook};
use crate::kernel::{attach::Attach, feature::Kernel};

/// The hook that begins what is measured.
pub const ISSUE: &str = "block_rq_issue";

const LOST: &str = "no block I/O latency";

/// The family.
pub const FAMILY: Family = Family {
    name: "block",
    help: "block I/O latency by device and operation",
    hooks: &[
        Hook {
            name: ISSUE,
            required: true,
            lost: LOST,
            any_of: &[
                Attach::tp_btf("block_issue", ISSUE, |kernel| passes(kernel, 1)),
                Attach::tp_btf("block_issue_queue", ISSUE, |kernel| passes(kernel, 2)),
            ],
        },
        Hook {
            name: "block_rq_complete",
            required: true,
            lost: LOST,
            any_of: &[Attach::tp_btf(
                "block_complete",
                "block_rq_complete",
                |kernel| kernel.has_tracepoint("block_rq_complete"),
            )],
        },
    ],
    maps: &["BLOCK_ISSUED", "BLOCK_LATENCY"],
};

/// `block_rq_issue` passes the request alone since 5.11, its queue and the request before.
fn passes(kernel: &Kernel, arguments: u32) -> Result<(), String> {
    kernel.has_tracepoint(ISSUE)?;
    let here = kernel
        .btf
        .as_ref()
        .ok()
        .and_then(|btf| btf.tracepoint_arguments(ISSUE));
    if here == Some(arguments) {
        Ok(())
    } else {
        Err(format!(
            "the tracepoint doesn't pass {arguments} arguments here"
        ))
    }
}
