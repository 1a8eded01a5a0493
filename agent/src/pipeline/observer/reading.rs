//! What is read when a snapshot is made.

use std::time::SystemTime;

use nix::unistd::{SysconfVar, sysconf};
use sonde_common::event::tcp::{AcceptQueue, Totals};

use super::{Observer, owner_of};
use crate::{
    aggregate::{
        red::Active,
        usage::{Moment, Reading},
    },
    clock::Clock,
    l7::exchange::Role,
};

impl Observer {
    /// Takes in what the open connections have done.
    pub(in crate::pipeline) fn open_connections(&mut self, totals: &[Totals]) {
        let now = SystemTime::now();
        let (processes, listeners) = (&mut self.processes, &self.listeners);
        self.tcp
            .read(totals, now, |totals| owner_of(processes, listeners, totals));
    }

    /// Takes in what all tasks have used; `sleeps` says whether the switches between them are watched.
    pub(in crate::pipeline) fn tasks(&mut self, reading: &Reading, sleeps: bool) {
        if let Some(states) = reading.states() {
            self.census.count(states);
        }
        match Clock::since_boot() {
            Ok(now) => {
                let processes = &mut self.processes;
                let cpus = cpus();
                let moment = Moment { now, cpus, sleeps };
                self.usage
                    .read(reading, moment, |tgid| processes.owner(tgid));
            }
            Err(error) => tracing::warn!(%error, "can't read the clock; what tasks use isn't told"),
        }
    }

    /// Takes in how full the queues of the sockets that listen are, and so who listens where.
    pub(in crate::pipeline) fn accept_queues(&mut self, queues: &[AcceptQueue], now: u64) {
        let time = SystemTime::now();
        let (processes, listeners) = (&mut self.processes, &self.listeners);
        let mut have_owners = true;
        self.accept_queues.read(queues, time, now, |queue| {
            let listener = &queue.listener;
            // Whoever made it listen may have left it to others.
            let heir = || listeners.owner(listener.netns, listener.port);
            let live = |tgid: &u32| processes.is_live(*tgid);
            let tgid = Some(listener.tgid)
                .filter(live)
                .or_else(|| heir().filter(live));
            have_owners &= tgid.is_some();
            processes.owner(tgid.unwrap_or(listener.tgid))
        });
        self.listeners_are_told = have_owners;
        self.learn_listeners(queues);
    }

    fn learn_listeners(&mut self, queues: &[AcceptQueue]) {
        let mut news = false;
        for AcceptQueue { listener, .. } in queues {
            let (netns, port) = (listener.netns, listener.port);
            let is_live = |tgid| self.processes.is_live(tgid);
            let has_owner = self.listeners.owner(netns, port).is_some_and(is_live);
            if !has_owner && is_live(listener.tgid) {
                news |= self.listeners.learn(netns, port, listener.tgid);
            }
        }
        if news {
            self.tcp.set_listening(self.listeners.ports().collect());
        }
    }

    /// Counts the requests that are in flight.
    pub(in crate::pipeline) fn requests_in_flight(&mut self) {
        let processes = &mut self.processes;
        let active = self
            .connections
            .active()
            .filter(|(role, ..)| *role == Role::Server)
            .map(|(_, tgid, method, scheme, count)| Active {
                resource: processes.owner(tgid),
                method,
                scheme,
                count,
            });
        self.red.set_active(SystemTime::now(), active);
    }
}

/// Logical CPUs that are online.
fn cpus() -> u64 {
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    online.and_then(|cpus| cpus.try_into().ok()).unwrap_or(1)
}
