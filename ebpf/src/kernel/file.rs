//! `struct file`, and the socket that may be behind it.

use core::cell::UnsafeCell;

use sonde_common::field::Field;

use super::{Access, File, Probed, Sock, probe, probe_pointer};

impl<A: Access> File<A> {
    /// What its driver keeps with it: the `struct socket` of one that is a socket.
    #[inline(always)]
    fn private_data(&self) -> Option<*const u8> {
        let data: *const u8 = self.get(Field::FilePrivateData)?;
        (!data.is_null()).then_some(data)
    }
}

/// The `struct sock` of a `struct file`, when that is a socket.
#[inline(always)]
pub(crate) fn socket_of_file<A: Access>(file: &File<A>) -> Option<Sock<Probed>> {
    if !is_socket(file) {
        return None;
    }
    let socket = file.private_data()?;
    let sk = probe_pointer(socket, Field::SocketSk)?;
    Some(Sock::new(sk))
}

/// The file operations that all sockets have and nothing else; 0 until the first is seen.
static SOCKET_OPS: Word = Word(UnsafeCell::new(0));

/// A word that all CPUs may read and write; LLVM has no atomic loads for BPF, whose plain ones of a
/// word are.
struct Word(UnsafeCell<u64>);

// SAFETY: a word is read and written as a whole.
unsafe impl Sync for Word {}

impl Word {
    #[inline(always)]
    fn load(&self) -> u64 {
        // SAFETY: it lives for ever; volatile because others write to it.
        unsafe { self.0.get().read_volatile() }
    }

    #[inline(always)]
    fn store(&self, value: u64) {
        // SAFETY: as above.
        unsafe { self.0.get().write_volatile(value) };
    }
}

/// Whether a `struct file` is a socket.
#[inline(always)]
pub(super) fn is_socket<A: Access>(file: &File<A>) -> bool {
    let Some(operations) = file.get::<u64>(Field::FileOp) else {
        return false;
    };
    let known = SOCKET_OPS.load();
    if known != 0 {
        return operations == known;
    }
    let is_socket = is_open_socket(file);
    if is_socket {
        SOCKET_OPS.store(operations);
    }
    is_socket
}

/// The same the long way: by its type, and that a socket is behind it, which isn't so where the name of
/// one is opened with `O_PATH`.
#[inline(always)]
fn is_open_socket<A: Access>(file: &File<A>) -> bool {
    const S_IFMT: u16 = 0o170_000;
    const S_IFSOCK: u16 = 0o140_000;
    let inode = file.get::<*const u8>(Field::FileInode);
    let mode: Option<u16> = inode.and_then(|inode| probe(inode, Field::InodeMode));
    if mode.is_none_or(|mode| mode & S_IFMT != S_IFSOCK) {
        return false;
    }
    let behind = file
        .private_data()
        .and_then(|socket| probe_pointer(socket, Field::SocketFile));
    behind == Some(file.0)
}
