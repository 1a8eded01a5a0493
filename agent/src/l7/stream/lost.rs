//! A message whose framing was lost: what its last bytes tell of its end.

/// The end of a chunk, and the last chunk without a trailer section (RFC 9112, section 7.1).
const LAST_CHUNK: &[u8; 7] = b"\r\n0\r\n\r\n";

/// The rest of a message after its framing was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::l7) struct Lost {
    /// The last bytes, as far as they were captured.
    tail: [u8; LAST_CHUNK.len()],
    /// When the last byte moved.
    pub(in crate::l7) end: u64,
    /// When the last byte before lost records moved; 0 when no records were lost.
    pub(in crate::l7) sure: u64,
}

impl Lost {
    pub(in crate::l7) const fn new(time: u64) -> Self {
        Self {
            tail: [0; LAST_CHUNK.len()],
            end: time,
            sure: 0,
        }
    }

    /// Further bytes.
    pub(in crate::l7) fn note(&mut self, bytes: &[u8], time: u64) {
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
    pub(in crate::l7) fn gap(&mut self, lost_records: bool) {
        self.tail = [0; LAST_CHUNK.len()];
        if lost_records && self.sure == 0 {
            self.sure = self.end;
        }
    }

    /// The last bytes are those of a last chunk, a trailer section or a head.
    pub(in crate::l7) const fn may_be_over(&self) -> bool {
        matches!(self.tail, [.., b'\r', b'\n', b'\r', b'\n'])
    }

    /// The last bytes are those of a last chunk, and of no head. A last chunk that was written as
    /// a piece of its own is captured without what stands before it.
    pub(in crate::l7) fn has_last_chunk(&self) -> bool {
        let [first, second, end @ ..] = &self.tail;
        let before = [*first, *second];
        LAST_CHUNK.ends_with(end) && (LAST_CHUNK.starts_with(&before) || before == [0; 2])
    }
}
