//! `struct task_struct`, and what hangs on it.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel as read_kernel;
use sonde_common::field::Field;

use super::{
    Access, Descriptors, File, Files, Probed, Sock, Task, cast,
    file::{is_socket, socket_of_file},
    offset, probe, probe_pointer,
};

impl<A: Access> Task<A> {
    #[inline(always)]
    pub(super) fn relative(&self, field: Field) -> Option<Self> {
        self.pointer(field).map(Self::new)
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
        self.relative(Field::TaskGroupLeader)
            .and_then(|leader| leader.get(Field::TaskStartBoottime))
            .unwrap_or(0)
    }

    /// Parent process.
    #[inline(always)]
    pub(crate) fn parent(&self) -> u32 {
        self.relative(Field::TaskRealParent)
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
        let slot = self.slot(descriptor)?;
        match cast::file(slot) {
            Some(file) => socket_of_file(&file),
            None => socket_of_file(&file_in(slot)?),
        }
    }

    /// Whether a file descriptor is a socket.
    #[inline(always)]
    pub(crate) fn is_socket(&self, descriptor: u32) -> bool {
        let Some(slot) = self.slot(descriptor) else {
            return false;
        };
        match cast::file(slot) {
            Some(file) => is_socket(&file),
            None => file_in(slot).is_some_and(|file| is_socket(&file)),
        }
    }

    /// Where its table of files has the pointer for a file descriptor.
    #[inline(always)]
    fn slot(&self, descriptor: u32) -> Option<*const u8> {
        let table = self.descriptors()?;
        let limit: u32 = table.get(Field::FdtableMaxFds)?;
        if descriptor >= limit {
            return None;
        }
        let array: *const u8 = table.get(Field::FdtableFd)?;
        Some(array.wrapping_add(descriptor as usize * size_of::<usize>()))
    }

    /// Its table of file descriptors.
    #[inline(always)]
    pub(super) fn descriptors(&self) -> Option<Descriptors<A>> {
        let files = Files::<A>::new(self.pointer(Field::TaskFiles)?);
        let table: *const u8 = files.get(Field::FilesFdt)?;
        (!table.is_null()).then(|| Descriptors::new(table))
    }

    #[inline(always)]
    pub(super) fn pointer(&self, field: Field) -> Option<*const u8> {
        let pointer: *const u8 = self.get(field)?;
        (!pointer.is_null()).then_some(pointer)
    }
}

/// The `struct file` that a table of files has there.
#[inline(always)]
fn file_in(slot: *const u8) -> Option<File<Probed>> {
    // SAFETY: the helper checks the address.
    unsafe { Probed::load(slot, 0) }.map(File::new)
}

/// The path given to exec, from `struct linux_binprm`.
#[inline(always)]
pub(crate) fn binprm_filename(binprm: *const u8) -> Option<*const u8> {
    probe_pointer(binprm, Field::BinprmFilename)
}
