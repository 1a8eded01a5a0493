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

/// If `*target == old` then `*target = new`; whether it was. Needs kernel 5.12.
#[inline(always)]
pub(crate) unsafe fn compare_exchange(target: *mut u64, old: u64, new: u64) -> bool {
    let mut seen = old;
    // SAFETY: the caller's pointer is a live, aligned map value; r0 is the instruction's
    // implicit operand.
    unsafe {
        asm!("r0 = cmpxchg_64({target} + 0, r0, {new})", target = in(reg) target, new = in(reg) new, inlateout("r0") seen, options(nostack));
    }
    seen == old
}

/// `*target = value`, after everything that was written before it. Stores keep their order here.
#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
pub(crate) unsafe fn store_release(target: *mut u64, value: u64) {
    // SAFETY: the caller's pointer is a live, aligned map value.
    unsafe {
        asm!("*(u64 *)({target} + 0) = {value}", target = in(reg) target, value = in(reg) value, options(nostack));
    }
}

/// `*target = value`, after everything that was written before it: an exchange is a full barrier.
/// Needs kernel 5.12.
#[cfg(not(bpf_target_arch = "x86_64"))]
#[inline(always)]
pub(crate) unsafe fn store_release(target: *mut u64, value: u64) {
    // SAFETY: the caller's pointer is a live, aligned map value.
    unsafe {
        asm!("{value} = xchg_64({target} + 0, {value})", target = in(reg) target, value = inout(reg) value => _, options(nostack));
    }
}
