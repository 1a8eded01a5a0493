//! Processes that ended: kept for a while, because their last data is read after their end.

use super::Processes;
use crate::enrich::{counter::Loss, instance::InstanceId, start::StartTime};

/// An exited process.
#[derive(Debug)]
pub(super) struct Exited {
    pub(super) start: StartTime,
    pub(super) since: u64,
    /// When the agent was told, or found out.
    pub(super) at: u64,
    pub(super) instance: Option<InstanceId>,
}

impl Processes {
    /// Forgets processes that exited longer ago than [`super::Limits::keep`] before `now`
    /// (`CLOCK_MONOTONIC` nanoseconds), and instances that nobody refers to any more.
    pub fn expire(&mut self, now: u64) {
        self.now = self.now.max(now);
        let keep = u64::try_from(self.limits.keep.as_nanos()).unwrap_or(u64::MAX);
        while let Some((at, _)) = self.ended.front()
            && at.saturating_add(keep) <= self.now
        {
            self.forget_oldest();
        }
        self.instances.collect();
    }

    /// The live process with this number has ended.
    pub(super) fn retire(&mut self, tgid: u32, at: u64) {
        let Some(live) = self.slots.get_mut(&tgid).and_then(|slot| slot.live.take()) else {
            return;
        };
        self.live -= 1;
        self.instances.end(live.instance, tgid, live.start);
        let exited = Exited {
            start: live.start,
            since: live.since,
            at,
            instance: live.instance,
        };
        self.keep_exited(tgid, exited);
    }

    pub(super) fn keep_exited(&mut self, tgid: u32, exited: Exited) {
        if self.ended.len() >= self.limits.exited {
            self.losses.add(Loss::ExitedEvicted);
            self.forget_oldest();
        }
        self.ended.push_back((exited.at, tgid));
        self.slots.entry(tgid).or_default().exited.push(exited);
    }

    fn forget_oldest(&mut self) {
        let Some((_, tgid)) = self.ended.pop_front() else {
            return;
        };
        let Some(slot) = self.slots.get_mut(&tgid) else {
            return;
        };
        // Both queues are in the order of the ends, so the number's first is the one.
        if !slot.exited.is_empty() {
            let exited = slot.exited.remove(0);
            self.instances.leave(exited.instance);
        }
        if slot.live.is_none() && slot.exited.is_empty() {
            self.slots.remove(&tgid);
        }
    }
}
