//! Packets that the kernel drops.

use super::{Family, Hook};
use crate::kernel::{attach::Attach, feature::Kernel};

const DROP: &str = "kfree_skb";

/// The enumeration of the reasons.
pub const REASONS: &str = "skb_drop_reason";
/// The first of them that is a drop.
pub const FIRST_REASON: &str = "SKB_DROP_REASON_NOT_SPECIFIED";

/// The program that counts.
pub const PROGRAM: &str = "drop_packet";

/// The family.
pub const FAMILY: Family = Family {
    name: "drop",
    help: "packets that the kernel drops, by its reason",
    hooks: &[Hook {
        name: DROP,
        required: false,
        lost: "dropped packets have no reasons",
        any_of: &[Attach::tp_btf(PROGRAM, DROP, tells_reasons)],
    }],
    maps: &["DROPS"],
};

/// Since 5.17 the tracepoint passes the reason. Before, it comes for packets that weren't dropped as
/// well, and doesn't tell.
fn tells_reasons(kernel: &Kernel) -> Result<(), String> {
    kernel.has_tracepoint(DROP)?;
    if kernel.first_drop().is_none() {
        return Err(format!("{} has no {REASONS} (kernel 5.17)", kernel.release));
    }
    Ok(())
}
