//! The ring record of one read or write while it is built, in memory of this CPU.

use aya_ebpf::{
    helpers::{bpf_ktime_get_ns, generated::bpf_probe_read_user},
    macros::map,
    maps::PerCpuArray,
};
use sonde_common::{
    event::http::{Direction, Segment, TAIL},
    fault::Fault,
    header::Kind,
};

use super::payload::Payload;
use crate::{
    emit::{fault, send_bytes},
    scratch::{Word, bounded, unaligned},
};

/// Room for a segment of the largest capture, and for what the verifier must assume of sizes that
/// it knows only by their masks. The kernel gives a per-CPU value no more than 32 KiB.
const ROOM: usize = 32 * 1024;
/// Bytes of [`Record::scratch`].
const SCRATCH: usize = 96;
const SEGMENT: usize = size_of::<Segment>();

/// Memory that a record is built in.
#[repr(C, align(8))]
pub(crate) struct Buffer([u8; ROOM]);

/// One for each [`Direction`]: reads and writes are followed by a program each, and since kernel
/// 7.0 one may run in a task that preempts the other's. With itself a program doesn't meet there:
/// the kernel leaves a run out rather than let it.
#[map]
static RECORDS: PerCpuArray<Buffer> = PerCpuArray::with_max_entries(2, 0);

/// A [`Buffer`] that is ours for the moment.
#[derive(Clone, Copy)]
pub(crate) struct Slot(*mut u8);

impl Slot {
    /// For what is told without bytes.
    pub(crate) const NONE: Self = Self(core::ptr::null_mut());

    /// This CPU's.
    #[inline(always)]
    pub(crate) fn of_cpu(direction: Direction) -> Option<Self> {
        let buffer = RECORDS.get_ptr_mut(direction as u32)?;
        Some(Self(buffer.cast()))
    }

    /// One that nothing else uses.
    #[inline(always)]
    pub(crate) unsafe fn of(buffer: *mut Buffer) -> Self {
        Self(buffer.cast())
    }

    /// The buffer's last word, which no record reaches.
    #[inline(always)]
    pub(crate) fn word(self) -> Word {
        let place = self.0.wrapping_add(ROOM - size_of::<u64>());
        // SAFETY: inside the buffer, and aligned.
        unsafe { Word::new(place.cast()) }
    }
}

/// A record under construction: a [`Segment`] and its bytes.
pub(super) struct Record {
    buffer: *mut u8,
    /// When it was begun, `CLOCK_MONOTONIC` in nanoseconds.
    time: u64,
}

impl Record {
    /// An empty record.
    #[inline(always)]
    pub(super) fn begin(slot: Slot) -> Self {
        Self {
            buffer: slot.0,
            // SAFETY: the helper takes nothing and always succeeds.
            time: unsafe { bpf_ktime_get_ns() },
        }
    }

    /// When it was begun: `CLOCK_MONOTONIC`, nanoseconds.
    #[inline(always)]
    pub(super) fn time(&self) -> u64 {
        self.time
    }

    #[inline(always)]
    fn at(&self, offset: usize) -> *mut u8 {
        self.buffer.wrapping_add(SEGMENT + offset)
    }

    /// Copies the first `size` bytes of a payload; how many there were.
    #[inline(always)]
    pub(super) fn capture(&mut self, payload: &Payload, size: u32) -> Option<u32> {
        let Some(captured) = payload.copy(self.at(0), size, self.word()) else {
            if !payload.is_none() {
                fault(Fault::PayloadUnreadable);
            }
            return None;
        };
        Some(self.word().forget(captured))
    }

    /// Copies up to `HTTP2_CAPTURE` bytes of a payload from a place within it; how many.
    #[inline(always)]
    pub(super) fn capture_at<const PIECES: u32>(
        &mut self,
        payload: &Payload,
        from: u32,
        size: u32,
    ) -> Option<u32> {
        let captured = payload.copy_from::<PIECES>(self.at(0), from, size, self.word());
        if captured.is_none() && !payload.is_none() {
            fault(Fault::PayloadUnreadable);
        }
        Some(self.word().forget(captured?))
    }

    /// The four captured bytes at a position, the first in the lowest byte; what stands there is of
    /// no use beyond what was captured.
    #[inline(always)]
    pub(super) fn word_at(&self, position: u32) -> u32 {
        // SAFETY: inside the buffer.
        unsafe { unaligned::word(self.at(bounded::<0x3fff>(position))) }
    }

    /// The eight captured bytes at a position, the same way.
    #[inline(always)]
    pub(super) fn words_at(&self, position: u32) -> u64 {
        // SAFETY: inside the buffer.
        unsafe { unaligned::words(self.at(bounded::<0x3fff>(position))) }
    }

    /// See [`Slot::word`].
    #[inline(always)]
    pub(super) fn word(&self) -> Word {
        Slot(self.buffer).word()
    }

    /// The same value; see [`crate::scratch::forget`].
    #[inline(always)]
    pub(super) fn forget(&self, value: u64) -> u64 {
        let place = self
            .buffer
            .wrapping_add(ROOM - 2 * size_of::<u64>())
            .cast::<u64>();
        // SAFETY: inside the buffer, and aligned.
        unsafe {
            place.write_volatile(value);
            place.read_volatile()
        }
    }

    /// Room for a few values that are kept from step to step: the verifier doesn't follow them there,
    /// and the stack is short.
    #[inline(always)]
    pub(super) fn scratch<'a, T: Copy>(&self) -> &'a mut T {
        const { assert!(size_of::<T>() <= SCRATCH && align_of::<T>() <= 8) };
        let place = self
            .buffer
            .wrapping_add(ROOM - 2 * size_of::<u64>() - SCRATCH);
        // SAFETY: inside the buffer, and aligned; any bytes will do.
        unsafe { &mut *place.cast() }
    }

    /// The first eight captured bytes, the first in the lowest byte.
    #[inline(always)]
    pub(super) fn first(&self) -> u64 {
        // SAFETY: inside the buffer, at a multiple of 8.
        unsafe { self.at(0).cast::<u64>().read_volatile() }
    }

    /// Copies the last bytes of a payload behind the captured ones; how many.
    #[inline(always)]
    pub(super) fn tail(&mut self, payload: &Payload, length: u32, captured: u32) -> u32 {
        let want = (length - captured).min(TAIL as u32);
        let Some((address, size)) = payload.last(length, want) else {
            return 0;
        };
        let target = self.at(bounded::<0x1fff>(captured));
        let size = self.word().forget(size).min(TAIL as u32);
        // SAFETY: TAIL bytes fit behind the largest capture; the helper checks the source.
        let result = unsafe { bpf_probe_read_user(target.cast(), size, address as *const _) };
        self.word().forget(if result == 0 { size } else { 0 })
    }

    /// Sends the record.
    #[inline(always)]
    pub(super) fn send(&mut self, segment: Segment) {
        let bytes = u32::from(segment.captured) + u32::from(segment.tail);
        // SAFETY: the buffer starts with room for it.
        unsafe { self.buffer.cast::<Segment>().write(segment) };
        // One to as many as a mask leaves, for the verifier.
        let payload = match bytes {
            0 => 0,
            bytes => bounded::<0x3fff>(self.word().forget(bytes - 1)) + 1,
        };
        let size = SEGMENT + payload;
        send_bytes(Kind::HttpSegment, self.buffer, size as u64, Fault::RingHttp);
    }
}
