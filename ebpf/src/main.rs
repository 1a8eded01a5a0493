//! The kernel side of sonde: one ELF with every probe family.
//!
//! Licensed MIT OR GPL-2.0: the verifier gives some helpers to GPL-compatible programs only.
#![no_std]
#![no_main]
// Inline assembly for BPF: atomic operations, which core doesn't offer for this target.
#![feature(asm_experimental_arch)]

mod atomic;
mod connection;
mod emit;
mod filter;
mod hist;
mod kernel;
mod probe;
mod regs;
mod scratch;

/// Checked by the kernel: GPL-only helpers are refused to programs without a compatible licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Unreachable: the verifier refuses a program from which a panic can be reached.
    loop {}
}
