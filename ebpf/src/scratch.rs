//! Memory of one CPU for what doesn't fit the 512 bytes of a program's stack.

use core::arch::asm;

use aya_ebpf::{macros::map, maps::PerCpuArray};

use crate::atomic;

/// Memory of one CPU that a program needs for itself for a while.
#[derive(Clone, Copy)]
pub(crate) enum Memory {
    /// The record of a system call.
    TaskRecord = 0,
    /// The record of a change of a socket's state.
    StateRecord = 1,
    /// The counters of system calls.
    SyscallCache = 2,
    /// The record of an exec.
    Exec = 3,
}

/// Programs that are using this CPU's [`Memory`].
#[map]
static BUSY: PerCpuArray<u64> = PerCpuArray::with_max_entries(4, 0);

/// The right to use one CPU's [`Memory`] until it is dropped.
///
/// Since kernel 7.0 programs of tracepoints stay on their CPU but can be preempted there, by
/// another task that runs the same program.
pub(crate) struct Claim(*mut u64);

impl Claim {
    /// Takes it, unless a program that was interrupted here has it.
    #[inline(always)]
    pub(crate) fn take(memory: Memory) -> Option<Self> {
        let users = BUSY.get_ptr_mut(memory as u32)?;
        // Counted first and looked at then: of two that come at once neither may get it, never
        // both.
        // SAFETY: a live map value. Volatile, because others change it.
        unsafe {
            atomic::add(users, 1);
            if users.read_volatile() != 1 {
                atomic::add(users, u64::MAX);
                return None;
            }
        }
        Some(Self(users))
    }
}

impl Drop for Claim {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: a live map value, to which one was added.
        unsafe { atomic::add(self.0, u64::MAX) };
    }
}

/// `value & MASK`, done where the compiler can't see it: it would drop a mask that it can prove
/// needless, and the verifier, which can't prove that, would refuse the access.
#[inline(always)]
pub(crate) fn bounded<const MASK: u32>(value: u32) -> usize {
    let mut value = u64::from(value);
    // SAFETY: changes a register of ours.
    unsafe {
        asm!("{value} &= {mask}", value = inout(reg) value, mask = const MASK, options(nostack, nomem, pure));
    }
    value as usize
}

/// The value of a place in a map's memory, of which the verifier then knows nothing. Paths on
/// which it differs are one to the verifier from there on; it would follow each to the end.
#[inline(always)]
pub(crate) fn forget<T: Copy>(place: &mut T) -> T {
    // SAFETY: a reference. Volatile, so that the compiler doesn't keep what it has just written.
    unsafe { core::ptr::from_mut(place).read_volatile() }
}

/// A word in a map's memory for [`forget`].
///
/// Sizes go through it on their way to a helper: the verifier must know a size exactly, and so
/// would follow everything that it was reckoned from, on every path.
#[derive(Clone, Copy)]
pub(crate) struct Word(*mut u32);

impl Word {
    /// A word that nothing else uses, in a live map value.
    #[inline(always)]
    pub(crate) const unsafe fn new(place: *mut u32) -> Self {
        Self(place)
    }

    /// The same value; see [`forget`].
    #[inline(always)]
    pub(crate) fn forget(self, value: u32) -> u32 {
        // SAFETY: as promised to `new`.
        unsafe {
            self.0.write_volatile(value);
            forget(&mut *self.0)
        }
    }
}

/// In which context a program runs: one may interrupt the other on the same CPU.
#[derive(Clone, Copy)]
pub(crate) enum Context {
    /// A system call.
    Task = 0,
    /// A change of a socket's state: a system call, or a softirq that interrupts one.
    State = 1,
}

impl Context {
    /// Where records are built.
    #[inline(always)]
    pub(crate) const fn record(self) -> Memory {
        match self {
            Self::Task => Memory::TaskRecord,
            Self::State => Memory::StateRecord,
        }
    }
}
