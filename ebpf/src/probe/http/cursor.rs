//! The bytes of one read or write in the process's memory, from place to place.

use aya_ebpf::helpers::{bpf_probe_read_user, generated::bpf_probe_read_user as read_user};

use super::payload::Payload;
use crate::scratch::{Word, bounded};

/// Bytes of a `struct iovec`.
const PIECE: u64 = size_of::<[u64; 2]>() as u64;

/// The pieces of a payload, one of which is being looked at. Positions are those in all of them.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    present: Piece,
    /// Where the present one ends.
    end: u64,
    /// The one that is gone back to.
    marked: Piece,
    /// Whether there is more than one, as a number.
    several: u64,
}

/// A piece.
#[derive(Clone, Copy)]
struct Piece {
    /// Where the next `struct iovec` is, and how many there are from there on.
    vector: u64,
    left: u64,
    /// Address of its bytes, and the position of the first one.
    base: u64,
    start: u64,
}

impl Cursor {
    /// Before the first piece of a payload that has so many bytes.
    #[inline(always)]
    pub(super) fn new(payload: &Payload, length: u64) -> Self {
        let (address, pieces, _) = payload.parts();
        let one = pieces == 1;
        let present = Piece {
            vector: address,
            left: if one { 0 } else { pieces.into() },
            base: address,
            start: 0,
        };
        Self {
            present,
            end: if one { length } else { 0 },
            marked: Piece {
                vector: address.wrapping_add(PIECE),
                left: present.left.wrapping_sub(1),
                ..present
            },
            several: (pieces > 1).into(),
        }
    }

    /// Where the piece ends.
    #[inline(always)]
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Goes on to the next piece; whether there is one.
    #[inline(always)]
    pub(super) fn next(&mut self) -> bool {
        let present = &mut self.present;
        if present.left == 0 {
            return false;
        }
        // SAFETY: the helper checks the address.
        let Ok([base, length]) =
            (unsafe { bpf_probe_read_user(present.vector as *const [u64; 2]) })
        else {
            return false;
        };
        present.left -= 1;
        present.vector += PIECE;
        present.base = base;
        present.start = self.end;
        self.end += length;
        true
    }

    /// Marks the present piece.
    #[inline(always)]
    pub(super) fn mark(&mut self) {
        self.marked = self.present;
    }

    /// The payload from the marked piece on. Positions in it stay what they are: a negative number of
    /// its bytes may be left out.
    #[inline(always)]
    pub(super) fn starting_at_mark(&self, payload: &Payload) -> Payload {
        if self.several == 0 {
            return *payload;
        }
        let Piece {
            vector,
            left,
            base,
            start,
        } = self.marked;
        let (_, _, before) = payload.parts();
        let before = u64::from(before).wrapping_sub(start);
        // A vector of one would be taken for its bytes.
        if left == 0 {
            Payload::buffer(base.wrapping_add(before))
        } else {
            Payload::of(
                vector.wrapping_sub(PIECE),
                left.wrapping_add(1) as u32,
                before as u32,
            )
        }
    }

    /// Reads `size` (at most 8) bytes at a place in the piece, the first into the lowest byte.
    #[inline(always)]
    pub(super) fn read(&self, at: u64, size: u32, word: Word) -> Option<u64> {
        let mut bytes = [0u64; 2];
        let size = bounded::<15>(word.forget(size)) as u32;
        let address = self.present.base + (at - self.present.start);
        // SAFETY: at most 15 bytes into 16; the helper checks the source.
        let result = unsafe { read_user((&raw mut bytes).cast(), size, address as *const _) };
        (result == 0).then_some(bytes[0])
    }
}
