//! One ring record while it is built, in memory of this CPU.

use aya_ebpf::{
    helpers::{
        bpf_ktime_get_ns,
        generated::bpf_probe_read_user,
    },
    macros::map,
    maps::PerCpuArray,
};
use sonde_common::{
    event::http::{PENDING_MAX, Segment, Segments, TAIL},
    fault::Fault,
    header::{Header, Kind},
};

use super::payload::Payload;
use crate::{
    emit::{fault, send_bytes},
    scratch::{Claim, Place, Word, bounded, copy_blocks},
};

/// Room for a held-back segment, a segment of the largest capture, and what the verifier must
/// assume of positions that it knows only by their masks.
const ROOM: usize = 16 * 1024;
/// Size of the fixed part before the first segment.
const FIXED: u32 = size_of::<Segments>() as u32;
const SEGMENT: u32 = size_of::<Segment>() as u32;
/// Largest position of a record's last segment: one held-back segment before it.
const POSITION: u32 = 0x3ff;
const _: () = assert!(FIXED as usize + SEGMENT as usize + PENDING_MAX <= POSITION as usize);

#[repr(C, align(8))]
struct Buffer([u8; ROOM]);

#[map]
static RECORDS: PerCpuArray<Buffer> = PerCpuArray::with_max_entries(Place::COUNT, 0);

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline(always)]
pub(super) fn now() -> u64 {
    // SAFETY: the helper takes nothing and always succeeds.
    unsafe { bpf_ktime_get_ns() }
}

/// A record under construction: `[Segments][Segment bytes]...`.
pub(super) struct Record {
    buffer: *mut u8,
    /// Where the present segment stands.
    position: u32,
    /// Bytes of the present segment, its header and padding included; 0 before `put`.
    size: u32,
    /// When the record was begun: reading the clock once is enough, and not cheap.
    time: u64,
    /// The buffer is ours, where that needs to be said.
    _claim: Option<Claim>,
}

impl Record {
    /// An empty record; `None`, and counted, when a program that was interrupted on this CPU has
    /// the buffer.
    #[inline(always)]
    pub(super) fn begin(place: Place) -> Option<Self> {
        let claim = if matches!(place, Place::State) {
            let claim = Claim::take();
            if claim.is_none() {
                fault(Fault::PayloadUnreadable);
                return None;
            }
            claim
        } else {
            None
        };
        let buffer = RECORDS.get_ptr_mut(place as u32)?;
        Some(Self {
            buffer: buffer.cast(),
            position: FIXED,
            size: 0,
            time: now(),
            _claim: claim,
        })
    }

    /// When it was begun: `CLOCK_MONOTONIC`, nanoseconds.
    #[inline(always)]
    pub(super) fn time(&self) -> u64 {
        self.time
    }

    /// Forgets the segments.
    #[inline(always)]
    pub(super) fn restart(&mut self) {
        self.position = FIXED;
        self.size = 0;
    }

    /// Whether the present segment is the only one.
    #[inline(always)]
    pub(super) fn is_single(&self) -> bool {
        self.position == FIXED
    }

    #[inline(always)]
    fn at(&self, offset: usize) -> *mut u8 {
        self.buffer
            .wrapping_add(bounded::<POSITION>(self.position) + offset)
    }

    /// Copies the first `size` bytes of a payload behind where the segment's header will stand.
    #[inline(always)]
    pub(super) fn capture(&mut self, payload: &Payload, size: u32) -> Option<u32> {
        let Some(captured) = payload.copy(self.at(SEGMENT as usize), size, self.word()) else {
            if !matches!(payload, Payload::None) {
                fault(Fault::PayloadUnreadable);
            }
            return None;
        };
        Some(self.word().forget(captured))
    }

    /// The buffer's last word, which no record reaches.
    #[inline(always)]
    pub(super) fn word(&self) -> Word {
        let place = self.buffer.wrapping_add(ROOM - size_of::<u64>());
        // SAFETY: inside the buffer, and aligned.
        unsafe { Word::new(place.cast()) }
    }

    /// The first eight captured bytes, the first in the lowest byte.
    #[inline(always)]
    pub(super) fn first(&self) -> u64 {
        // SAFETY: inside the buffer, at a multiple of 8.
        unsafe { self.at(SEGMENT as usize).cast::<u64>().read_volatile() }
    }

    /// Whether the captured bytes end with an empty line.
    #[inline(always)]
    pub(super) fn ends_with_blank_line(&self, captured: u32) -> bool {
        if captured < 4 {
            return false;
        }
        let last = self.at(SEGMENT as usize + bounded::<0xfff>(captured - 4));
        // SAFETY: inside the buffer: the mask bounds the position.
        unsafe {
            *last == b'\r'
                && *last.add(1) == b'\n'
                && *last.add(2) == b'\r'
                && *last.add(3) == b'\n'
        }
    }

    /// Copies the last bytes of a payload behind the captured ones; how many.
    #[inline(always)]
    pub(super) fn tail(&mut self, payload: &Payload, length: u32, captured: u32) -> u32 {
        let want = (length - captured).min(TAIL as u32);
        let Some((address, size)) = payload.last(length, want) else {
            return 0;
        };
        let target = self.at(SEGMENT as usize + bounded::<0x1fff>(captured));
        let size = self.word().forget(size).min(TAIL as u32);
        // SAFETY: TAIL bytes fit behind the largest capture; the helper checks the source.
        let result = unsafe { bpf_probe_read_user(target.cast(), size, address as *const _) };
        self.word().forget(if result == 0 { size } else { 0 })
    }

    /// Writes the present segment's header.
    #[inline(always)]
    pub(super) fn put(&mut self, segment: Segment) {
        self.size = SEGMENT + u32::from(segment.captured) + u32::from(segment.tail);
        // SAFETY: inside the buffer, at a multiple of 8.
        unsafe { self.at(0).cast::<Segment>().write(segment) };
    }

    /// Copies a segment with its bytes from a held-back one and moves behind it.
    #[inline(always)]
    pub(super) fn append<const BLOCKS: u32>(&mut self, from: *const u64, bytes: u32) {
        let size = SEGMENT + padded(bytes);
        // SAFETY: the source is a held-back segment and its bytes, the target has room.
        unsafe { copy_blocks::<BLOCKS>(from, self.at(0).cast(), size) };
        self.position += size;
        self.size = 0;
    }

    /// The present segment with its bytes, to be held back.
    #[inline(always)]
    pub(super) fn present(&self) -> (*const u8, u32) {
        (self.at(0), self.size)
    }

    /// Sends the record.
    #[inline(always)]
    pub(super) fn send(&self, connection: u64, tgid: u32) {
        let segments = Segments {
            header: Header {
                time: self.time,
                tgid,
                tid: 0,
                kind: Kind::HttpSegments as u8,
                pad: [0; 7],
            },
            connection,
        };
        // SAFETY: the buffer starts with room for it.
        unsafe { self.buffer.cast::<Segments>().write(segments) };
        let size = bounded::<POSITION>(self.position) + bounded::<0x1fff>(padded(self.size));
        send_bytes(
            Kind::HttpSegments,
            self.buffer,
            size as u64,
            Fault::RingHttp,
        );
    }
}

/// Rounds up to a multiple of 8, so that the next segment is aligned.
#[inline(always)]
fn padded(size: u32) -> u32 {
    (size + 7) & !7
}
