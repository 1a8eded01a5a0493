//! What is never observed: the agent itself.

/// Thread group of the agent; set by it before the programs are loaded.
#[unsafe(no_mangle)]
static SELF_TGID: u32 = 0;

/// Whether this thread group is the agent.
#[inline(always)]
pub(crate) fn is_self(tgid: u32) -> bool {
    // SAFETY: a static of our own; volatile because the agent overwrites it before loading.
    tgid == unsafe { core::ptr::read_volatile(&raw const SELF_TGID) }
}
