//! The kernel side of sonde: one ELF with every probe family.
//!
//! Licensed MIT OR GPL-2.0: the verifier gives some helpers to GPL-compatible programs only.
#![no_std]
#![no_main]
// Inline assembly for BPF: atomic operations, which core doesn't offer for this target.
#![feature(asm_experimental_arch)]
#![expect(
    clippy::inline_always,
    reason = "the verifier follows values through one program, not through calls"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "registers are 64 bits wide, what stands in them is often less"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the attach macros hand the context over by value"
)]
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "map keys and values stay where they are: the stack has 512 bytes"
)]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "records and map values stand at multiples of 8"
)]

mod atomic;
mod connection;
mod current;
mod emit;
mod entry;
mod hist;
mod jump;
mod kernel;
mod probe;
mod regs;
mod scratch;
mod seq;
mod thread;

/// Checked by the kernel: GPL-only helpers are refused to programs without a compatible licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Unreachable: the verifier refuses a program from which a panic can be reached.
    loop {}
}
