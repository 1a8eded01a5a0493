//! How many requests of whom were under way, on average.

use std::collections::HashMap;

use crate::aggregate::{
    cardinality::{Limits, Table, Usage},
    service::ServiceId,
};

/// Whose requests, and on which disk.
type Key = (Option<ServiceId>, u32);

/// Mean number of requests under way between two readings.
///
/// The time that requests have spent so far, those under way included, grows by the number of
/// requests under way in each moment: what it has grown by, over the time between two readings, is
/// the mean number of requests.
#[derive(Debug)]
pub(super) struct Lengths {
    /// When the last reading was, `CLOCK_MONOTONIC` in nanoseconds.
    last: Option<u64>,
    /// Nanoseconds that the requests under way at the last reading had spent until then.
    spent: HashMap<Key, u64>,
    /// What the present reading has so far: of requests that ended, and of those under way.
    ended: HashMap<Key, u64>,
    under_way: HashMap<Key, u64>,
    pub(super) means: Table<u32, f64>,
}

impl Lengths {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            last: None,
            spent: HashMap::new(),
            ended: HashMap::new(),
            under_way: HashMap::new(),
            means: Table::new("block.queue_length", limits),
        }
    }

    /// Requests that ended since the last reading have spent so many nanoseconds in their lives.
    pub(super) fn ended(&mut self, service: Option<ServiceId>, device: u32, spent: u64) {
        *self.ended.entry((service, device)).or_default() += spent;
    }

    /// A request under way has spent so many.
    pub(super) fn under_way(&mut self, service: Option<ServiceId>, device: u32, spent: u64) {
        *self.under_way.entry((service, device)).or_default() += spent;
    }

    /// Ends the reading of `now`.
    pub(super) fn finish(&mut self, now: u64) {
        let before = std::mem::replace(&mut self.spent, std::mem::take(&mut self.under_way));
        let ended = std::mem::take(&mut self.ended);
        let Some(last) = self.last.replace(now) else {
            return;
        };
        self.means.values_mut().for_each(|mean| *mean = 0.0);
        if now <= last {
            return;
        }
        let mut grown = ended;
        for (key, spent) in &self.spent {
            *grown.entry(*key).or_default() += spent;
        }
        for ((service, device), spent) in grown {
            let counted = before.get(&(service, device)).copied().unwrap_or(0);
            // Less than before only where a request was read while it ended.
            let mean = spent.saturating_sub(counted) as f64 / (now - last) as f64;
            *self.means.observe(service, Some(device)) += mean;
        }
    }

    pub(super) fn usage(&self) -> Usage {
        self.means.usage()
    }
}
