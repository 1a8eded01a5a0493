//! What tasks and processes have used: the kernel's own accounts.

use sonde_common::field::{ABSENT, Field};

use super::{Access, Memory, Probed, Signal, Structure, Task, probe};

/// Place of the bit `in_iowait` in `task_struct`, in bits; set by the agent.
#[unsafe(no_mangle)]
static IN_IOWAIT: u32 = ABSENT;

/// Getters of whole numbers that are 0 where the kernel doesn't keep them.
macro_rules! numbers {
    ($object:ident: $($(#[$doc:meta])* $getter:ident = $field:ident as $type:ty;)+) => {
        impl<A: Access> $object<A> {
            $(
                $(#[$doc])*
                #[inline(always)]
                pub(crate) fn $getter(&self) -> $type {
                    self.get(Field::$field).unwrap_or(0)
                }
            )+
        }
    };
}

numbers! {
    Task:
    /// Nanoseconds on a CPU.
    runtime = TaskRuntime as u64;
    /// Nanoseconds that it waited for one.
    run_delay = TaskRunDelay as u64;
    /// When it last got a CPU, on the scheduler's clock.
    last_arrival = TaskLastArrival as u64;
    /// Since when it waits for a CPU, on the scheduler's clock; 0 when it doesn't.
    last_queued = TaskLastQueued as u64;
    /// Nanoseconds in user mode, as the tick samples them.
    user_time = TaskUtime as u64;
    /// Nanoseconds in the kernel, as the tick samples them.
    system_time = TaskStime as u64;
    /// Page faults without I/O.
    minor_faults = TaskMinFlt as u64;
    /// Page faults with I/O.
    major_faults = TaskMajFlt as u64;
    /// Context switches to sleep.
    voluntary_switches = TaskNvcsw as u64;
    /// Other context switches.
    involuntary_switches = TaskNivcsw as u64;
    /// Bytes read from storage.
    read_bytes = TaskReadBytes as u64;
    /// Bytes for storage.
    write_bytes = TaskWriteBytes as u64;
    /// `PF_*`
    flags = TaskFlags as u32;
    /// `EXIT_*`; 0 while it lives.
    exit_state = TaskExitState as u32;
    /// Start on the monotonic clock, nanoseconds.
    monotonic_start = TaskStartTime as u64;
}

numbers! {
    Signal:
    /// Threads.
    threads = SignalThreads as u32;
    /// Most descriptors that may be open.
    descriptor_limit = SignalDescriptorLimit as u64;
}

impl<A: Access> Memory<A> {
    /// Resident pages. The kernel's counters are each CPU's own for some pages; a sum that is
    /// negative for a moment is none. Read through a helper: before 6.2 they are an array of a type
    /// that the verifier doesn't look through.
    #[inline(always)]
    pub(crate) fn resident(&self) -> u64 {
        let mut pages = 0;
        for field in [Field::MmFilePages, Field::MmAnonPages, Field::MmShmemPages] {
            let count: i64 = probe(self.0, field).unwrap_or(0);
            if count > 0 {
                pages += count as u64;
            }
        }
        pages
    }

    /// Pages of address space.
    #[inline(always)]
    pub(crate) fn size(&self) -> u64 {
        self.get(Field::MmTotalVm).unwrap_or(0)
    }
}

impl<A: Access> Task<A> {
    /// Whether it is the leader of its thread group.
    #[inline(always)]
    pub(crate) fn is_leader(&self) -> bool {
        self.pid() == self.tgid()
    }

    /// The leader of its thread group.
    #[inline(always)]
    pub(crate) fn leader(&self) -> Option<Self> {
        self.relative(Field::TaskGroupLeader)
    }

    /// The scheduler's clock as of the last time that the task's CPU looked at it: at every switch, and
    /// at the tick of one that is busy.
    #[inline(always)]
    pub(crate) fn clock(&self) -> u64 {
        self.pointer(Field::TaskCfsRq)
            .and_then(|fair| Structure::<A>::new(fair).follow(Field::CfsRqRq))
            .and_then(|queue| queue.get(Field::RqClock))
            .unwrap_or(0)
    }

    /// What the threads of its process share.
    #[inline(always)]
    pub(crate) fn signal(&self) -> Option<Signal<A>> {
        self.pointer(Field::TaskSignal).map(Signal::new)
    }

    /// Its address space; the kernel's own threads have none, nor have tasks that are gone.
    #[inline(always)]
    pub(crate) fn memory(&self) -> Option<Memory<A>> {
        self.pointer(Field::TaskMm).map(Memory::new)
    }

    /// Whether it sleeps and still stands in a CPU's queue.
    #[inline(always)]
    pub(crate) fn is_delayed(&self) -> bool {
        self.get::<u8>(Field::TaskSchedDelayed).unwrap_or(0) != 0
    }

    /// Whether it has a CPU.
    #[inline(always)]
    pub(crate) fn is_on_cpu(&self) -> bool {
        self.get::<u32>(Field::TaskOnCpu).unwrap_or(0) != 0
    }

    /// Whether the kernel itself runs it.
    #[inline(always)]
    pub(crate) fn is_kernel_thread(&self) -> bool {
        const PF_KTHREAD: u32 = 0x0020_0000;
        self.flags() & PF_KTHREAD != 0
    }

    /// Whether it is about to end or has ended.
    #[inline(always)]
    pub(crate) fn is_ending(&self) -> bool {
        const PF_EXITING: u32 = 0x0000_0004;
        self.flags() & PF_EXITING != 0
    }

    /// Whether it sleeps for storage (`io_schedule`).
    #[inline(always)]
    pub(crate) fn waits_for_io(&self) -> bool {
        // SAFETY: a static of our own; volatile because the agent overwrites it before loading.
        let bit = unsafe { core::ptr::read_volatile(&raw const IN_IOWAIT) };
        if bit == ABSENT {
            return false;
        }
        // SAFETY: the place is that of the bit in this kernel's own description.
        let byte: u8 = unsafe { A::load(self.0, bit as usize / 8) }.unwrap_or(0);
        byte & (1 << (bit % 8)) != 0
    }

    /// Bottom of its kernel stack.
    #[inline(always)]
    pub(crate) fn stack(&self) -> Option<*const u8> {
        self.pointer(Field::TaskStack)
    }

    /// Open descriptors; `None` where there are more than is worth to count.
    #[inline(always)]
    pub(crate) fn open_descriptors(&self) -> Option<u32> {
        /// Words that are read at once, and how often: 65,536 descriptors.
        const WORDS: usize = 8;
        const READS: usize = 128;
        let table = self.descriptors()?;
        let limit: u32 = table.get(Field::FdtableMaxFds)?;
        let bits: *const u8 = table.get(Field::FdtableOpenFds)?;
        // Tables have a power of two of descriptors, 64 at least.
        let words = (limit / 64) as usize;
        if words > WORDS * READS {
            return None;
        }
        let mut open = 0;
        let mut read = 0;
        while read < READS * WORDS && read < words {
            // SAFETY: the helper checks the address.
            let chunk: [u64; WORDS] =
                unsafe { Probed::load(bits, read * size_of::<u64>()) }.unwrap_or([0; WORDS]);
            let mut index = 0;
            while index < WORDS {
                if read + index < words {
                    open += ones(chunk[index]);
                }
                index += 1;
            }
            read += WORDS;
        }
        Some(open)
    }
}

/// Bits that are set: BPF has no instruction for it.
#[inline(always)]
fn ones(word: u64) -> u32 {
    let pairs = word - ((word >> 1) & 0x5555_5555_5555_5555);
    let fours = (pairs & 0x3333_3333_3333_3333) + ((pairs >> 2) & 0x3333_3333_3333_3333);
    let eights = (fours + (fours >> 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    (eights.wrapping_mul(0x0101_0101_0101_0101) >> 56) as u32
}
