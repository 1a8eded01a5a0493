//! Memory of one CPU for what doesn't fit the 512 bytes of a program's stack.

use core::arch::asm;

use aya_ebpf::{macros::map, maps::PerCpuArray};

use crate::atomic;

/// Programs that are using this CPU's [`Place::State`].
#[map]
static BUSY: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Where a program builds its records: memory of one CPU.
///
/// A program needs a place of its own, for another may interrupt it on the same CPU or, since
/// kernel 7.0, run in a task that preempts its own. With itself it shares the place safely: the
/// kernel doesn't start a program where a run of it has been interrupted or preempted. Before it
/// saw to that, in 6.1, changes of a socket's state could interrupt one another, so the programs of
/// [`Place::State`] claim it.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// Reads from a socket.
    Receive = 0,
    /// Writes to a socket.
    Send = 1,
    /// Looking after what waits.
    Sweep = 2,
    /// Changes of a socket's state: in a system call, or in a softirq that interrupts one.
    State = 3,
}

impl Place {
    /// How many there are.
    pub(crate) const COUNT: u32 = 4;
}

/// The right to use this CPU's [`Place::State`] until it is dropped.
pub(crate) struct Claim(*mut u64);

impl Claim {
    /// Takes it, unless a program that was interrupted here has it.
    #[inline(always)]
    pub(crate) fn take() -> Option<Self> {
        let users = BUSY.get_ptr_mut(0)?;
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

/// Copies `size` bytes between map values that have room for `BLOCKS` blocks of 32 bytes, of which
/// it copies whole ones: a third of what the helper costs.
#[inline(always)]
pub(crate) unsafe fn copy_blocks<const BLOCKS: u32>(from: *const u64, into: *mut u64, size: u32) {
    const WORDS: usize = 4;
    let mut block = 0;
    while block < BLOCKS && block * ((WORDS * size_of::<u64>()) as u32) < size {
        let mut word = block as usize * WORDS;
        while word < (block as usize + 1) * WORDS {
            // SAFETY: the caller's pointers. Volatile, or the compiler would call memcpy.
            unsafe {
                into.add(word).write_volatile(from.add(word).read_volatile());
            }
            word += 1;
        }
        block += 1;
    }
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
