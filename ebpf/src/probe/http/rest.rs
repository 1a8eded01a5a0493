//! What is left of a read or write that is told in parts: each by a run of a program, which jumps to
//! the one for the next part. The verifier would give up on all parts in one.

use sonde_common::event::{
    connection::{LOST, Stream, verdict},
    http::{Direction, flag},
};

use crate::scratch::forget;

use super::{Io, Payload, Peers, Slot, body::lose, go_on, go_on_http1, now, pass, tell_of};

/// Bytes that are still to be told, of the process's memory.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Rest {
    pub(super) payload: Payload,
    pub(crate) length: u32,
    pub(super) tgid: u32,
}

impl Rest {
    /// All of a read or write.
    #[inline(always)]
    pub(super) fn new(payload: Payload, length: u32, tgid: u32) -> Self {
        Self {
            payload,
            length,
            tgid,
        }
    }

    /// What is behind the part that was told last.
    #[inline(always)]
    pub(crate) fn behind(io: &Io, left: u32) -> Self {
        Self::new(io.payload.behind(io.length - left), left, io.tgid)
    }

    /// The same as the rest of the module takes it.
    #[inline(always)]
    pub(crate) fn io(&self, direction: Direction, slot: Slot) -> Io {
        // SAFETY: a reference. Volatile, so that it is read once: the verifier would take what
        // is read twice for two things.
        let rest = unsafe { core::ptr::from_ref(self).read_volatile() };
        Io {
            direction,
            length: rest.length,
            tgid: rest.tgid,
            payload: rest.payload,
            slot,
        }
    }
}

/// What is left of a read or write, and so which program goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// HTTP/2 frames.
    Frames,
    /// HTTP/1.x messages.
    Messages,
}

impl Left {
    /// What is left of a stream's read or write.
    #[inline(always)]
    pub(crate) fn of(stream: &mut Stream) -> Self {
        if forget(&mut stream.verdict) == verdict::HTTP2 {
            Self::Frames
        } else {
            Self::Messages
        }
    }
}

/// Parts that one run of a program tells; the kernel allows 33 jumps from program to program.
const AT_ONCE: u32 = 4;

/// Follows some of the HTTP/1.x messages that are left; whether there are more.
#[inline(always)]
pub(crate) fn tell_messages<P: Peers>(
    stream: &mut Stream,
    peers: &P,
    rest: &mut Rest,
    direction: Direction,
    slot: Slot,
) -> Option<()> {
    let io = rest.io(direction, slot);
    let left = go_on_http1(stream, peers, &io);
    *rest = Rest::behind(&io, left);
    (forget(&mut rest.length) != 0).then_some(())
}

/// Tells some parts of the HTTP/2 frames that are left; whether there are more.
#[inline(always)]
pub(crate) fn tell_parts<P: Peers>(
    stream: &mut Stream,
    peers: &P,
    rest: &mut Rest,
    direction: Direction,
    slot: Slot,
) -> Option<()> {
    let mut parts = AT_ONCE;
    loop {
        let io = rest.io(direction, slot);
        let left = go_on(stream, peers, &io);
        *rest = Rest::behind(&io, left);
        if forget(&mut rest.length) == 0 {
            return None;
        }
        parts -= 1;
        if parts == 0 {
            return Some(());
        }
    }
}

/// No program tells what is left: where the next frame begins isn't known any more.
#[inline(always)]
pub(crate) fn give_up(stream: &mut Stream, direction: Direction, rest: &Rest) {
    pass(stream, direction, rest.length);
    if stream.verdict == verdict::HTTP2 {
        let direction = direction as usize & 1;
        stream.budget[direction] = LOST;
        stream.first_length[direction] = 0;
    }
}

/// The same of messages that were followed as far as the kernel lets programs jump: that the others
/// have moved is told.
#[inline(always)]
pub(crate) fn give_up_messages(stream: &mut Stream, direction: Direction, rest: &Rest) {
    let io = rest.io(direction, Slot::NONE);
    let now = now();
    lose(stream, &io, now);
    tell_of(stream, &io, now, flag::OPAQUE);
    stream.offset[direction as usize & 1] += u64::from(io.length);
}
