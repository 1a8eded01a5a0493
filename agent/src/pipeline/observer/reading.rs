//! What is read when a snapshot is made.

use std::time::SystemTime;

use sonde_common::event::tcp::{AcceptQueue, Totals};

use super::{Observer, owner_of};
use crate::{
    aggregate::{red::Active, usage::Reading},
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
        match Clock::since_boot() {
            Ok(now) => {
                let processes = &mut self.processes;
                self.usage
                    .read(reading, now, sleeps, |tgid| processes.owner(tgid));
            }
            Err(error) => tracing::warn!(%error, "can't read the clock; what tasks use isn't told"),
        }
    }

    /// Takes in how full the queues of the sockets that listen are.
    pub(in crate::pipeline) fn accept_queues(&mut self, queues: &[AcceptQueue], now: u64) {
        let time = SystemTime::now();
        let (processes, listeners) = (&mut self.processes, &self.listeners);
        self.accept_queues.read(queues, time, now, |queue| {
            let listener = &queue.listener;
            // Whoever made it listen may have left it to others.
            let heir = || listeners.owner(listener.netns, listener.port);
            let tgid = Some(listener.tgid)
                .filter(|tgid| processes.is_live(*tgid))
                .or_else(heir);
            processes.owner(tgid.unwrap_or(listener.tgid))
        });
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
