//! Who is running: the current task, and whether it is the agent.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_task_btf};

use crate::kernel::{Direct, Task};

/// Thread group of the agent, which is never observed; set by it before the programs are loaded.
#[unsafe(no_mangle)]
static SELF_TGID: u32 = 0;

/// Whether the current task's fields can be loaded (kernel 5.11); set by the agent.
#[unsafe(no_mangle)]
static TYPED_TASK: u32 = 0;

/// A thread and its group (what user space calls the process).
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) tgid: u32,
    pub(crate) tid: u32,
}

impl Ids {
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

/// Those of the current task. Two loads where that is possible: since 6.10 the pointer to the task
/// costs one more, the helper for the ids is called.
#[inline(always)]
pub(crate) fn ids() -> Ids {
    // SAFETY: a static of our own; volatile because the agent overwrites it before loading.
    if unsafe { core::ptr::read_volatile(&raw const TYPED_TASK) } == 0 {
        let ids = bpf_get_current_pid_tgid();
        return Ids {
            tgid: (ids >> 32) as u32,
            tid: ids as u32,
        };
    }
    // SAFETY: the current task is always there; the verifier knows its type.
    let task = Task::<Direct>::new(unsafe { bpf_get_current_task_btf() } as *const u8);
    Ids {
        tgid: task.tgid(),
        tid: task.pid(),
    }
}
