//! The pieces of a read or write (`struct iovec`), and copies of bytes out of them.

use aya_ebpf::helpers::{bpf_probe_read_user, generated::bpf_probe_read_user as read_user};
use sonde_common::event::http::{CAPTURE_MAX, HTTP2_CAPTURE};

use super::Payload;
use crate::scratch::{Word, bounded};

/// Pieces of a vector that are looked at; what lies in later ones counts but isn't captured.
const PIECES: u32 = 8;
/// The same for HTTP/2, where each frame may be a piece or two. gRPC's C core has up to four for each
/// header field that it sends for the first time: 21 of an ordinary first request.
pub(crate) const HTTP2_PIECES: u32 = 32;
/// Pieces that are passed over at once.
const PASSED: u32 = 64;

/// Longest piece that is copied of several.
const PIECE: u32 = 2 * CAPTURE_MAX as u32 - 1;

/// `struct iovec`
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) base: u64,
    length: u64,
}

/// Several of them, of whose bytes the first `before` are left out.
#[derive(Clone, Copy)]
pub(super) struct Pieces {
    pub(super) vector: u64,
    pub(super) count: u32,
    pub(super) before: u32,
}

impl Pieces {
    /// Up to `want` (at most 8) of the first bytes, the first in the lowest byte, and how many: the
    /// first piece may have a byte or none.
    #[inline(always)]
    pub(super) fn first(self, want: u32, word: Word) -> Option<(u64, u32)> {
        let (mut before, mut bytes, mut have) = (self.before, 0u64, 0u32);
        let mut index = 0;
        while index < PIECES && index < self.count && have < want {
            let piece = piece(self.vector, index)?;
            index += 1;
            before = word.forget(before);
            if piece.length <= u64::from(before) {
                before -= piece.length as u32;
                continue;
            }
            let rest = piece.length - u64::from(before);
            let size = rest.min(u64::from(want - have)) as u32;
            bytes |= first_bytes(piece.base + u64::from(before), size, word)? << ((have & 7) * 8);
            have += size;
            before = 0;
        }
        (have > 0).then_some((bytes, have))
    }

    /// Address of the last of `length` bytes, and how many up to `want` stand there in one piece.
    #[inline(always)]
    pub(super) fn last(self, length: u32, want: u32) -> Option<(u64, u32)> {
        let total = u64::from(self.before) + u64::from(length);
        let mut passed = 0u64;
        let mut index = 0;
        while index < PIECES && index < self.count {
            let piece = piece(self.vector, index)?;
            let used = total - passed;
            if piece.length >= used {
                let size = used.min(u64::from(want));
                return Some((piece.base + used - size, size as u32));
            }
            passed += piece.length;
            index += 1;
        }
        None
    }

    /// What is behind so many bytes, without the pieces that are before it.
    #[inline(always)]
    pub(super) fn behind(self, bytes: u32) -> Payload {
        let Self {
            mut vector,
            mut count,
            before,
        } = self;
        let mut before = before.wrapping_add(bytes);
        let mut passed = 0;
        while passed < PASSED && count > 1 {
            passed += 1;
            match piece(vector, 0) {
                Some(piece) if piece.length <= u64::from(before) => before -= piece.length as u32,
                _ => break,
            }
            vector += size_of::<Piece>() as u64;
            count -= 1;
        }
        // A vector of one would be taken for the address of the bytes.
        match piece(vector, 0) {
            Some(last) if count == 1 => Payload::buffer(last.base + u64::from(before)),
            _ => Payload::of(vector, count, before),
        }
    }

    /// Copies up to `size` bytes from a place on; how many. What is in a later piece than the first
    /// `LOOKED_AT` isn't.
    #[inline(always)]
    pub(super) fn copy_from<const LOOKED_AT: u32>(
        self,
        into: *mut u8,
        from: u32,
        size: u32,
        word: Word,
    ) -> Option<u32> {
        let (mut before, mut filled) = (self.before.wrapping_add(from), 0u32);
        let mut index = 0;
        while index < LOOKED_AT && index < self.count {
            let Some(piece) = piece(self.vector, index) else {
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

    /// Copies up to `size` bytes; how many.
    #[inline(always)]
    pub(super) fn copy(self, into: *mut u8, size: u32, word: Word) -> Option<u32> {
        if self.before != 0 {
            return self.copy_from::<PIECES>(into, 0, size, word);
        }
        // Head and body are the usual vector: one read fetches both.
        // SAFETY: the helper checks the address.
        let pair = unsafe { bpf_probe_read_user(self.vector as *const [Piece; 2]) }.ok()?;
        let mut filled = 0u32;
        let mut index = 0;
        while index < PIECES && index < self.count && filled < size {
            let next = match index {
                0 => Some(pair[0]),
                1 => Some(pair[1]),
                _ => piece(self.vector, index),
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
}

#[inline(always)]
pub(super) fn piece(vector: u64, index: u32) -> Option<Piece> {
    let address = vector + u64::from(index) * size_of::<Piece>() as u64;
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(address as *const Piece) }.ok()
}

/// Reads `size` (at most 8) bytes, the first into the lowest byte.
#[inline(always)]
pub(super) fn first_bytes(address: u64, size: u32, word: Word) -> Option<u64> {
    let mut bytes = [0u64; 2];
    let size = bounded::<15>(word.forget(size)) as u32;
    // SAFETY: at most 15 bytes into 16; the helper checks the source.
    let result = unsafe { read_user((&raw mut bytes).cast(), size, address as *const _) };
    (result == 0).then_some(bytes[0])
}

/// Reads `size` bytes of user memory.
#[inline(always)]
pub(super) fn copy_piece(into: *mut u8, size: u32, address: u64, word: Word) -> bool {
    let size = bounded::<PIECE>(word.forget(size)) as u32;
    // SAFETY: `into` has room for PIECE bytes; the helper checks the source.
    unsafe { read_user(into.cast(), size, address as *const _) == 0 }
}

/// Reads `size` bytes of user memory, at least one.
#[inline(always)]
pub(super) fn copy_large(into: *mut u8, size: u32, address: u64, word: Word) -> bool {
    const MASK: u32 = HTTP2_CAPTURE as u32 - 1;
    let size = bounded::<MASK>(word.forget(size.wrapping_sub(1))) as u32 + 1;
    // SAFETY: `into` has room for as many bytes behind any position that is masked like this one;
    // the helper checks the source.
    unsafe { read_user(into.cast(), size, address as *const _) == 0 }
}
