//! Jumps from program to program (`bpf_tail_call`): the verifier would give up on all of it in one.

use aya_ebpf::{EbpfContext, maps::ProgramArray};

/// Makes an array for each program that is jumped to, with its name in capitals, where the agent puts
/// it. One each, for the kernel wants all programs of an array to be attached in the same way.
macro_rules! targets {
    ($($name:ident),+ $(,)?) => {$(
        #[aya_ebpf::macros::map]
        static $name: aya_ebpf::maps::ProgramArray =
            aya_ebpf::maps::ProgramArray::with_max_entries(1, 0);
    )+};
}
pub(crate) use targets;

/// Goes on with a program, which takes nothing from this one but the context. Comes back when it
/// isn't there, or the kernel doesn't jump any more: it does 33 times.
#[inline(always)]
pub(crate) fn jump<C: EbpfContext>(ctx: &C, target: &ProgramArray) {
    // SAFETY: a program of the same type.
    unsafe { target.tail_call(ctx, 0) };
}
