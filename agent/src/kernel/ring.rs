//! The ring buffer's reading end: bytes to typed events.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
};

use aya::{
    Ebpf,
    maps::{Array, Map, MapData, MapError},
};

use self::area::{Area, Next};
use crate::{
    event::Event,
    probe::decode::{Malformed, decode},
};

mod area;

/// Records after which their space is given back: often enough for a full ring, seldom enough for
/// the programs that look there.
const RELEASE: usize = 64;

/// Reads what the programs send.
pub struct Ring {
    map: MapData,
    area: Area,
    /// Has the programs wake who polls the ring.
    waiting: Array<MapData, u32>,
    /// Records read.
    records: u64,
    /// Records that are no known event: the two sides don't match.
    malformed: u64,
}

/// Why there is no ring.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object has no such map.
    #[error("the kernel side has no map {0}")]
    Missing(&'static str),
    /// The kernel doesn't tell how large it is.
    #[error("can't read the ring buffer's size: {0}")]
    Size(#[from] MapError),
    /// The word beside it is of another type than the two sides agreed on.
    #[error("can't use map WAITING: {0}")]
    Waiting(MapError),
    /// It can't be mapped into memory.
    #[error("can't map the ring buffer: {0}")]
    Map(#[from] io::Error),
}

impl Ring {
    /// Takes the ring out of the loaded object.
    pub fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let Some(Map::RingBuf(map)) = ebpf.take_map("EVENTS") else {
            return Err(Error::Missing("EVENTS"));
        };
        let waiting = ebpf.take_map("WAITING").ok_or(Error::Missing("WAITING"))?;
        let size = map.info()?.max_entries();
        Ok(Self {
            area: Area::new(map.fd().as_fd(), size as usize)?,
            waiting: waiting.try_into().map_err(Error::Waiting)?,
            map,
            records: 0,
            malformed: 0,
        })
    }

    /// Hands over at most `limit` records, oldest first; how many there were. A record may hold
    /// more than one event.
    pub fn drain(&mut self, limit: usize, mut sink: impl FnMut(Event<'_>)) -> usize {
        let mut count = 0;
        while count < limit {
            match self.area.next() {
                Next::Nothing => break,
                Next::Discarded => {}
                Next::Record(record) => {
                    count += 1;
                    if let Err(Malformed) = decode(record, &mut sink) {
                        self.malformed += 1;
                    }
                }
            }
            if count.is_multiple_of(RELEASE) {
                self.area.release();
            }
        }
        self.area.release();
        self.records += count as u64;
        count
    }

    /// Has the next record wake who polls what is returned, once: for a reader that has found
    /// nothing. A record that comes in this very moment may wake nobody, so don't wait for long.
    pub fn watch(&mut self) -> Result<BorrowedFd<'_>, MapError> {
        self.waiting.set(0, 1, 0)?;
        Ok(self.map.fd().as_fd())
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
