//! How much of each connection's totals has been counted already.

use std::collections::{HashMap, HashSet};

use sonde_common::event::tcp::{Role, Totals};

/// Readings without a connection after which it is forgotten: its end was lost.
const MISSED: u32 = 3;

/// Most ends that are remembered between two readings. Beyond it, a reading that began before an
/// end and is given after it would count that connection anew.
const ENDS: usize = 65_536;

/// What a connection did since it was last looked at.
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Growth {
    /// Whether it is the first time.
    pub(super) first: bool,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) retransmits: u64,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    sent: u64,
    received: u64,
    retransmits: u32,
    reading: u32,
}

/// What was counted of the open connections.
#[derive(Debug)]
pub(super) struct Progress {
    limit: usize,
    open: HashMap<u64, Counted>,
    /// Ends told since the last reading.
    ended: HashSet<u64>,
    reading: u32,
    /// Connections that were left out of readings for want of room.
    untracked: u64,
}

impl Progress {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: HashMap::new(),
            ended: HashSet::new(),
            reading: 0,
            untracked: 0,
        }
    }

    /// What an open connection did since the last reading; `None` when it ended meanwhile, or came
    /// before in this reading (a walk over a kernel map begins anew when its place is deleted).
    /// Nothing when there is no room to remember it: it is then counted at its end.
    pub(super) fn read(&mut self, totals: &Totals) -> Option<Growth> {
        if self.ended.contains(&totals.connection) {
            return None;
        }
        let before = self.open.get(&totals.connection).copied();
        match before {
            Some(counted) if counted.reading == self.reading => return None,
            None if self.open.len() >= self.limit => {
                self.untracked += 1;
                return Some(Growth::default());
            }
            Some(_) | None => {}
        }
        let counted = Counted::of(totals, self.reading);
        self.open.insert(totals.connection, counted);
        Some(growth(before, totals))
    }

    /// What a connection did between the last reading and its end; `None` when its end was told
    /// before.
    pub(super) fn end(&mut self, totals: &Totals) -> Option<Growth> {
        if self.ended.contains(&totals.connection) {
            return None;
        }
        if self.ended.len() < ENDS {
            self.ended.insert(totals.connection);
        }
        let before = self.open.remove(&totals.connection);
        Some(growth(before, totals))
    }

    /// Ends a reading of all open connections.
    pub(super) fn finish_reading(&mut self) {
        let reading = self.reading;
        self.open
            .retain(|_, counted| reading.wrapping_sub(counted.reading) < MISSED);
        self.ended.clear();
        self.reading = reading.wrapping_add(1);
    }

    pub(super) fn tracked(&self) -> usize {
        self.open.len()
    }

    pub(super) fn untracked(&self) -> u64 {
        self.untracked
    }
}

impl Counted {
    fn of(totals: &Totals, reading: u32) -> Self {
        Self {
            sent: totals.bytes_sent,
            received: totals.bytes_received,
            retransmits: totals.retransmits,
            reading,
        }
    }
}

fn growth(before: Option<Counted>, totals: &Totals) -> Growth {
    let first = before.is_none();
    // What a connection did before sonde saw it belongs to no interval that sonde can name.
    let before = before.unwrap_or_else(|| {
        if totals.role == Role::Unknown as u8 {
            Counted::of(totals, 0)
        } else {
            Counted {
                sent: 0,
                received: 0,
                retransmits: 0,
                reading: 0,
            }
        }
    });
    Growth {
        first,
        sent: totals.bytes_sent.saturating_sub(before.sent),
        received: totals.bytes_received.saturating_sub(before.received),
        retransmits: u64::from(totals.retransmits.saturating_sub(before.retransmits)),
    }
}
