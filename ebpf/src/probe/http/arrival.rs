//! When what is read came to its socket.
//!
//! TCP keeps the time of the last packet (`tcp_mstamp`), but most reads move it on: to size its buffers
//! the kernel looks at the clock in `tcp_rcv_space_adjust`. The tracepoint of that name comes just
//! before, so what stood there is noted then. It comes for each packet that a read takes bytes from;
//! the first one counts. What a read leaves there keeps its time for the next one: a library may take a
//! record's header and its payload one after the other.
//!
//! Notes stand in a table by the socket's address, without regard to collisions: one that isn't there
//! any more, or may be another read's, makes the time unknown.

use aya_ebpf::{
    macros::{btf_tracepoint, map, raw_tracepoint},
    maps::{Array, PerCpuArray},
    programs::{BtfTracePointContext, RawTracePointContext},
};

use crate::{
    kernel::{Access, Direct, Probed, Sock, Tcp},
    scratch::forget,
};

/// Sockets that are read at the same time have a place each, by chance.
const PLACES: u32 = 1024;

/// What is noted of a socket.
#[repr(C)]
#[derive(Clone, Copy)]
struct Note {
    /// Its address.
    sk: u64,
    /// When a packet had last come, `CLOCK_MONOTONIC` in microseconds; 0: not known.
    packet: u64,
    /// Sequence number up to which bytes had come by then.
    until: u32,
    /// Behind the first bytes that the read took.
    taken: u32,
    /// Behind all that was read before.
    end: u32,
    /// The read isn't over.
    open: u32,
}

#[map]
static ARRIVALS: Array<Note> = Array::with_max_entries(PLACES, 0);

/// An address on its way to be a number, which the verifier allows in a map's memory only.
#[map]
static ADDRESS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// `tcp_rcv_space_adjust(sk)`
#[btf_tracepoint(function = "tcp_rcv_space_adjust")]
pub(crate) fn http_arrival(ctx: BtfTracePointContext) -> i32 {
    note(&Sock::<Direct>::new(ctx.arg(0)));
    0
}

/// The same through helpers.
#[raw_tracepoint(tracepoint = "tcp_rcv_space_adjust")]
pub(crate) fn http_arrival_raw(ctx: RawTracePointContext) -> i32 {
    note(&Sock::<Probed>::new(ctx.arg(0)));
    0
}

#[inline(always)]
fn note<A: Access>(sk: &Sock<A>) -> Option<()> {
    let note = place(number(sk)?)?;
    let known = note.sk == sk.0 as u64;
    if known && note.open != 0 {
        return None;
    }
    let tcp = sk.tcp()?;
    if !known || !is_before(note.end, note.until) {
        note.sk = sk.0 as u64;
        note.packet = tcp.last_packet()?;
        note.until = tcp.next_seq()?;
    }
    note.taken = tcp.copied_seq()?;
    note.open = 1;
    Some(())
}

/// A read is over that took so many bytes.
#[inline(always)]
pub(super) fn read_ended<A: Access>(tcp: &Tcp<A>, length: u32) -> Option<()> {
    let note = place(number(&tcp.sock())?)?;
    if note.sk != tcp.0 as u64 {
        return None;
    }
    note.end = tcp.copied_seq()?;
    if note.open != 0 {
        note.open = 0;
        // Of a read whose end wasn't seen (splice), the first bytes lie before those of this one.
        if note.end.wrapping_sub(note.taken) >= length {
            note.packet = 0;
            note.until = note.end;
        }
    }
    Some(())
}

/// The socket is gone, and another one may have its address next.
#[inline(always)]
pub(crate) fn forget_arrivals<A: Access>(sk: &Sock<A>) {
    if let Some(note) = number(sk).and_then(place)
        && note.sk == sk.0 as u64
    {
        note.sk = 0;
    }
}

/// Whether a sequence number is before another one.
#[inline(always)]
fn is_before(one: u32, other: u32) -> bool {
    let distance = other.wrapping_sub(one);
    distance != 0 && distance < 1 << 31
}

/// When a packet had come before the last read of a socket, microseconds; 0 when that isn't known.
#[inline(always)]
pub(crate) fn before_last_read(sk: u64) -> u64 {
    match place(sk) {
        Some(note) if note.sk == sk => note.packet,
        _ => 0,
    }
}

/// The address of a socket that is at hand.
#[inline(always)]
pub(super) fn number<A: Access>(sk: &Sock<A>) -> Option<u64> {
    let word = ADDRESS.get_ptr_mut(0)?;
    // SAFETY: this CPU's own copy. Where another program gets between the two, the place is another
    // one, and what stands there another socket's.
    unsafe {
        word.write_volatile(sk.0 as u64);
        Some(forget(&mut *word))
    }
}

#[inline(always)]
fn place(sk: u64) -> Option<&'static mut Note> {
    /// 2^64 divided by the golden ratio: spreads what differs in some bits over the highest ones.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let hash = sk.wrapping_mul(SPREAD) >> (u64::BITS - PLACES.ilog2());
    let note = ARRIVALS.get_ptr_mut(hash as u32)?;
    // SAFETY: a live map value. Sockets that share it may be read on two CPUs at once: whoever finds
    // another's address, or sequence numbers that don't go with what it read, knows no time.
    Some(unsafe { &mut *note })
}
