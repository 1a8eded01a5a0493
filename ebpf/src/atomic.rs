//! Atomic operations on map values that several CPUs share.

use core::arch::asm;

/// `*target += value`. Kernel 5.8 knows it.
#[inline(always)]
pub(crate) unsafe fn add(target: *mut u64, value: u64) {
    // SAFETY: the caller's pointer is a live, aligned map value.
    unsafe {
        asm!("lock *(u64 *)({target} + 0) += {value}", target = in(reg) target, value = in(reg) value, options(nostack));
    }
}

/// `*target += value`, 32 bits wide. Kernel 5.8 knows it.
#[inline(always)]
pub(crate) unsafe fn add_word(target: *mut u32, value: u32) {
    // SAFETY: the caller's pointer is a live, aligned map value.
    unsafe {
        asm!("lock *(u32 *)({target} + 0) += {value}", target = in(reg) target, value = in(reg) u64::from(value), options(nostack));
    }
}

/// `*target += value`; what it was before. Needs kernel 5.12.
#[inline(always)]
pub(crate) unsafe fn fetch_add(target: *mut u64, value: u64) -> u64 {
    let mut before = value;
    // SAFETY: the caller's pointer is a live, aligned map value.
    unsafe {
        asm!("{before} = atomic_fetch_add((u64 *)({target} + 0), {before})", target = in(reg) target, before = inout(reg) before, options(nostack));
    }
    before
}
