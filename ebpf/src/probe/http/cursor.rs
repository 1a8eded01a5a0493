//! The bytes of one read or write in the process's memory, from place to place.

use aya_ebpf::helpers::{bpf_probe_read_user, generated::bpf_probe_read_user as read_user};

use super::{body::Place, payload::Payload};
use crate::scratch::{Word, bounded};

/// Bytes of a `struct iovec`.
const PIECE: u64 = size_of::<[u64; 2]>() as u64;

/// The piece of a payload that is being looked at.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    /// Address of the next `struct iovec`, and how many there are from there on.
    vector: u64,
    left: u64,
    /// Whether there is more than one, as a number.
    several: u64,
    /// Where the piece begins in the process's memory, and where in the payload it begins and ends.
    base: u64,
    start: u64,
    end: u64,
}

impl Cursor {
    /// Before the first piece of a payload that has so many bytes.
    #[inline(always)]
    pub(super) fn new(payload: &Payload, length: u64) -> Self {
        let (address, pieces) = payload.place();
        let one = pieces == 1;
        Self {
            vector: address,
            left: if one { 0 } else { pieces.into() },
            several: (pieces > 1).into(),
            base: address,
            start: 0,
            end: if one { length } else { 0 },
        }
    }

    /// Where in the payload the piece ends.
    #[inline(always)]
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Goes on to the next piece; whether there is one.
    #[inline(always)]
    pub(super) fn next(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        // SAFETY: the helper checks the address.
        let Ok([base, length]) = (unsafe { bpf_probe_read_user(self.vector as *const [u64; 2]) })
        else {
            return false;
        };
        self.left -= 1;
        self.vector += PIECE;
        self.base = base;
        self.start = self.end;
        self.end += length;
        true
    }

    /// Notes where the piece stands, for what is at a place in it; `before` is as in [`Place`].
    #[inline(always)]
    pub(super) fn note(&self, place: &mut Place, before: u32) {
        if self.several != 0 {
            // This piece is before the next one. A vector of one would be taken for its bytes.
            place.payload = if self.left == 0 {
                Payload::buffer(self.base)
            } else {
                Payload::of(
                    self.vector.wrapping_sub(PIECE),
                    self.left.wrapping_add(1) as u32,
                )
            };
            place.before = before.wrapping_sub(self.start as u32);
        }
    }

    /// Reads `size` (at most 8) bytes at a place in the piece, the first into the lowest byte.
    #[inline(always)]
    pub(super) fn read(&self, at: u64, size: u32, word: Word) -> Option<u64> {
        let mut bytes = [0u64; 2];
        let size = bounded::<15>(word.forget(size)) as u32;
        let address = self.base + (at - self.start);
        // SAFETY: at most 15 bytes into 16; the helper checks the source.
        let result = unsafe { read_user((&raw mut bytes).cast(), size, address as *const _) };
        (result == 0).then_some(bytes[0])
    }
}
