//! Forgets the series of services that are gone.

use std::{cell::RefCell, collections::HashMap, ptr, sync::Arc};

use super::observer::Observer;
use crate::metric::Resource;

/// Ticks between two looks.
pub(super) const EVERY: u32 = 60;
/// Ticks for which the series of a service without processes stay: long enough that every scraper
/// has read the last values, and that a service which restarts goes on with its series.
const KEEP: u32 = 15 * 60;

/// When each service was last seen with a process.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// By the address of the resource, which the series share.
    alive: RefCell<HashMap<usize, u32>>,
}

impl Retention {
    /// Drops what has been gone for long; `tick` counts seconds.
    pub(super) fn apply(&self, tick: u32, observer: &mut Observer) {
        {
            let mut alive = self.alive.borrow_mut();
            for resource in observer.processes.live_resources() {
                alive.insert(address(resource), tick);
            }
            alive.insert(address(&observer.host), tick);
        }
        let keep = |resource: &Resource| self.keep(ptr::from_ref(resource).addr(), tick);
        observer.red.retain(keep);
        observer.tcp.retain(keep);
        observer.syscalls.retain(keep);
        observer.lifecycle.retain(keep);
        // What is no longer kept has no series that could ask for it again.
        self.alive
            .borrow_mut()
            .retain(|_, last| tick.wrapping_sub(*last) <= KEEP);
    }

    /// A service that came and went between two looks counts from the first look that finds it.
    fn keep(&self, address: usize, tick: u32) -> bool {
        let last = *self.alive.borrow_mut().entry(address).or_insert(tick);
        tick.wrapping_sub(last) <= KEEP
    }
}

fn address(resource: &Arc<Resource>) -> usize {
    Arc::as_ptr(resource).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_kept_for_a_while_after_it_was_last_seen() {
        let retention = Retention::default();
        assert!(retention.keep(7, 100), "found for the first time");
        assert!(retention.keep(7, 100 + KEEP));
        assert!(!retention.keep(7, 101 + KEEP));
        retention.alive.borrow_mut().insert(7, 101 + KEEP);
        assert!(retention.keep(7, 102 + KEEP), "seen again");
    }
}
