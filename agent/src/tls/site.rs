//! Where in a function its breakpoints go.
//!
//! A uprobe executes the instruction that it has replaced: the kernel emulates a few kinds
//! (`arch/x86/kernel/uprobes.c`: `push` of a register, relative jumps and calls), and single-steps
//! all others. A step takes a debug exception, which a virtual machine hands to its host: measured on
//! one, 10,400 ns for entry and return of a function that begins with `sub`, 900 ns where the
//! breakpoint is on a `push`. So a breakpoint goes to the first emulated instruction of a function
//! at which arguments and stack are still as at its entry; else to the entry.

/// A place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// Address of the instruction.
    pub(super) address: u64,
    /// Whether the kernel emulates it.
    pub(super) emulated: bool,
}

/// What the code does between its entry and the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Convention {
    /// System V: so many arguments in registers.
    C(usize),
    /// Go's: it looks first whether the stack has room, and begins anew when it has got more.
    Go,
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{entry, first_call, returns};

#[cfg(target_arch = "aarch64")]
pub(super) use arm::{entry, first_call, returns};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use iced_x86::{
        Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess,
        Register,
    };

    use super::{Convention, Site};

    /// Instructions of a beginning that are looked at.
    const BEGINNING: usize = 24;

    /// Registers of arguments, in their order: System V ABI for AMD64, 3.2.3.
    const C_ARGUMENTS: [Register; 6] = [
        Register::RDI,
        Register::RSI,
        Register::RDX,
        Register::RCX,
        Register::R8,
        Register::R9,
    ];
    /// The first ones of Go's (`abi-internal.md`), with the one that holds the goroutine.
    const GO_ARGUMENTS: [Register; 5] = [
        Register::RAX,
        Register::RBX,
        Register::RCX,
        Register::RDI,
        Register::R14,
    ];

    fn decoder(code: &[u8], address: u64) -> Decoder<'_> {
        Decoder::with_ip(64, code, address, DecoderOptions::NONE)
    }

    /// The best place for a breakpoint that sees the function's arguments, and its return address
    /// on top of the stack. `code` is the function's.
    pub(in crate::tls) fn entry(code: &[u8], address: u64, convention: Convention) -> Site {
        let arguments = match convention {
            Convention::C(count) => &C_ARGUMENTS[..count.min(C_ARGUMENTS.len())],
            Convention::Go => &GO_ARGUMENTS,
        };
        let emulated = later(code, address, convention, arguments)
            .filter(|site| *site == address || !is_jumped_to(code, address, *site));
        Site {
            address: emulated.unwrap_or(address),
            emulated: emulated.is_some(),
        }
    }

    /// The first emulated instruction that is reached with everything as at the entry.
    fn later(
        code: &[u8],
        address: u64,
        convention: Convention,
        arguments: &[Register],
    ) -> Option<u64> {
        let mut effects = InstructionInfoFactory::new();
        for instruction in decoder(code, address).iter().take(BEGINNING) {
            // The stack's check has a way back to the entry: what is behind it happens once.
            let grows = convention == Convention::Go && is_forward_branch(&instruction);
            if is_emulated(&instruction) && !grows {
                return Some(instruction.ip());
            }
            let goes_on = grows || instruction.flow_control() == FlowControl::Next;
            if !goes_on || changes(&mut effects, &instruction, arguments) {
                return None;
            }
        }
        None
    }

    /// `push_setup_xol_ops` and `branch_setup_xol_ops` of the kernel.
    fn is_emulated(instruction: &Instruction) -> bool {
        match instruction.code() {
            Code::Push_r64 => instruction.len() <= 2,
            Code::Jmp_rel8_64 | Code::Jmp_rel32_64 | Code::Call_rel32_64 => true,
            _ => instruction.is_jcc_short_or_near(),
        }
    }

    fn is_forward_branch(instruction: &Instruction) -> bool {
        instruction.is_jcc_short_or_near() && instruction.near_branch_target() > instruction.ip()
    }

    /// Whether it writes to an argument or to the stack pointer.
    fn changes(
        effects: &mut InstructionInfoFactory,
        instruction: &Instruction,
        arguments: &[Register],
    ) -> bool {
        let registers = effects.info(instruction).used_registers();
        registers.iter().any(|used| {
            let full = used.register().full_register();
            writes(used.access()) && (full == Register::RSP || arguments.contains(&full))
        })
    }

    fn writes(access: OpAccess) -> bool {
        matches!(
            access,
            OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
        )
    }

    /// Whether some jump of the function leads past its entry to `site` or before it.
    fn is_jumped_to(code: &[u8], address: u64, site: u64) -> bool {
        decoder(code, address).iter().any(|instruction| {
            let jumps = matches!(
                instruction.flow_control(),
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
            );
            jumps && (address + 1..=site).contains(&instruction.near_branch_target())
        })
    }

    /// The addresses of all returns of a function; `None` where the code can't be read to its end.
    pub(in crate::tls) fn returns(code: &[u8], address: u64) -> Option<Vec<u64>> {
        let mut found = Vec::new();
        for instruction in &mut decoder(code, address) {
            if instruction.is_invalid() {
                return None;
            }
            if instruction.flow_control() == FlowControl::Return {
                found.push(instruction.ip());
            }
        }
        Some(found)
    }

    /// The function that is called first, with the first three arguments as they were: the third may
    /// have been widened from an `int`.
    pub(in crate::tls) fn first_call(code: &[u8], address: u64) -> Option<u64> {
        let mut effects = InstructionInfoFactory::new();
        for instruction in decoder(code, address).iter().take(BEGINNING) {
            if instruction.code() == Code::Call_rel32_64 {
                return Some(instruction.near_branch_target());
            }
            let widens = instruction.code() == Code::Movsxd_r64_rm32
                && instruction.op0_register() == Register::RDX
                && instruction.op1_register() == Register::EDX;
            let goes_on =
                instruction.flow_control() == FlowControl::Next || is_forward_branch(&instruction);
            let arguments = &C_ARGUMENTS[..3];
            let mut stack_aside = effects.info(&instruction).used_registers().iter();
            let changed = stack_aside.any(|used| {
                writes(used.access()) && arguments.contains(&used.register().full_register())
            });
            if !goes_on || (changed && !widens) {
                return None;
            }
        }
        None
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::{Convention, Site};

    /// Bytes of an instruction.
    const WIDTH: usize = 4;
    /// `ret x30`: Arm Architecture Reference Manual, C6.2.
    const RET: u32 = 0xd65f_03c0;

    /// The entry: what the kernel simulates here is hardly ever found at the front of a function.
    pub(in crate::tls) fn entry(_: &[u8], address: u64, _: Convention) -> Site {
        Site {
            address,
            emulated: false,
        }
    }

    /// The addresses of all returns of a function.
    pub(in crate::tls) fn returns(code: &[u8], address: u64) -> Option<Vec<u64>> {
        let places = (address..).step_by(WIDTH).zip(code.chunks_exact(WIDTH));
        let returns = places.filter(|(_, bytes)| **bytes == RET.to_le_bytes());
        Some(returns.map(|(place, _)| place).collect())
    }

    /// Not looked for: nothing is gained by it.
    pub(in crate::tls) fn first_call(_: &[u8], _: u64) -> Option<u64> {
        None
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
