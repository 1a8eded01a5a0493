//! Where the bytes of a read or write stand in the process's memory.

use aya_ebpf::helpers::{bpf_probe_read_user, generated::bpf_probe_read_user as read_user};

use sonde_common::event::http::{CAPTURE_MAX, HTTP2_CAPTURE};

use crate::{
    kernel::Access,
    regs::{Regs, number},
    scratch::{Word, bounded},
};

/// Pieces of a vector that are looked at; what lies in later ones counts but isn't captured.
const PIECES: u32 = 8;
/// The same for HTTP/2, where each frame may be a piece or two. gRPC's C core has up to four for each
/// header field that it sends for the first time: 21 of an ordinary first request.
const HTTP2_PIECES: u32 = 32;
/// Pieces that are passed over at once.
const PASSED: u32 = 64;

/// Longest piece that is copied of several.
const PIECE: u32 = 2 * CAPTURE_MAX as u32 - 1;

/// `struct iovec`
#[repr(C)]
#[derive(Clone, Copy)]
struct Piece {
    base: u64,
    length: u64,
}

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
    pad: u32,
}

impl Payload {
    /// Bytes that can't be seen.
    pub(crate) const NONE: Self = Self::of(0, 0);

    #[inline(always)]
    const fn of(address: u64, pieces: u32) -> Self {
        Self {
            address,
            pieces,
            pad: 0,
        }
    }

    /// Bytes in one piece.
    #[inline(always)]
    pub(crate) const fn buffer(address: u64) -> Self {
        Self::of(address, 1)
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
        Self::of(address, count as u32)
    }

    /// Up to `want` (at most 8) of the first bytes, the first in the lowest byte.
    #[inline(always)]
    pub(super) fn first(&self, length: u32, want: u32, word: Word) -> Option<(u64, u32)> {
        let want = length.min(want);
        let address = self.address;
        match self.pieces {
            0 => None,
            1 => Some((first_bytes(address, want, word)?, want)),
            count => first_of_pieces(address, count, want, word),
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
            count => copy_pieces(into, size, address, count, word),
        }
    }

    /// Copies up to [`HTTP2_CAPTURE`] bytes from a place within; how many. Of several pieces those
    /// in the first [`HTTP2_PIECES`].
    #[inline(always)]
    pub(super) fn copy_from(&self, into: *mut u8, from: u32, size: u32, word: Word) -> Option<u32> {
        let address = self.address;
        match self.pieces {
            0 => None,
            1 => copy_large(into, size, address + u64::from(from), word).then_some(size),
            count => copy_pieces_from(into, from, size, address, count, word),
        }
    }

    /// What is behind so many bytes, but for some that stand at its front still: how many.
    #[inline(always)]
    pub(super) fn behind(&self, bytes: u32) -> (Self, u32) {
        let address = self.address;
        match self.pieces {
            0 => (Self::NONE, 0),
            1 => (Self::buffer(address + u64::from(bytes)), 0),
            count => pieces_behind(address, count, bytes),
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
            count => last_piece(address, count, length, want),
        }
    }
}

#[inline(always)]
fn piece(vector: u64, index: u32) -> Option<Piece> {
    let address = vector + u64::from(index) * size_of::<Piece>() as u64;
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(address as *const Piece) }.ok()
}

/// Reads `size` (at most 8) bytes, the first into the lowest byte.
#[inline(always)]
fn first_bytes(address: u64, size: u32, word: Word) -> Option<u64> {
    let mut bytes = [0u64; 2];
    let size = bounded::<15>(word.forget(size)) as u32;
    // SAFETY: at most 15 bytes into 16; the helper checks the source.
    let result = unsafe { read_user((&raw mut bytes).cast(), size, address as *const _) };
    (result == 0).then_some(bytes[0])
}

/// The same out of several pieces, the first of which may have a byte or none; how many.
#[inline(always)]
fn first_of_pieces(vector: u64, count: u32, want: u32, word: Word) -> Option<(u64, u32)> {
    let (mut bytes, mut have) = (0u64, 0u32);
    let mut index = 0;
    while index < PIECES && index < count && have < want {
        let piece = piece(vector, index)?;
        let size = piece.length.min(u64::from(want - have)) as u32;
        bytes |= first_bytes(piece.base, size, word)? << ((have & 7) * 8);
        have += size;
        index += 1;
    }
    (have > 0).then_some((bytes, have))
}

#[inline(always)]
fn last_piece(vector: u64, count: u32, length: u32, want: u32) -> Option<(u64, u32)> {
    let mut before = 0u64;
    let mut index = 0;
    while index < PIECES && index < count {
        let piece = piece(vector, index)?;
        let used = u64::from(length) - before;
        if piece.length >= used {
            let size = used.min(u64::from(want));
            return Some((piece.base + used - size, size as u32));
        }
        before += piece.length;
        index += 1;
    }
    None
}

/// Reads `size` bytes of user memory.
#[inline(always)]
fn copy_piece(into: *mut u8, size: u32, address: u64, word: Word) -> bool {
    let size = bounded::<PIECE>(word.forget(size)) as u32;
    // SAFETY: `into` has room for PIECE bytes; the helper checks the source.
    unsafe { read_user(into.cast(), size, address as *const _) == 0 }
}

/// Reads `size` bytes of user memory, at least one.
#[inline(always)]
fn copy_large(into: *mut u8, size: u32, address: u64, word: Word) -> bool {
    const MASK: u32 = HTTP2_CAPTURE as u32 - 1;
    let size = bounded::<MASK>(word.forget(size.wrapping_sub(1))) as u32 + 1;
    // SAFETY: `into` has room for as many bytes behind any position that is masked like this one;
    // the helper checks the source.
    unsafe { read_user(into.cast(), size, address as *const _) == 0 }
}

#[inline(always)]
fn pieces_behind(mut vector: u64, mut count: u32, mut bytes: u32) -> (Payload, u32) {
    let mut passed = 0;
    while passed < PASSED && count > 1 {
        passed += 1;
        match piece(vector, 0) {
            Some(piece) if piece.length <= u64::from(bytes) => bytes -= piece.length as u32,
            _ => break,
        }
        vector += size_of::<Piece>() as u64;
        count -= 1;
    }
    // A vector of one would be taken for the address of the bytes.
    match piece(vector, 0) {
        Some(last) if count == 1 => (Payload::buffer(last.base + u64::from(bytes)), 0),
        _ => (Payload::of(vector, count), bytes),
    }
}

#[inline(always)]
fn copy_pieces_from(
    into: *mut u8,
    from: u32,
    size: u32,
    vector: u64,
    count: u32,
    word: Word,
) -> Option<u32> {
    let (mut before, mut filled) = (from, 0u32);
    let mut index = 0;
    while index < HTTP2_PIECES && index < count {
        let Some(piece) = piece(vector, index) else {
            break;
        };
        index += 1;
        before = word.forget(before);
        if piece.length <= u64::from(before) {
            before -= piece.length as u32;
            continue;
        }
        filled = word.forget(filled);
        let rest = piece.length - u64::from(before);
        let room = u64::from(size.wrapping_sub(filled));
        // What is longer is a body, and needn't be told; the buffer hasn't the room for more.
        let part = word.forget(rest.min(room).min(u64::from(PIECE)) as u32);
        let target = into.wrapping_add(bounded::<0x3fff>(filled));
        if part == 0 || !copy_piece(target, part, piece.base + u64::from(before), word) {
            break;
        }
        before = 0;
        filled += part;
        if u64::from(part) < rest {
            break;
        }
    }
    (filled > 0).then_some(filled)
}

#[inline(always)]
fn copy_pieces(into: *mut u8, size: u32, vector: u64, count: u32, word: Word) -> Option<u32> {
    // Head and body are the usual vector: one read fetches both.
    // SAFETY: the helper checks the address.
    let pair = unsafe { bpf_probe_read_user(vector as *const [Piece; 2]) }.ok()?;
    let mut filled = 0u32;
    let mut index = 0;
    while index < PIECES && index < count && filled < size {
        let next = match index {
            0 => Some(pair[0]),
            1 => Some(pair[1]),
            _ => piece(vector, index),
        };
        let Some(piece) = next else {
            break;
        };
        let room = size - filled;
        let part = if piece.length < u64::from(room) {
            piece.length as u32
        } else {
            room
        };
        // The mask is for the verifier: `filled` is under `size`, at most CAPTURE_MAX.
        let target = into.wrapping_add(bounded::<0xfff>(word.forget(filled)));
        if part > 0 && !copy_piece(target, part, piece.base, word) {
            break;
        }
        filled += part;
        index += 1;
    }
    (filled > 0).then_some(filled)
}
