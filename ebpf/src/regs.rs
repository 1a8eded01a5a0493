//! The registers that a task entered the kernel with: system call number and arguments.
//!
//! `struct pt_regs` is part of the ABI, so the offsets are constants. At the end of a system call
//! number and arguments are still there; only the return value has been written.

use core::marker::PhantomData;

use aya_ebpf::helpers::generated::bpf_task_pt_regs;

use crate::kernel::{Access, Direct, Probed, Task};

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

/// Numbers of the calls that say what a thread waits for in them.
#[cfg(bpf_target_arch = "x86_64")]
pub(crate) mod wait {
    /// msync, fsync, fdatasync, sync, `sync_file_range`, syncfs
    pub(crate) const DISK: &[u32] = &[26, 74, 75, 162, 277, 306];
    /// poll, select, connect, accept, sendto, recvfrom, sendmsg, recvmsg, `epoll_wait`, pselect6,
    /// ppoll, `epoll_pwait`, accept4, recvmmsg, sendmmsg, `epoll_pwait2`
    pub(crate) const NETWORK: &[u32] = &[
        7, 23, 42, 43, 44, 45, 46, 47, 232, 270, 271, 281, 288, 299, 307, 441,
    ];
    /// futex, `futex_waitv`, `futex_wait`
    pub(crate) const LOCK: &[u32] = &[202, 449, 455];
    /// read, write, pread64, pwrite64, readv, writev, sendfile, splice, preadv2, pwritev2
    pub(crate) const DESCRIPTOR: &[u32] = &[0, 1, 17, 18, 19, 20, 40, 275, 327, 328];
}

/// Numbers of the calls that say what a thread waits for in them.
#[cfg(not(bpf_target_arch = "x86_64"))]
pub(crate) mod wait {
    /// sync, fsync, fdatasync, `sync_file_range`, msync, syncfs
    pub(crate) const DISK: &[u32] = &[81, 82, 83, 84, 227, 267];
    /// `epoll_pwait`, pselect6, ppoll, accept, connect, sendto, recvfrom, sendmsg, recvmsg, accept4,
    /// recvmmsg, sendmmsg, `epoll_pwait2`
    pub(crate) const NETWORK: &[u32] =
        &[22, 72, 73, 202, 203, 206, 207, 211, 212, 242, 243, 269, 441];
    /// futex, `futex_waitv`, `futex_wait`
    pub(crate) const LOCK: &[u32] = &[98, 449, 455];
    /// read, write, readv, writev, pread64, pwrite64, sendfile, splice, preadv2, pwritev2
    pub(crate) const DESCRIPTOR: &[u32] = &[63, 64, 65, 66, 67, 68, 71, 76, 286, 287];
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

/// How far above the bottom of a task's kernel stack its registers are, for kernels that don't tell
/// where they are (before 5.15); 0 on others. Set by the agent.
#[unsafe(no_mangle)]
static STACK_REGS: u32 = 0;

impl Regs<Direct> {
    /// Number and first argument of the system call that a task is in.
    #[inline(always)]
    pub(crate) fn call_of(task: &Task<Direct>) -> Option<(u32, u32)> {
        // SAFETY: a static of our own; volatile because the agent overwrites it before loading.
        let above = unsafe { core::ptr::read_volatile(&raw const STACK_REGS) };
        if above == 0 {
            let regs = Self::of(task);
            return Some((regs.number()?, regs.argument(0) as u32));
        }
        let regs = Regs::<Probed>::new(task.stack()?.wrapping_add(above as usize));
        Some((regs.number()?, regs.argument(0) as u32))
    }

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
