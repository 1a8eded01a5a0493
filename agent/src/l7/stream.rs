//! One direction of a connection: where it is, what comes next, and a head that isn't whole yet.

use sonde_common::event::tcp::Info;

use super::{
    body::Body,
    counters::Rejection,
    http1::{Head, Parsed, Reader},
};

/// One direction.
#[derive(Debug)]
pub(super) struct Stream {
    /// Position after the last byte that was told of.
    pub(super) next: u64,
    /// When the last byte moved.
    pub(super) last: u64,
    /// Payload of the present body.
    pub(super) payload: u64,
    pub(super) state: State,
    partial: Option<Box<Partial>>,
}

/// What the next byte belongs to.
#[derive(Debug)]
pub(super) enum State {
    /// Not known. Only a head at the start of a read or write ends this.
    Seeking,
    /// A head; its first bytes may have been seen.
    Boundary,
    /// A body whose end will be known.
    Body(Body),
    /// The first byte of a request's body that may be left out.
    Offered(Body),
    /// A message whose end can only be inferred.
    Lost(Lost),
    /// Nothing that matters.
    Ended,
}

/// The end of a chunk, and the last chunk without a trailer section (RFC 9112, section 7.1).
const LAST_CHUNK: &[u8; 7] = b"\r\n0\r\n\r\n";

/// The rest of a message after its framing was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// The last bytes, as far as they were captured.
    tail: [u8; LAST_CHUNK.len()],
    /// When the last byte moved.
    pub(super) end: u64,
    /// When the last byte before lost records moved; 0 when no records were lost.
    pub(super) sure: u64,
}

/// Where a message began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) time: u64,
    pub(super) tgid: u32,
    /// How long it lay in the socket, microseconds.
    pub(super) queued: Option<u32>,
    pub(super) tcp: Option<Info>,
    /// At the start of a read or write.
    pub(super) fresh: bool,
    /// At the start of the stream.
    pub(super) first: bool,
    /// It waited for the message in the other direction that it belongs to.
    pub(super) waited: bool,
}

#[derive(Debug)]
struct Partial {
    bytes: Vec<u8>,
    origin: Origin,
}

/// Memory for heads in parts: a limit for each and one for all connections together.
#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) each: usize,
    pub(super) all: usize,
    pub(super) used: usize,
}

/// What reading a head gave.
pub(super) enum Reading<T> {
    /// All bytes taken; the head goes on.
    More,
    /// A whole head; `used` bytes were taken.
    Whole {
        head: T,
        origin: Origin,
        used: usize,
    },
    /// A head longer than may be kept, or too many of them, and what could be read of it.
    Cut { head: Option<T>, origin: Origin },
    /// No head.
    Invalid(Refusal),
}

/// Bytes that are no head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) reason: Rejection,
    pub(super) origin: Origin,
    /// Earlier bytes were a part of it, so the present ones deserve a look of their own.
    pub(super) continued: bool,
    /// It looks like a status line: earlier bytes of it are still kept.
    pub(super) response: bool,
}

impl Origin {
    /// The same read or write, after its first bytes.
    pub(super) fn pass(&mut self) {
        self.fresh = false;
        self.first = false;
    }
}

impl Lost {
    pub(super) const fn new(time: u64) -> Self {
        Self {
            tail: [0; LAST_CHUNK.len()],
            end: time,
            sure: 0,
        }
    }

    /// Further bytes.
    pub(super) fn note(&mut self, bytes: &[u8], time: u64) {
        self.end = time;
        let last = bytes.len().saturating_sub(self.tail.len());
        for byte in bytes.get(last..).unwrap_or(bytes) {
            self.tail.rotate_left(1);
            if let Some(end) = self.tail.last_mut() {
                *end = *byte;
            }
        }
    }

    /// Bytes that nobody saw.
    pub(super) fn gap(&mut self, lost_records: bool) {
        self.tail = [0; LAST_CHUNK.len()];
        if lost_records && self.sure == 0 {
            self.sure = self.end;
        }
    }

    /// The last bytes are those of a last chunk, a trailer section or a head.
    pub(super) const fn may_be_over(&self) -> bool {
        matches!(self.tail, [.., b'\r', b'\n', b'\r', b'\n'])
    }

    /// The last bytes are those of a last chunk, and of no head. A last chunk that was written as
    /// a piece of its own is captured without what stands before it.
    pub(super) fn has_last_chunk(&self) -> bool {
        let [first, second, end @ ..] = &self.tail;
        let before = [*first, *second];
        LAST_CHUNK.ends_with(end) && (LAST_CHUNK.starts_with(&before) || before == [0; 2])
    }
}

impl Stream {
    /// A stream at its beginning, or, when `late`, anywhere.
    pub(super) const fn new(late: bool) -> Self {
        Self {
            next: 0,
            last: 0,
            payload: 0,
            state: if late {
                State::Seeking
            } else {
                State::Boundary
            },
            partial: None,
        }
    }

    pub(super) const fn is_boundary(&self) -> bool {
        matches!(self.state, State::Boundary)
    }

    /// It is known where the next message begins, or will be.
    pub(super) const fn is_in_step(&self) -> bool {
        matches!(
            self.state,
            State::Boundary | State::Body(_) | State::Offered(_)
        )
    }

    pub(super) const fn is_seeking(&self) -> bool {
        matches!(self.state, State::Seeking)
    }

    pub(super) const fn has_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// A head that isn't whole yet.
    pub(super) fn partial(&self) -> &[u8] {
        let bytes = self.partial.as_ref().map(|partial| &partial.bytes[..]);
        bytes.unwrap_or_default()
    }

    /// Whether what is kept of a head, with `bytes` behind it, begins as `begins` says.
    pub(super) fn begins_head(&self, bytes: &[u8], begins: impl Fn(&[u8]) -> bool) -> bool {
        /// More than the longest known method, a space and the first byte of a target.
        const ENOUGH: usize = 16;
        let mut front = self.partial().to_vec();
        front.extend(bytes.iter().take(ENOUGH));
        begins(&front)
    }

    /// A head that isn't whole yet belongs to a message that is only now told of.
    pub(super) fn partial_waited(&mut self) {
        if let Some(partial) = &mut self.partial {
            partial.origin.waited = true;
        }
    }

    /// When a head began that isn't whole yet.
    pub(super) fn partial_since(&self) -> Option<u64> {
        self.partial.as_ref().map(|partial| partial.origin.time)
    }

    /// Starts a body.
    pub(super) fn begin(&mut self, body: Body) {
        self.payload = 0;
        self.state = State::Body(body);
    }

    /// Whether the body that starts may be left out.
    pub(super) fn offer(&mut self, offers: bool) {
        if offers && let State::Body(body) = self.state {
            self.state = State::Offered(body);
        }
    }

    /// A body that was offered comes.
    pub(super) fn accept(&mut self) {
        if let State::Offered(body) = self.state {
            self.state = State::Body(body);
        }
    }

    /// Reads a head from the front of `bytes`, after what was kept of earlier ones.
    pub(super) fn read_head<T: Head>(
        &mut self,
        bytes: &[u8],
        origin: Origin,
        buffers: &mut Buffers,
        reader: &mut Reader,
    ) -> Reading<T> {
        if self.partial.is_some() {
            return self.continue_head(bytes, buffers, reader);
        }
        match T::parse(bytes, reader) {
            Parsed::Complete { value, length } => Reading::Whole {
                head: value,
                origin,
                used: length,
            },
            Parsed::Partial => self.keep(bytes, origin, buffers, reader),
            Parsed::Invalid(reason) => Reading::Invalid(Refusal {
                reason,
                origin,
                continued: false,
                response: bytes.starts_with(b"HTTP/"),
            }),
        }
    }

    fn keep<T: Head>(
        &mut self,
        bytes: &[u8],
        origin: Origin,
        buffers: &mut Buffers,
        reader: &mut Reader,
    ) -> Reading<T> {
        if bytes.len() > buffers.room(0) {
            let head = T::salvage(bytes, reader);
            return Reading::Cut { head, origin };
        }
        buffers.used += bytes.len();
        let bytes = bytes.to_vec();
        self.partial = Some(Box::new(Partial { bytes, origin }));
        Reading::More
    }

    fn continue_head<T: Head>(
        &mut self,
        bytes: &[u8],
        buffers: &mut Buffers,
        reader: &mut Reader,
    ) -> Reading<T> {
        let Some(mut partial) = self.partial.take() else {
            return Reading::More;
        };
        let before = partial.bytes.len();
        let room = buffers.room(before);
        let taken = bytes.get(..room).unwrap_or(bytes);
        partial.bytes.extend_from_slice(taken);
        buffers.used -= before;
        let origin = partial.origin;
        let parsed = if may_decide(&partial.bytes, before) {
            T::parse(&partial.bytes, reader)
        } else {
            Parsed::Partial
        };
        match parsed {
            Parsed::Complete { value, length } => Reading::Whole {
                head: value,
                origin,
                used: length.saturating_sub(before),
            },
            Parsed::Partial if taken.len() < bytes.len() => Reading::Cut {
                head: T::salvage(&partial.bytes, reader),
                origin,
            },
            Parsed::Partial => {
                buffers.used += partial.bytes.len();
                self.partial = Some(partial);
                Reading::More
            }
            Parsed::Invalid(reason) => {
                let response = partial.bytes.starts_with(b"HTTP/");
                if response {
                    partial.bytes.truncate(before);
                    buffers.used += before;
                    self.partial = Some(partial);
                }
                Reading::Invalid(Refusal {
                    reason,
                    origin,
                    continued: true,
                    response,
                })
            }
        }
    }

    /// Ends a head that isn't whole: what can be read of it, and where it began.
    pub(super) fn cut_head<T: Head>(
        &mut self,
        buffers: &mut Buffers,
        reader: &mut Reader,
    ) -> Option<(Option<T>, Origin)> {
        let partial = self.partial.take()?;
        buffers.used -= partial.bytes.len();
        Some((T::salvage(&partial.bytes, reader), partial.origin))
    }

    /// Forgets a head that isn't whole; `false` when there was none.
    pub(super) fn drop_head(&mut self, buffers: &mut Buffers) -> bool {
        let partial = self.partial.take();
        buffers.used -= partial.as_ref().map_or(0, |partial| partial.bytes.len());
        partial.is_some()
    }
}

impl Buffers {
    /// Bytes that a head with `kept` bytes in memory may still take.
    pub(super) const fn room(&self, kept: usize) -> usize {
        let each = self.each.saturating_sub(kept);
        let all = self.all.saturating_sub(self.used);
        if each < all { each } else { all }
    }
}

/// Whether the bytes after the first `before` may have changed a parser's mind: they end the
/// first line or the head, or begin it. Keeps one-byte writes from costing the square.
fn may_decide(bytes: &[u8], before: usize) -> bool {
    /// A first word that is longer is no method.
    const FIRST_WORD: usize = 80;
    let new = bytes.get(before..).unwrap_or_default();
    if before < FIRST_WORD && !bytes.get(..before).unwrap_or_default().contains(&b' ') {
        return true;
    }
    if !new.contains(&b'\n') {
        return false;
    }
    let first_line = !bytes.get(..before).unwrap_or_default().contains(&b'\n');
    let around = bytes.get(before.saturating_sub(2)..).unwrap_or_default();
    first_line
        || around.windows(2).any(|pair| pair == b"\n\n")
        || around.windows(3).any(|three| three == b"\n\r\n")
}
