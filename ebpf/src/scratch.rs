//! What makes memory outside a program's 512 bytes of stack usable to the verifier.

use core::arch::asm;

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

/// Loads from any address, which compilers make of single bytes, and the machine does at once.
pub(crate) mod unaligned {
    use core::arch::asm;

    /// Four bytes.
    #[inline(always)]
    pub(crate) unsafe fn word(place: *const u8) -> u32 {
        let value: u64;
        // SAFETY: the caller's place has as many bytes.
        unsafe {
            asm!("{value} = *(u32 *)({place} + 0)", place = in(reg) place, value = out(reg) value, options(nostack, readonly));
        }
        value as u32
    }

    /// Eight bytes.
    #[inline(always)]
    pub(crate) unsafe fn words(place: *const u8) -> u64 {
        let value: u64;
        // SAFETY: the caller's place has as many bytes.
        unsafe {
            asm!("{value} = *(u64 *)({place} + 0)", place = in(reg) place, value = out(reg) value, options(nostack, readonly));
        }
        value
    }
}

/// Eight bytes in a word, the first in the lowest one.
pub(crate) mod word {
    /// The same byte eight times.
    pub(crate) const fn each(byte: u8) -> u64 {
        0x0101_0101_0101_0101 * byte as u64
    }

    /// Sets the highest bit of the lowest byte that is zero, and perhaps of higher ones; 0 when none
    /// is.
    #[inline(always)]
    pub(crate) const fn zeros(bytes: u64) -> u64 {
        bytes.wrapping_sub(each(1)) & !bytes & each(0x80)
    }

    /// Which byte the lowest of such bits is in; 0 when there is none.
    #[inline(always)]
    pub(crate) const fn index(bits: u64) -> u64 {
        // The bit, at the bottom of its byte, moves the byte with its number to the top.
        let bit = (bits & bits.wrapping_neg()) >> 7;
        bit.wrapping_mul(0x0001_0203_0405_0607) >> 56
    }
}
