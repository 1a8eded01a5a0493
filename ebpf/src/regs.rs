//! The registers that a task entered the kernel with: system call number and arguments.
//!
//! `struct pt_regs` is part of the ABI, so the offsets are constants. At the end of a system call
//! number and arguments are still there; only the return value has been written.

use core::marker::PhantomData;

use aya_ebpf::helpers::generated::bpf_task_pt_regs;

use crate::kernel::{Access, Direct, Task};

/// Numbers of the calls by which bytes get into and out of a socket.
#[cfg(bpf_target_arch = "x86_64")]
pub(crate) mod number {
    pub(crate) const READ: u32 = 0;
    pub(crate) const WRITE: u32 = 1;
    pub(crate) const READV: u32 = 19;
    pub(crate) const WRITEV: u32 = 20;
    pub(crate) const SENDFILE: u32 = 40;
    pub(crate) const SENDTO: u32 = 44;
    pub(crate) const RECVFROM: u32 = 45;
    pub(crate) const SENDMSG: u32 = 46;
    pub(crate) const RECVMSG: u32 = 47;
    pub(crate) const SPLICE: u32 = 275;
    pub(crate) const RECVMMSG: u32 = 299;
    pub(crate) const SENDMMSG: u32 = 307;
    pub(crate) const PREADV2: u32 = 327;
    pub(crate) const PWRITEV2: u32 = 328;
    pub(crate) const IO_URING_ENTER: u32 = 426;
}

/// Numbers of the calls by which bytes get into and out of a socket.
#[cfg(not(bpf_target_arch = "x86_64"))]
pub(crate) mod number {
    pub(crate) const READ: u32 = 63;
    pub(crate) const WRITE: u32 = 64;
    pub(crate) const READV: u32 = 65;
    pub(crate) const WRITEV: u32 = 66;
    pub(crate) const SENDFILE: u32 = 71;
    pub(crate) const SPLICE: u32 = 76;
    pub(crate) const SENDTO: u32 = 206;
    pub(crate) const RECVFROM: u32 = 207;
    pub(crate) const SENDMSG: u32 = 211;
    pub(crate) const RECVMSG: u32 = 212;
    pub(crate) const RECVMMSG: u32 = 243;
    pub(crate) const SENDMMSG: u32 = 269;
    pub(crate) const PREADV2: u32 = 286;
    pub(crate) const PWRITEV2: u32 = 287;
    pub(crate) const IO_URING_ENTER: u32 = 426;
}

/// `struct pt_regs`
pub(crate) struct Regs<A>(*const u8, PhantomData<A>);

impl<A: Access> Regs<A> {
    /// Wraps a pointer that the kernel gave.
    #[inline(always)]
    pub(crate) fn new(pointer: *const u8) -> Self {
        Self(pointer, PhantomData)
    }

    #[inline(always)]
    fn get<T: Copy>(&self, offset: usize) -> Option<T> {
        // SAFETY: the offsets below are the ABI's.
        unsafe { A::load(self.0, offset) }
    }
}

impl Regs<Direct> {
    /// Those of a task. Needs kernel 5.15.
    #[inline(always)]
    pub(crate) fn of(task: &Task<Direct>) -> Self {
        // SAFETY: the kernel's pointer; the verifier knows its type.
        Self::new(unsafe { bpf_task_pt_regs(task.0.cast_mut().cast()) } as *const u8)
    }
}

#[cfg(bpf_target_arch = "x86_64")]
impl<A: Access> Regs<A> {
    /// System call number; `None` outside of a call, and for 32-bit programs, whose numbers
    /// mean other calls.
    #[inline(always)]
    pub(crate) fn number(&self) -> Option<u32> {
        const ORIG_AX: usize = 120;
        const CS: usize = 136;
        const USER_CS: u64 = 0x33;
        let number: i64 = self.get(ORIG_AX)?;
        let cs: u64 = self.get(CS)?;
        (number >= 0 && cs == USER_CS).then_some(number as u32)
    }

    /// The register in which Go keeps the goroutine.
    #[inline(always)]
    pub(crate) fn goroutine(&self) -> u64 {
        const R14: usize = 8;
        self.get(R14).unwrap_or(0)
    }

    /// Argument 0 to 3.
    #[inline(always)]
    pub(crate) fn argument(&self, index: usize) -> u64 {
        // di, si, dx, r10
        const OFFSETS: [usize; 4] = [112, 104, 96, 56];
        self.get(OFFSETS[index & 3]).unwrap_or(0)
    }
}

#[cfg(not(bpf_target_arch = "x86_64"))]
impl<A: Access> Regs<A> {
    /// System call number; `None` outside of a call, and for 32-bit programs, whose numbers
    /// mean other calls.
    #[inline(always)]
    pub(crate) fn number(&self) -> Option<u32> {
        const PSTATE: usize = 264;
        const SYSCALLNO: usize = 280;
        const MODE32: u64 = 0x10;
        let number: i32 = self.get(SYSCALLNO)?;
        let state: u64 = self.get(PSTATE)?;
        (number >= 0 && state & MODE32 == 0).then_some(number as u32)
    }

    /// The register in which Go keeps the goroutine.
    #[inline(always)]
    pub(crate) fn goroutine(&self) -> u64 {
        const X28: usize = 28 * 8;
        self.get(X28).unwrap_or(0)
    }

    /// Argument 0 to 3.
    #[inline(always)]
    pub(crate) fn argument(&self, index: usize) -> u64 {
        const ORIG_X0: usize = 272;
        let offset = if index == 0 { ORIG_X0 } else { (index & 3) * 8 };
        self.get(offset).unwrap_or(0)
    }
}
