//! Where the bytes of a read or write stand in the process's memory.

use aya_ebpf::helpers::bpf_probe_read_user;

pub(super) use self::pieces::HTTP2_PIECES;
use self::pieces::{Pieces, copy_large, copy_piece, first_bytes, piece};
use super::record::Record;
use crate::{
    kernel::Access,
    regs::{Regs, number},
    scratch::Word,
};

mod pieces;

/// The part of `struct user_msghdr` up to the vector.
#[repr(C)]
#[derive(Clone, Copy)]
struct Message {
    name: u64,
    name_length: u64,
    vector: u64,
    count: u64,
}

/// Size of `struct mmsghdr`, and where its `msg_len` stands.
const MMSGHDR: u64 = 64;
const MSG_LEN: u64 = 56;

/// Bytes of one read or write. Not an enum, whose unused fields the compiler would leave undefined
/// and still copy, which the verifier refuses.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Payload {
    /// Where the bytes are, or the `struct iovec` array when there are several pieces.
    address: u64,
    /// 0: not in the process's memory, or not where it can be found.
    pieces: u32,
    /// Bytes at the front of several pieces that are left out.
    before: u32,
}

impl Payload {
    /// Bytes that can't be seen.
    pub(crate) const NONE: Self = Self::of(0, 0, 0);

    /// From its parts, which are as in [`Payload`].
    #[inline(always)]
    pub(super) const fn of(address: u64, pieces: u32, before: u32) -> Self {
        Self {
            address,
            pieces,
            before,
        }
    }

    /// Bytes in one piece.
    #[inline(always)]
    pub(crate) const fn buffer(address: u64) -> Self {
        Self::of(address, 1, 0)
    }

    /// Its parts.
    #[inline(always)]
    pub(super) const fn parts(&self) -> (u64, u32, u32) {
        (self.address, self.pieces, self.before)
    }

    /// The same; see [`crate::scratch::forget`].
    #[inline(always)]
    pub(super) fn forget(&self, record: &Record) -> Self {
        let address = record.forget(self.address);
        let pieces = record.word().forget(self.pieces);
        let before = record.word().forget(self.before);
        Self::of(address, pieces, before)
    }

    #[inline(always)]
    const fn several(&self) -> Pieces {
        Pieces {
            vector: self.address,
            count: self.pieces,
            before: self.before,
        }
    }

    /// Whether the bytes can't be seen.
    #[inline(always)]
    pub(super) const fn is_none(&self) -> bool {
        self.pieces == 0
    }

    /// The payload of the system call in these registers. `index` is the message of
    /// sendmmsg and recvmmsg.
    #[inline(always)]
    pub(super) fn of_call<A: Access>(call: u32, regs: &Regs<A>, index: u32) -> Self {
        match call {
            number::READ | number::WRITE | number::SENDTO | number::RECVFROM => {
                Self::buffer(regs.argument(1))
            }
            number::READV | number::WRITEV | number::PREADV2 | number::PWRITEV2 => {
                Self::vector(regs.argument(1), regs.argument(2))
            }
            number::SENDMSG | number::RECVMSG => Self::message(regs.argument(1)),
            number::SENDMMSG | number::RECVMMSG => Self::of_message(regs.argument(1), index),
            _ => Self::NONE,
        }
    }

    /// The payload of one message of a sendmmsg or recvmmsg.
    #[inline(always)]
    pub(super) fn of_message(vector: u64, index: u32) -> Self {
        Self::message(vector + u64::from(index) * MMSGHDR)
    }

    /// Bytes that a finished sendmmsg or recvmmsg moved for one of its messages.
    #[inline(always)]
    pub(super) fn message_length(vector: u64, index: u32) -> u32 {
        let address = vector + u64::from(index) * MMSGHDR + MSG_LEN;
        // SAFETY: the helper checks the address.
        unsafe { bpf_probe_read_user(address as *const u32) }.unwrap_or(0)
    }

    #[inline(always)]
    fn message(address: u64) -> Self {
        // SAFETY: the helper checks the address.
        match unsafe { bpf_probe_read_user(address as *const Message) } {
            Ok(message) => Self::vector(message.vector, message.count),
            Err(_) => Self::NONE,
        }
    }

    #[inline(always)]
    fn vector(address: u64, count: u64) -> Self {
        if count == 1 {
            return match piece(address, 0) {
                Some(piece) => Self::buffer(piece.base),
                None => Self::NONE,
            };
        }
        Self::of(address, count as u32, 0)
    }

    /// Up to `want` (at most 8) of the first bytes, the first in the lowest byte.
    #[inline(always)]
    pub(super) fn first(&self, length: u32, want: u32, word: Word) -> Option<(u64, u32)> {
        let want = length.min(want);
        let address = self.address;
        match self.pieces {
            0 => None,
            1 => Some((first_bytes(address, want, word)?, want)),
            _ => self.several().first(want, word),
        }
    }

    /// Copies the first `size` bytes to `into`, which has room for twice the largest `size`;
    /// how many there were, `None` when none could be read.
    #[inline(always)]
    pub(super) fn copy(&self, into: *mut u8, size: u32, word: Word) -> Option<u32> {
        let address = self.address;
        match self.pieces {
            0 => None,
            1 => copy_piece(into, size, address, word).then_some(size),
            _ => self.several().copy(into, size, word),
        }
    }

    /// Copies up to `HTTP2_CAPTURE` bytes from a place within; how many. Of several pieces those
    /// in the first so many.
    #[inline(always)]
    pub(super) fn copy_from<const PIECES: u32>(
        &self,
        into: *mut u8,
        from: u32,
        size: u32,
        word: Word,
    ) -> Option<u32> {
        let address = self.address;
        match self.pieces {
            0 => None,
            1 => copy_large(into, size, address + u64::from(from), word).then_some(size),
            _ => self.several().copy_from::<PIECES>(into, from, size, word),
        }
    }

    /// What is behind so many bytes.
    #[inline(always)]
    pub(super) fn behind(&self, bytes: u32) -> Self {
        let address = self.address;
        match self.pieces {
            0 => Self::NONE,
            1 => Self::buffer(address + u64::from(bytes)),
            _ => self.several().behind(bytes),
        }
    }

    /// Whether the last four bytes are an empty line. For a vector of several pieces: not told.
    #[inline(always)]
    pub(super) fn ends_with_blank_line(&self, length: u32) -> bool {
        if self.pieces != 1 {
            return false;
        }
        let last = (self.address + u64::from(length) - 4) as *const [u8; 4];
        // SAFETY: the helper checks the address.
        matches!(unsafe { bpf_probe_read_user(last) }, Ok(bytes) if bytes == *b"\r\n\r\n")
    }

    /// Address of the last bytes, and how many up to `want` stand there in one piece.
    #[inline(always)]
    pub(super) fn last(&self, length: u32, want: u32) -> Option<(u64, u32)> {
        let address = self.address;
        match self.pieces {
            0 => None,
            1 => Some((address + u64::from(length - want), want)),
            _ => self.several().last(length, want),
        }
    }
}
