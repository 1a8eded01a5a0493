//! A whole request head is held back until its answer comes along, so that the plain exchange
//! costs one ring record instead of two.
//!
//! It waits on the socket. Who puts it there and who takes it agree by one word: `EMPTY` ->
//! `WRITING` -> `FULL` -> `TAKEN` -> `EMPTY`, so that a reader and a writer of the same socket on
//! two CPUs, and the sweep that takes what waits for long, never see a half-written one. When the
//! place is in use the segment is simply sent alone.

use aya_ebpf::{
    btf_maps::SkStorage,
    helpers::generated::bpf_sk_storage_get,
    macros::btf_map,
};
use sonde_common::event::http::{PENDING_MAX, Segment};

use super::record::{Record, now};
use crate::{
    atomic,
    connection::{Storage, Store, Table},
    kernel::Sock,
    probe::tcp::StorageIterator,
    scratch::{Place, copy_blocks},
};

const EMPTY: u64 = 0;
const FULL: u64 = 1;
const WRITING: u64 = 2;
const TAKEN: u64 = 3;

/// Age at which the sweep hands a held-back head to the agent, so that requests in flight are
/// known and can time out: nanoseconds.
const SWEEP_AGE: u64 = 100_000_000;

/// Blocks of 32 bytes that a segment with its bytes has.
const BLOCKS: u32 = ((size_of::<Segment>() + PENDING_MAX) / 32) as u32;
const _: () = assert!((size_of::<Segment>() + PENDING_MAX).is_multiple_of(32));

/// A held-back request head.
#[repr(C)]
pub(crate) struct Pending {
    state: u64,
    connection: u64,
    segment: Segment,
    bytes: [u8; PENDING_MAX],
}

#[btf_map]
static PENDING: SkStorage<Pending> = SkStorage::new();

const BPF_SK_STORAGE_GET_F_CREATE: u64 = 1;

/// A store that may have a place for held-back heads.
pub(crate) trait Hold: Store {
    /// The socket's place; `None` when there is none.
    fn place(sk: &Sock<Self::Access>, create: bool) -> Option<*mut Pending>;
}

impl Hold for Storage {
    #[inline(always)]
    fn place(sk: &Sock<Self::Access>, create: bool) -> Option<*mut Pending> {
        let flags = if create {
            BPF_SK_STORAGE_GET_F_CREATE
        } else {
            0
        };
        // SAFETY: the map lives as long as the program; the verifier checks the socket pointer.
        let place: *mut Pending = unsafe {
            bpf_sk_storage_get(
                (&raw const PENDING).cast_mut().cast(),
                sk.0.cast_mut().cast(),
                core::ptr::null_mut(),
                flags,
            )
        }
        .cast();
        (!place.is_null()).then_some(place)
    }
}

impl Hold for Table {
    /// Without atomic exchange (before 5.12) and socket storage nothing is held back.
    #[inline(always)]
    fn place(_: &Sock<Self::Access>, _: bool) -> Option<*mut Pending> {
        None
    }
}

/// Holds the record's only segment back; whether there was a place.
#[inline(always)]
pub(super) fn hold<S: Hold>(sk: &Sock<S::Access>, connection: u64, record: &Record) -> bool {
    let Some(place) = S::place(sk, true) else {
        return false;
    };
    let (from, size) = record.present();
    // SAFETY: `place` is a live map value and ours alone while it says WRITING.
    unsafe {
        let state = &raw mut (*place).state;
        if !atomic::compare_exchange(state, EMPTY, WRITING) {
            return false;
        }
        (*place).connection = connection;
        copy_blocks::<BLOCKS>(from.cast(), (&raw mut (*place).segment).cast(), size);
        atomic::store_release(state, FULL);
    }
    true
}

/// Puts a held-back segment in front of the record; its direction, `None` when there was none.
#[inline(always)]
pub(super) fn take<S: Hold>(sk: &Sock<S::Access>, record: &mut Record) -> Option<u8> {
    // SAFETY: a live map value.
    unsafe { take_from(S::place(sk, false)?, record) }
}

#[inline(always)]
unsafe fn take_from(place: *mut Pending, record: &mut Record) -> Option<u8> {
    // SAFETY: the caller's pointer is live; the segment is ours alone while it says TAKEN.
    unsafe {
        let state = &raw mut (*place).state;
        if !atomic::compare_exchange(state, FULL, TAKEN) {
            return None;
        }
        let direction = (*place).segment.direction;
        let captured = (*place).segment.captured;
        record.append::<BLOCKS>((&raw const (*place).segment).cast(), captured.into());
        atomic::store_release(state, EMPTY);
        Some(direction)
    }
}

/// Sends the heads that have waited for long.
#[unsafe(link_section = "iter/bpf_sk_storage_map")]
#[unsafe(no_mangle)]
extern "C" fn http_sweep(ctx: *const StorageIterator) -> i32 {
    // SAFETY: the kernel's context of this program type; a null value is checked.
    unsafe {
        let place = (*ctx).value.cast::<Pending>();
        if place.is_null() {
            return 0;
        }
        let segment = &(*place).segment;
        if (*place).state != FULL || now() - segment.time < SWEEP_AGE {
            return 0;
        }
        let (connection, tgid) = ((*place).connection, segment.tgid);
        if let Some(mut record) = Record::begin(Place::Sweep)
            && take_from(place, &mut record).is_some()
        {
            record.send(connection, tgid);
        }
    }
    0
}
