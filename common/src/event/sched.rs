//! Where the time of threads goes: on a CPU, waiting for one, asleep and for what.
//!
//! Time on a CPU and time runnable are the scheduler's own sums (`se.sum_exec_runtime`,
//! `sched_info.run_delay`), exact and there without a program. What programs add is what a thread
//! sleeps for, and how its waits for a CPU are distributed.

use crate::{hist, pod};

/// Threads that have states where these don't live on the tasks.
pub const THREADS: u32 = 8_192;
/// Processes of which threads have ended, where their sums don't live on the tasks.
pub const DEAD: u32 = 1_024;

/// Mark of a sleep in which the thread was moved to another CPU's queue: the scheduler counts it as a
/// wait from there on, to its end (6.12).
pub const MOVED: u32 = 1 << 31;

/// What a thread sleeps for.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sleep {
    /// Timers, pipes, children, anything else.
    Other = 0,
    /// Storage.
    Disk = 1,
    /// A socket, or descriptors that are polled.
    Network = 2,
    /// A futex.
    Lock = 3,
}

/// Number of [`Sleep`]s.
pub const SLEEPS: usize = 4;

impl Sleep {
    /// All of them, by number.
    pub const ALL: [Self; SLEEPS] = [Self::Other, Self::Disk, Self::Network, Self::Lock];
}

/// Buckets of [`Waits`].
pub const WAIT_BUCKETS: usize = 28;
/// Which bucket of a [`hist::Log2`] is the first of [`Waits`]; smaller ones are part of it.
pub const FIRST_WAIT_BUCKET: usize = 9;

/// How long a thread waited for a CPU each time, log2 of nanoseconds: a small [`hist::Log2`], since
/// there is one for each thread. The first bucket has what is under 1,024 ns, the last one what is
/// over a minute.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Exact sum of the values.
    pub sum: u64,
    /// Values per bucket; they wrap.
    pub buckets: [u32; WAIT_BUCKETS],
}

impl Waits {
    /// No values.
    pub const EMPTY: Self = Self {
        sum: 0,
        buckets: [0; WAIT_BUCKETS],
    };

    /// The bucket that counts `value`.
    #[expect(
        clippy::inline_always,
        reason = "calls in BPF are limited in depth and stack"
    )]
    #[inline(always)]
    #[must_use]
    pub fn bucket(value: u64) -> usize {
        let bucket = hist::bucket(value);
        if bucket < FIRST_WAIT_BUCKET {
            0
        } else if bucket - FIRST_WAIT_BUCKET < WAIT_BUCKETS {
            bucket - FIRST_WAIT_BUCKET
        } else {
            WAIT_BUCKETS - 1
        }
    }
}

/// What programs keep of a thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// When it last left its CPU, on the scheduler's clock; 0 before it has had one.
    pub since: u64,
    /// The scheduler's sum of its waits, as far as they are sorted out.
    pub queued: u64,
    /// Nanoseconds of these that it slept: see [`MOVED`].
    pub excess: u64,
    /// What it left its CPU for: a [`Sleep`], and [`MOVED`].
    pub sleep: u32,
    /// The thread has ended: 1 where what it used is part of what its process's dead threads used, 2 for
    /// a leader, whose sums stay where they are.
    pub ended: u32,
    /// Nanoseconds asleep, by [`Sleep`].
    pub slept: [u64; SLEEPS],
    /// Bytes of UDP that it received and sent, by [`Direction`](super::http::Direction).
    pub udp: [u64; 2],
    /// Its waits for a CPU.
    pub waits: Waits,
}

/// What a thread, or a process, has used so far.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Nanoseconds on a CPU.
    pub cpu: u64,
    /// Of these in user mode, as sampled by the tick.
    pub user: u64,
    /// Of these in the kernel, as sampled by the tick.
    pub system: u64,
    /// Nanoseconds runnable without a CPU.
    pub queued: u64,
    /// Nanoseconds asleep, by [`Sleep`].
    pub slept: [u64; SLEEPS],
    /// Page faults without I/O.
    pub minor_faults: u64,
    /// Page faults with I/O.
    pub major_faults: u64,
    /// Times that it left its CPU to sleep.
    pub voluntary_switches: u64,
    /// Times that it was made to leave its CPU.
    pub involuntary_switches: u64,
    /// Bytes that it made the block layer read.
    pub read_bytes: u64,
    /// Bytes that it made dirty, or wrote past the page cache.
    pub write_bytes: u64,
    /// Bytes of UDP that it received and sent, by [`Direction`](super::http::Direction).
    pub udp: [u64; 2],
    /// Waits for a CPU.
    pub waits: Waits,
}

impl Usage {
    /// Nothing.
    pub const EMPTY: Self = Self {
        cpu: 0,
        user: 0,
        system: 0,
        queued: 0,
        slept: [0; SLEEPS],
        minor_faults: 0,
        major_faults: 0,
        voluntary_switches: 0,
        involuntary_switches: 0,
        read_bytes: 0,
        write_bytes: 0,
        udp: [0; 2],
        waits: Waits::EMPTY,
    };
}

/// What the reading of all tasks says of one.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Start of the process: the kernel's `start_boottime` in nanoseconds.
    pub start_time: u64,
    /// Thread group.
    pub tgid: u32,
    /// 1 for the leader of the group, which [`Process`] follows.
    pub is_leader: u32,
    /// What the thread has used; the leader's has what threads used that have ended as well, as far as
    /// the programs were there.
    pub usage: Usage,
}

/// What belongs to a process as a whole; follows its leader's [`Task`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Resident pages.
    pub resident: u64,
    /// Pages of address space.
    pub size: u64,
    /// Most descriptors that it may have open.
    pub descriptor_limit: u64,
    /// Open descriptors; [`UNKNOWN_DESCRIPTORS`] where there are too many to count.
    pub descriptors: u32,
    /// Threads.
    pub threads: u32,
    /// `__state | exit_state` of the leader.
    pub state: u32,
    /// 1 for what the kernel itself runs.
    pub is_kernel: u32,
}

/// Value of [`Process::descriptors`] where they were not counted.
pub const UNKNOWN_DESCRIPTORS: u32 = u32::MAX;

const _: () = assert!(size_of::<Waits>() == 120);
const _: () = assert!(size_of::<Thread>() == 32 + 48 + 120);
const _: () = assert!(size_of::<Usage>() == 16 * 8 + 120);
const _: () = assert!(size_of::<Task>() == 16 + size_of::<Usage>());
const _: () = assert!(size_of::<Process>() == 40);

pod!(Waits, Thread, Usage, Task, Process);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_the_large_histogram() {
        assert_eq!(Waits::bucket(0), 0);
        assert_eq!(Waits::bucket(1023), 0);
        assert_eq!(Waits::bucket(1024), 1);
        assert_eq!(Waits::bucket(1 << 35), WAIT_BUCKETS - 2);
        assert_eq!(Waits::bucket(1 << 36), WAIT_BUCKETS - 1);
        assert_eq!(Waits::bucket(u64::MAX), WAIT_BUCKETS - 1);
    }
}
