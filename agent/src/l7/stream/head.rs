//! Heads, which may come in parts.

use super::{Origin, Stream};
use crate::l7::{
    counters::Rejection,
    http1::{Head, Parsed, Reader},
};

/// The bytes of a head that isn't whole yet.
#[derive(Debug)]
pub(super) struct Partial {
    bytes: Vec<u8>,
    origin: Origin,
}

/// Memory for heads in parts: a limit for each and one for all connections together.
#[derive(Debug)]
pub(in crate::l7) struct Buffers {
    pub(in crate::l7) each: usize,
    pub(in crate::l7) all: usize,
    pub(in crate::l7) used: usize,
}

/// What reading a head gave.
pub(in crate::l7) enum Reading<T> {
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
pub(in crate::l7) struct Refusal {
    pub(in crate::l7) reason: Rejection,
    pub(in crate::l7) origin: Origin,
    /// Earlier bytes were a part of it, so the present ones deserve a look of their own.
    pub(in crate::l7) continued: bool,
    /// It looks like a status line: earlier bytes of it are still kept.
    pub(in crate::l7) response: bool,
}

impl Stream {
    pub(in crate::l7) const fn has_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// A head that isn't whole yet.
    pub(in crate::l7) fn partial(&self) -> &[u8] {
        let bytes = self.partial.as_ref().map(|partial| &partial.bytes[..]);
        bytes.unwrap_or_default()
    }

    /// Whether what is kept of a head, with `bytes` behind it, begins as `begins` says.
    pub(in crate::l7) fn begins_head(&self, bytes: &[u8], begins: impl Fn(&[u8]) -> bool) -> bool {
        /// More than the longest known method, a space and the first byte of a target.
        const ENOUGH: usize = 16;
        let mut front = self.partial().to_vec();
        front.extend(bytes.iter().take(ENOUGH));
        begins(&front)
    }

    /// A head that isn't whole yet belongs to a message that is only now told of.
    pub(in crate::l7) fn partial_waited(&mut self) {
        if let Some(partial) = &mut self.partial {
            partial.origin.waited = true;
        }
    }

    /// When a head began that isn't whole yet.
    pub(in crate::l7) fn partial_since(&self) -> Option<u64> {
        self.partial.as_ref().map(|partial| partial.origin.time)
    }

    /// Reads a head from the front of `bytes`, after what was kept of earlier ones.
    pub(in crate::l7) fn read_head<T: Head>(
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
    pub(in crate::l7) fn cut_head<T: Head>(
        &mut self,
        buffers: &mut Buffers,
        reader: &mut Reader,
    ) -> Option<(Option<T>, Origin)> {
        let partial = self.partial.take()?;
        buffers.used -= partial.bytes.len();
        Some((T::salvage(&partial.bytes, reader), partial.origin))
    }

    /// Forgets a head that isn't whole; `false` when there was none.
    pub(in crate::l7) fn drop_head(&mut self, buffers: &mut Buffers) -> bool {
        let partial = self.partial.take();
        buffers.used -= partial.as_ref().map_or(0, |partial| partial.bytes.len());
        partial.is_some()
    }
}

impl Buffers {
    /// Bytes that a head with `kept` bytes in memory may still take.
    pub(in crate::l7) const fn room(&self, kept: usize) -> usize {
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
