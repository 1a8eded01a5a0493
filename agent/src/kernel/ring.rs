//! The ring buffer's reading end: bytes to typed events.

use aya::{
    Ebpf,
    maps::{MapData, MapError, RingBuf},
};

use crate::{
    event::Event,
    probe::decode::{Malformed, decode},
};

/// Reads what the programs send.
pub struct Ring {
    buffer: RingBuf<MapData>,
    /// Records read.
    records: u64,
    /// Records that are no known event: the two sides don't match.
    malformed: u64,
}

/// Why there is no ring.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object has no such map.
    #[error("the kernel side has no map EVENTS")]
    Missing,
    /// It can't be mapped into memory.
    #[error("can't map the ring buffer: {0}")]
    Map(#[from] MapError),
}

impl Ring {
    /// Takes the ring out of the loaded object.
    pub fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let map = ebpf.take_map("EVENTS").ok_or(Error::Missing)?;
        Ok(Self {
            buffer: RingBuf::try_from(map)?,
            records: 0,
            malformed: 0,
        })
    }

    /// Hands over at most `limit` records, oldest first; how many there were. A record may hold
    /// more than one event.
    pub fn drain(&mut self, limit: usize, mut sink: impl FnMut(Event<'_>)) -> usize {
        let mut count = 0;
        while count < limit {
            let Some(record) = self.buffer.next() else {
                break;
            };
            count += 1;
            if let Err(Malformed) = decode(&record, &mut sink) {
                self.malformed += 1;
            }
        }
        self.records += count as u64;
        count
    }

    /// Records read so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Records that were no known event.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}
