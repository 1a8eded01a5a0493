//! Typed getters of kernel structures: the only file that knows offsets.
//!
//! A program attached as `tp_btf` may load through the kernel's typed pointers ([`Direct`]); one
//! attached as `raw_tp` must ask a helper to read ([`Probed`]). Programs are written once over
//! [`Access`] and instantiated for both.

use core::marker::PhantomData;

use aya_ebpf::helpers::{
    bpf_probe_read_kernel,
    generated::{bpf_probe_read_kernel as read_kernel, bpf_skc_to_tcp_sock},
};
use sonde_common::{
    event::http::Tuple,
    field::{self, Field},
};

/// Byte offsets by [`Field`], resolved by the agent in the running kernel's BTF.
#[unsafe(no_mangle)]
static OFFSETS: [u32; field::COUNT] = [field::ABSENT; field::COUNT];

/// Offset of a field; the verifier knows it as a constant and prunes what depends on it.
#[inline(always)]
fn offset(field: Field) -> Option<usize> {
    // SAFETY: a static of our own; volatile because the agent overwrites it before loading.
    let offset = unsafe { core::ptr::read_volatile(&raw const OFFSETS[field as usize]) };
    (offset != field::ABSENT).then_some(offset as usize)
}

/// How kernel memory is read.
pub(crate) trait Access {
    /// Reads a `T` at `base + offset`; `None` when the memory can't be read.
    unsafe fn load<T: Copy>(base: *const u8, offset: usize) -> Option<T>;

    /// The `struct tcp_sock` that starts with this `struct sock`, to be read in the same way.
    unsafe fn tcp_sock(sk: *const u8) -> *const u8;
}

/// Loads through the verifier's typed pointers (`tp_btf`); faults read as zero.
pub(crate) enum Direct {}

/// Reads with `bpf_probe_read_kernel` (`raw_tp`, or pointers that the verifier has no type for).
pub(crate) enum Probed {}

impl Access for Direct {
    #[inline(always)]
    unsafe fn load<T: Copy>(base: *const u8, offset: usize) -> Option<T> {
        // SAFETY: the verifier checks type, offset and size of this load. Volatile, so that the
        // compiler neither widens nor moves it.
        Some(unsafe { base.add(offset).cast::<T>().read_volatile() })
    }

    /// The verifier wants to see the cast done by a helper (kernel 5.9).
    #[inline(always)]
    unsafe fn tcp_sock(sk: *const u8) -> *const u8 {
        // SAFETY: the verifier checks the socket pointer.
        unsafe { bpf_skc_to_tcp_sock(sk.cast_mut().cast()) }
            .cast_const()
            .cast()
    }
}

impl Access for Probed {
    #[inline(always)]
    unsafe fn load<T: Copy>(base: *const u8, offset: usize) -> Option<T> {
        // SAFETY: the helper checks the address.
        unsafe { bpf_probe_read_kernel(base.wrapping_add(offset).cast::<T>()) }.ok()
    }

    #[inline(always)]
    unsafe fn tcp_sock(sk: *const u8) -> *const u8 {
        sk
    }
}

macro_rules! object {
    ($($(#[$doc:meta])* $name:ident;)+) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name<A>(pub(crate) *const u8, PhantomData<A>);

            impl<A: Access> $name<A> {
                /// Wraps a pointer that the kernel gave.
                #[inline(always)]
                pub(crate) fn new(pointer: *const u8) -> Self {
                    Self(pointer, PhantomData)
                }

                #[inline(always)]
                fn get<T: Copy>(&self, field: Field) -> Option<T> {
                    let offset = offset(field)?;
                    // SAFETY: the offset is that of `field` in this kernel's own description.
                    unsafe { A::load(self.0, offset) }
                }
            }
        )+
    };
}

object! {
    /// `struct task_struct`
    Task;
    /// `struct sock`
    Sock;
    /// `struct request` of the block layer
    Request;
}

impl<A: Access> Task<A> {
    #[inline(always)]
    fn follow<B: Access>(&self, field: Field) -> Option<Task<B>> {
        let pointer: *const u8 = self.get(field)?;
        (!pointer.is_null()).then(|| Task::new(pointer))
    }

    /// Thread id.
    #[inline(always)]
    pub(crate) fn pid(&self) -> u32 {
        self.get(Field::TaskPid).unwrap_or(0)
    }

    /// Thread group id.
    #[inline(always)]
    pub(crate) fn tgid(&self) -> u32 {
        self.get(Field::TaskTgid).unwrap_or(0)
    }

    /// Scheduler state; 0 is runnable. A `long` before 5.14, but never over 32 bits.
    #[inline(always)]
    pub(crate) fn state(&self) -> u32 {
        self.get(Field::TaskState).unwrap_or(0)
    }

    /// Start of the thread group's leader on the boot-time clock, nanoseconds.
    #[inline(always)]
    pub(crate) fn start_time(&self) -> u64 {
        self.follow::<A>(Field::TaskGroupLeader)
            .and_then(|leader| leader.get(Field::TaskStartBoottime))
            .unwrap_or(0)
    }

    /// Parent process.
    #[inline(always)]
    pub(crate) fn parent(&self) -> u32 {
        self.follow::<A>(Field::TaskRealParent)
            .map_or(0, |parent| parent.tgid())
    }

    /// User id in the initial user namespace.
    #[inline(always)]
    pub(crate) fn uid(&self) -> u32 {
        self.pointer(Field::TaskCred)
            .and_then(|cred| probe(cred, Field::CredUid))
            .unwrap_or(0)
    }

    /// Wait status.
    #[inline(always)]
    pub(crate) fn exit_code(&self) -> u32 {
        let group: u32 = self
            .pointer(Field::TaskSignal)
            .and_then(|signal| probe(signal, Field::SignalGroupExitCode))
            .unwrap_or(0);
        if group != 0 {
            group
        } else {
            self.get(Field::TaskExitCode).unwrap_or(0)
        }
    }

    /// Threads of the group that still live; 0 in the exit of the last one.
    #[inline(always)]
    pub(crate) fn live_threads(&self) -> u32 {
        self.pointer(Field::TaskSignal)
            .and_then(|signal| probe(signal, Field::SignalLive))
            .unwrap_or(0)
    }

    /// Id of the cgroup in the v2 hierarchy.
    #[inline(always)]
    pub(crate) fn cgroup(&self) -> u64 {
        self.pointer(Field::TaskCgroups)
            .and_then(|set| probe_pointer(set, Field::CssSetDefaultCgroup))
            .and_then(|cgroup| probe_pointer(cgroup, Field::CgroupKn))
            .and_then(|node| probe(node, Field::KernfsNodeId))
            .unwrap_or(0)
    }

    /// Copies the command name.
    #[inline(always)]
    pub(crate) fn comm(&self, into: &mut [u8; 16]) {
        if let Some(offset) = offset(Field::TaskComm) {
            // SAFETY: the helper checks the address; `into` has 16 bytes.
            unsafe {
                read_kernel(
                    into.as_mut_ptr().cast(),
                    16,
                    self.0.wrapping_add(offset).cast(),
                );
            }
        }
    }

    /// The argument area of the process's memory: address and length.
    #[inline(always)]
    pub(crate) fn arguments(&self) -> Option<(u64, u64)> {
        let mm = self.pointer(Field::TaskMm)?;
        let start: u64 = probe(mm, Field::MmArgStart)?;
        let end: u64 = probe(mm, Field::MmArgEnd)?;
        (start != 0 && end > start).then(|| (start, end - start))
    }

    /// The `struct sock` behind a file descriptor, when that is a socket.
    #[inline(always)]
    pub(crate) fn socket(&self, descriptor: u32) -> Option<Sock<Probed>> {
        const S_IFMT: u16 = 0o170_000;
        const S_IFSOCK: u16 = 0o140_000;
        let files = self.pointer(Field::TaskFiles)?;
        let table = probe_pointer(files, Field::FilesFdt)?;
        let limit: u32 = probe(table, Field::FdtableMaxFds)?;
        if descriptor >= limit {
            return None;
        }
        let array = probe_pointer(table, Field::FdtableFd)?;
        let slot = array.wrapping_add(descriptor as usize * size_of::<usize>());
        // SAFETY: the helper checks the address.
        let file: *const u8 = unsafe { Probed::load(slot, 0) }?;
        let inode = probe_pointer(file, Field::FileInode)?;
        let mode: u16 = probe(inode, Field::InodeMode)?;
        if mode & S_IFMT != S_IFSOCK {
            return None;
        }
        let socket = probe_pointer(file, Field::FilePrivateData)?;
        let sk = probe_pointer(socket, Field::SocketSk)?;
        Some(Sock::new(sk))
    }

    #[inline(always)]
    fn pointer(&self, field: Field) -> Option<*const u8> {
        let pointer: *const u8 = self.get(field)?;
        (!pointer.is_null()).then_some(pointer)
    }
}

/// `AF_INET`
pub(crate) const AF_INET: u16 = 2;
/// `AF_INET6`
pub(crate) const AF_INET6: u16 = 10;
/// `IPPROTO_TCP`
const IPPROTO_TCP: u16 = 6;

impl<A: Access> Sock<A> {
    /// Whether this is TCP over IPv4 or IPv6.
    #[inline(always)]
    pub(crate) fn is_tcp(&self) -> bool {
        let family: u16 = self.get(Field::SockFamily).unwrap_or(0);
        if family != AF_INET && family != AF_INET6 {
            return false;
        }
        let protocol: u16 = self.get(Field::SockProtocol).unwrap_or(0);
        protocol == IPPROTO_TCP
    }

    /// TCP state number.
    #[inline(always)]
    pub(crate) fn state(&self) -> u8 {
        self.get(Field::SockState).unwrap_or(0)
    }

    /// Whether its life is over.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        const CLOSE: u8 = 7;
        self.state() == CLOSE
    }

    /// Whether a read of nothing means that the peer has ended its direction: a FIN has come, so
    /// the state is past those in which data may still arrive.
    #[inline(always)]
    pub(crate) fn at_end_of_file(&self) -> bool {
        const ESTABLISHED: u8 = 1;
        const FIN_WAIT1: u8 = 4;
        const FIN_WAIT2: u8 = 5;
        !matches!(self.state(), ESTABLISHED | FIN_WAIT1 | FIN_WAIT2)
    }

    /// Pending error, as a positive errno.
    #[inline(always)]
    pub(crate) fn error(&self) -> u32 {
        self.get(Field::SockErr).unwrap_or(0)
    }

    /// Who talks to whom. Not for the hot path: several reads.
    #[inline(always)]
    pub(crate) fn tuple(&self) -> Tuple {
        let port: u16 = self.probe(Field::SockDport).unwrap_or(0);
        let net: *const u8 = self.probe(Field::SockNet).unwrap_or(core::ptr::null());
        let mut tuple = Tuple {
            local: [0; 16],
            remote: [0; 16],
            local_port: self.local_port(),
            remote_port: u16::from_be(port),
            netns: probe(net, Field::NetInum).unwrap_or(0),
        };
        let family: u16 = self.probe(Field::SockFamily).unwrap_or(0);
        if family == AF_INET6 {
            tuple.local = self.probe(Field::SockV6RcvSaddr).unwrap_or([0; 16]);
            tuple.remote = self.probe(Field::SockV6Daddr).unwrap_or([0; 16]);
        } else {
            mapped(
                &mut tuple.local,
                self.probe(Field::SockRcvSaddr).unwrap_or(0),
            );
            mapped(&mut tuple.remote, self.probe(Field::SockDaddr).unwrap_or(0));
        }
        tuple
    }

    /// Local port. A connecting socket has given the number back when its end is told.
    #[inline(always)]
    fn local_port(&self) -> u16 {
        let number: u16 = self.probe(Field::SockNum).unwrap_or(0);
        if number != 0 {
            return number;
        }
        u16::from_be(self.probe(Field::InetSport).unwrap_or(0))
    }

    /// Whether user space has taken the peer's FIN, which has a sequence number as bytes have.
    #[inline(always)]
    pub(crate) fn fin_is_read(&self) -> bool {
        self.fin_has_come() && self.copied_seq() == self.tcp(Field::TcpRcvNxt)
    }

    /// Whether bytes wait to be read.
    #[inline(always)]
    pub(crate) fn has_unread(&self) -> bool {
        let next: u32 = self.tcp(Field::TcpRcvNxt).unwrap_or(0);
        let read = self.copied_seq().unwrap_or(next);
        next.wrapping_sub(read) > u32::from(self.fin_has_come())
    }

    #[inline(always)]
    fn fin_has_come(&self) -> bool {
        /// `SOCK_DONE` of `enum sock_flags`: set when the FIN comes.
        const DONE: u64 = 1 << 1;
        let flags: u64 = self.probe(Field::SockFlags).unwrap_or(0);
        flags & DONE != 0
    }

    /// A field of the socket's `struct tcp_sock`, of which `struct sock` is the first member.
    #[inline(always)]
    fn tcp<T: Copy>(&self, field: Field) -> Option<T> {
        probe(self.0, field)
    }

    #[inline(always)]
    fn probe<T: Copy>(&self, field: Field) -> Option<T> {
        probe(self.0, field)
    }

    /// Smoothed round-trip time in microseconds; 0 before the first sample.
    #[inline(always)]
    pub(crate) fn srtt(&self) -> u32 {
        self.tcp::<u32>(Field::TcpSrttUs).unwrap_or(0) >> 3
    }

    /// Next sequence number that user space has not read. On the hot path: a direct load where
    /// that is possible.
    #[inline(always)]
    pub(crate) fn copied_seq(&self) -> Option<u32> {
        let offset = offset(Field::TcpCopiedSeq)?;
        // SAFETY: `sk` is the kernel's; a null result is checked.
        let tcp = unsafe { A::tcp_sock(self.0) };
        if tcp.is_null() {
            return None;
        }
        // SAFETY: the offset is that of the field in this kernel's own description.
        unsafe { A::load(tcp, offset) }
    }

    /// Payload bytes sent, each counted once. `bytes_acked` would count SYN and FIN as well.
    #[inline(always)]
    pub(crate) fn bytes_sent(&self) -> u64 {
        let all: u64 = self.tcp(Field::TcpBytesSent).unwrap_or(0);
        all.saturating_sub(self.tcp(Field::TcpBytesRetrans).unwrap_or(0))
    }

    /// Payload bytes received in order. The kernel's number counts the FIN, once that has come.
    #[inline(always)]
    pub(crate) fn bytes_received(&self) -> u64 {
        let all: u64 = self.tcp(Field::TcpBytesReceived).unwrap_or(0);
        all.saturating_sub(self.fin_has_come().into())
    }

    /// Segments sent again.
    #[inline(always)]
    pub(crate) fn retransmits(&self) -> u32 {
        self.tcp(Field::TcpTotalRetrans).unwrap_or(0)
    }
}

impl<A: Access> Request<A> {
    /// Operation and flags.
    #[inline(always)]
    pub(crate) fn command(&self) -> u32 {
        self.get(Field::RequestCmdFlags).unwrap_or(0)
    }

    /// Device number: major in bits 20-31, minor below; 0 when there is no disk.
    #[inline(always)]
    pub(crate) fn device(&self) -> u32 {
        let disk = match offset(Field::RequestRqDisk) {
            Some(_) => self.get::<*const u8>(Field::RequestRqDisk),
            None => self
                .get::<*const u8>(Field::RequestQueue)
                .and_then(|queue| probe::<*const u8>(queue, Field::QueueDisk)),
        };
        let Some(disk) = disk.filter(|disk| !disk.is_null()) else {
            return 0;
        };
        let major: u32 = probe(disk, Field::GendiskMajor).unwrap_or(0);
        let minor: u32 = probe(disk, Field::GendiskFirstMinor).unwrap_or(0);
        (major << 20) | (minor & 0xf_ffff)
    }
}

/// The path given to exec, from `struct linux_binprm`.
#[inline(always)]
pub(crate) fn binprm_filename(binprm: *const u8) -> Option<*const u8> {
    probe_pointer(binprm, Field::BinprmFilename)
}

/// `::ffff:a.b.c.d`, with the address in network byte order.
#[inline(always)]
fn mapped(into: &mut [u8; 16], address: u32) {
    into[10] = 0xff;
    into[11] = 0xff;
    let bytes = address.to_ne_bytes();
    into[12] = bytes[0];
    into[13] = bytes[1];
    into[14] = bytes[2];
    into[15] = bytes[3];
}

/// Reads a field through a pointer that the verifier has no type for.
#[inline(always)]
fn probe<T: Copy>(base: *const u8, field: Field) -> Option<T> {
    let offset = offset(field)?;
    // SAFETY: the helper checks the address.
    unsafe { Probed::load(base, offset) }
}

#[inline(always)]
fn probe_pointer(base: *const u8, field: Field) -> Option<*const u8> {
    let pointer: *const u8 = probe(base, field)?;
    (!pointer.is_null()).then_some(pointer)
}
