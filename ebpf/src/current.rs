//! Who is running: the current task, and whether it is the agent.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid,
    generated::{bpf_get_current_task, bpf_get_current_task_btf},
};

use crate::kernel::{Direct, Probed, Task};

/// Thread group of the agent, which is never observed; set by it before the programs are loaded.
#[unsafe(no_mangle)]
static SELF_TGID: u32 = 0;

/// A thread and its group (what user space calls the process).
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) tgid: u32,
    pub(crate) tid: u32,
}

impl Ids {
    /// Those of a task at hand, without a call.
    #[inline(always)]
    pub(crate) fn of(task: &Task<Direct>) -> Self {
        Self {
            tgid: task.tgid(),
            tid: task.pid(),
        }
    }

    /// Whether this thread group is the agent.
    #[inline(always)]
    pub(crate) fn are_own(self) -> bool {
        is_self(self.tgid)
    }
}

/// Whether this thread group is the agent.
#[inline(always)]
pub(crate) fn is_self(tgid: u32) -> bool {
    // SAFETY: a static of our own; volatile because the agent overwrites it before loading.
    tgid == unsafe { core::ptr::read_volatile(&raw const SELF_TGID) }
}

/// The current task, whose fields the verifier knows. Needs kernel 5.11.
#[inline(always)]
pub(crate) fn task() -> Task<Direct> {
    // SAFETY: the current task is always there.
    Task::new(unsafe { bpf_get_current_task_btf() } as *const u8)
}

/// The scheduler's clock as of this CPU's last look at it.
#[inline(always)]
pub(crate) fn clock() -> u64 {
    // SAFETY: the helper takes nothing and always succeeds.
    Task::<Probed>::new(unsafe { bpf_get_current_task() } as *const u8).clock()
}

/// Those of the current task.
#[inline(always)]
pub(crate) fn ids() -> Ids {
    let ids = bpf_get_current_pid_tgid();
    Ids {
        tgid: (ids >> 32) as u32,
        tid: ids as u32,
    }
}
