//! Where the states of threads live.
//!
//! [`Storage`] keeps them on the tasks (`BPF_MAP_TYPE_TASK_STORAGE`, in tracing programs since
//! kernel 5.12): found by one pointer, freed with the task, made where no lock of the scheduler is
//! held. Older kernels use [`Table`], a map by thread id.

use core::ptr::null;

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::generated::bpf_task_storage_get,
    macros::{btf_map, map},
    maps::HashMap,
};
use sonde_common::{
    event::sched::{DEAD, SLEEPS, THREADS as LIVE, Thread, Usage, Waits},
    fault::Fault,
};

use crate::{
    emit::fault,
    kernel::{Access, Direct, Probed, Task},
};

/// A map of values on tasks, which aya-ebpf doesn't offer: its definition as the loader reads it,
/// out of the types of its members.
#[repr(C)]
struct TaskStorage<T> {
    r#type: *const [i32; TASK_STORAGE],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; NO_PREALLOC],
}

const TASK_STORAGE: usize = 29;
const NO_PREALLOC: usize = 1;
const BPF_LOCAL_STORAGE_GET_F_CREATE: u64 = 1;

// SAFETY: a definition, whose pointers nobody follows.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    const fn new() -> Self {
        Self {
            r#type: null(),
            key: null(),
            value: null(),
            max_entries: null(),
            map_flags: null(),
        }
    }

    #[inline(always)]
    fn get(&self, task: &Task<Direct>, flags: u64) -> Option<*mut T> {
        // SAFETY: the map lives as long as the program; the verifier checks the task pointer.
        let value = unsafe {
            bpf_task_storage_get(
                core::ptr::from_ref(self).cast_mut().cast(),
                task.0.cast_mut().cast(),
                core::ptr::null_mut(),
                flags,
            )
        };
        (!value.is_null()).then_some(value.cast())
    }

    /// The value, made if there is none. When two CPUs make it at once, the kernel gives the second
    /// nothing, which then finds the first one's.
    #[inline(always)]
    fn get_or_new(&self, task: &Task<Direct>) -> Option<*mut T> {
        let value = self
            .get(task, BPF_LOCAL_STORAGE_GET_F_CREATE)
            .or_else(|| self.get(task, 0));
        if value.is_none() {
            fault(Fault::ThreadStateFull);
        }
        value
    }
}

/// States on the tasks.
#[btf_map]
static THREADS: TaskStorage<Thread> = TaskStorage::new();

/// What threads that have ended used, on the leaders of their groups.
#[btf_map]
static DEAD_THREADS: TaskStorage<Usage> = TaskStorage::new();

/// States by thread id. The agent makes it small where it isn't used.
#[map]
static THREAD_TABLE: HashMap<u32, Thread> = HashMap::with_max_entries(LIVE, 0);

/// What threads that have ended used, by process.
#[map]
static DEAD_TABLE: HashMap<u32, Usage> = HashMap::with_max_entries(DEAD, 0);

/// In read-only data: much of a program's stack.
static NEW: Thread = Thread {
    since: 0,
    queued: 0,
    excess: 0,
    sleep: 0,
    ended: 0,
    slept: [0; SLEEPS],
    udp: [0; 2],
    waits: Waits::EMPTY,
};
static NOTHING: Usage = Usage::EMPTY;

/// A store of thread states, with the way to read kernel memory that goes with it.
pub(crate) trait Store {
    /// How programs over this store read kernel memory.
    type Access: Access;

    /// The state of a thread, if it has one.
    fn find(task: &Task<Self::Access>) -> Option<*mut Thread>;
    /// A new state for a thread, all zero.
    fn create(task: &Task<Self::Access>) -> Option<*mut Thread>;
    /// Forgets a thread that has ended.
    fn remove(task: &Task<Self::Access>);
    /// What threads of a process used that have ended, by its leader.
    fn dead(leader: &Task<Self::Access>) -> Option<*mut Usage>;
    /// The same, made if there is none.
    fn dead_or_new(leader: &Task<Self::Access>) -> Option<*mut Usage>;
    /// Forgets what threads of a process used that have ended.
    fn bury(leader: &Task<Self::Access>);
}

/// States on the tasks.
pub(crate) enum Storage {}

/// States in a map by thread id.
pub(crate) enum Table {}

/// No states: for programs that can't name a task to the kernel.
pub(crate) enum Nowhere {}

impl Store for Storage {
    type Access = Direct;

    #[inline(always)]
    fn find(task: &Task<Direct>) -> Option<*mut Thread> {
        THREADS.get(task, 0)
    }

    #[inline(always)]
    fn create(task: &Task<Direct>) -> Option<*mut Thread> {
        THREADS.get_or_new(task)
    }

    #[inline(always)]
    fn remove(_: &Task<Direct>) {
        // Goes with its task.
    }

    #[inline(always)]
    fn dead(leader: &Task<Direct>) -> Option<*mut Usage> {
        DEAD_THREADS.get(leader, 0)
    }

    #[inline(always)]
    fn dead_or_new(leader: &Task<Direct>) -> Option<*mut Usage> {
        DEAD_THREADS.get_or_new(leader)
    }

    #[inline(always)]
    fn bury(_: &Task<Direct>) {
        // Goes with the leader.
    }
}

impl Store for Table {
    type Access = Direct;

    #[inline(always)]
    fn find(task: &Task<Direct>) -> Option<*mut Thread> {
        THREAD_TABLE.get_ptr_mut(&task.pid())
    }

    #[inline(always)]
    fn create(task: &Task<Direct>) -> Option<*mut Thread> {
        let tid = task.pid();
        // Whatever stands there is of another thread, which had the same id.
        let _ = THREAD_TABLE.insert(&tid, &NEW, 0);
        let thread = THREAD_TABLE.get_ptr_mut(&tid);
        if thread.is_none() {
            fault(Fault::ThreadStateFull);
        }
        thread
    }

    #[inline(always)]
    fn remove(task: &Task<Direct>) {
        let _ = THREAD_TABLE.remove(&task.pid());
    }

    #[inline(always)]
    fn dead(leader: &Task<Direct>) -> Option<*mut Usage> {
        DEAD_TABLE.get_ptr_mut(&leader.tgid())
    }

    #[inline(always)]
    fn dead_or_new(leader: &Task<Direct>) -> Option<*mut Usage> {
        let tgid = leader.tgid();
        if let Some(dead) = DEAD_TABLE.get_ptr_mut(&tgid) {
            return Some(dead);
        }
        // When another CPU is first this fails, and the look-up finds that one's.
        let _ = DEAD_TABLE.insert(&tgid, &NOTHING, BPF_NOEXIST.into());
        let dead = DEAD_TABLE.get_ptr_mut(&tgid);
        if dead.is_none() {
            fault(Fault::ThreadStateFull);
        }
        dead
    }

    #[inline(always)]
    fn bury(leader: &Task<Direct>) {
        let _ = DEAD_TABLE.remove(&leader.tgid());
    }
}

impl Store for Nowhere {
    type Access = Probed;

    #[inline(always)]
    fn find(_: &Task<Probed>) -> Option<*mut Thread> {
        None
    }

    #[inline(always)]
    fn create(_: &Task<Probed>) -> Option<*mut Thread> {
        None
    }

    #[inline(always)]
    fn remove(_: &Task<Probed>) {}

    #[inline(always)]
    fn dead(_: &Task<Probed>) -> Option<*mut Usage> {
        None
    }

    #[inline(always)]
    fn dead_or_new(_: &Task<Probed>) -> Option<*mut Usage> {
        None
    }

    #[inline(always)]
    fn bury(_: &Task<Probed>) {}
}
