//! Forgets the series of services that are gone.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use super::observer::Observer;
use crate::metric::{Attributes, Resource};

/// Ticks between two looks.
pub(super) const EVERY: u32 = 60;
/// Ticks for which the series of a service without processes stay: long enough that every scraper
/// has read the last values, and that a service which restarts goes on with its series.
const KEEP: u32 = 15 * 60;

/// When each service was last seen with a process.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// By identity, which stays when a service's main process is another one.
    alive: RefCell<HashMap<Attributes, u32>>,
}

impl Retention {
    /// Drops what has been gone for long; `tick` counts seconds.
    pub(super) fn apply(&self, tick: u32, observer: &mut Observer) {
        {
            let mut alive = self.alive.borrow_mut();
            for resource in observer.processes.live_resources() {
                alive.insert(resource.identity.clone(), tick);
            }
            alive.insert(observer.host.identity.clone(), tick);
        }
        let keep = |resource: &Resource| self.keep(&resource.identity, tick);
        if !observer.renames.is_empty() {
            Arc::make_mut(&mut observer.renames).retain(|identity| self.keep(identity, tick));
        }
        observer.red.retain(keep);
        observer.calls.retain(keep);
        observer.tcp.retain(keep);
        observer.accept_queues.retain(keep);
        observer.syscalls.retain(keep);
        observer.blocks.retain(keep);
        observer.lifecycle.retain(keep);
        observer.uncovered.retain(keep);
        observer.usage.retain(keep);
        // What is no longer kept has no series that could ask for it again.
        self.alive
            .borrow_mut()
            .retain(|_, last| tick.wrapping_sub(*last) <= KEEP);
    }

    /// A service that came and went between two looks counts from the first look that finds it.
    fn keep(&self, identity: &Attributes, tick: u32) -> bool {
        let mut alive = self.alive.borrow_mut();
        let last = *alive.entry(identity.clone()).or_insert(tick);
        tick.wrapping_sub(last) <= KEEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_kept_for_a_while_after_it_was_last_seen() {
        let retention = Retention::default();
        let shop = Attributes::from([("service.name", "shop".into())]);
        assert!(retention.keep(&shop, 100), "found for the first time");
        assert!(retention.keep(&shop, 100 + KEEP));
        assert!(!retention.keep(&shop, 101 + KEEP));
        retention
            .alive
            .borrow_mut()
            .insert(shop.clone(), 101 + KEEP);
        assert!(retention.keep(&shop, 102 + KEEP), "seen again");
    }
}
