//! The lives of processes, and who they turn out to be.

use std::sync::Arc;

use sonde_common::event::process::{Exec, Exit, Fork};

use super::Observer;
use crate::signal::Signal;

/// Processes that have forked and whose program isn't known yet; beyond, they count for whoever
/// forked them.
const FORKS: usize = 4096;
/// After this time a process that hasn't executed anything is taken for what it was forked from,
/// nanoseconds.
const FORK_SETTLES: u64 = 1_000_000_000;

impl Observer {
    /// A start counts for the program that the process turns out to run: that is known at its
    /// exec, at its end, or after a moment.
    pub(super) fn fork(&mut self, fork: &Fork) {
        self.processes.fork(fork);
        if self.forks.len() < FORKS {
            self.forks.insert(fork.child, *fork);
        } else {
            let owner = self.processes.owner(fork.child);
            self.lifecycle.started(fork, &owner, &self.clock);
        }
    }

    pub(super) fn exec(&mut self, exec: &Exec) {
        self.processes.exec(exec);
        if let Some(tls) = &self.tls {
            tls.exec(exec.header.tgid);
        }
        self.settle_fork(exec.header.tgid);
    }

    pub(super) fn exit(&mut self, exit: &Exit) {
        let tgid = exit.header.tgid;
        self.settle_fork(tgid);
        let owner = self.processes.owner(tgid);
        if let Some(record) = self.lifecycle.exited(exit, &owner, &self.clock) {
            self.sink.send(Signal::Log(Arc::new(record)));
        }
        self.usage.exited(exit, &owner);
        self.processes.exit(exit);
        self.ended.push(tgid);
        if let Some(tls) = &self.tls {
            tls.exit(tgid);
        }
    }

    fn settle_fork(&mut self, tgid: u32) {
        if let Some(fork) = self.forks.remove(&tgid) {
            let owner = self.processes.owner(tgid);
            self.lifecycle.started(&fork, &owner, &self.clock);
        }
    }

    pub(super) fn settle_forks(&mut self, now: u64) {
        let settled: Vec<u32> = self
            .forks
            .iter()
            .filter(|(_, fork)| now.saturating_sub(fork.header.time) > FORK_SETTLES)
            .map(|(tgid, _)| *tgid)
            .collect();
        for tgid in settled {
            self.settle_fork(tgid);
        }
    }

    /// Takes in what has become known of pods.
    pub(in crate::pipeline) fn take_pods(&mut self) {
        if let Some(kubernetes) = &mut self.kubernetes {
            for update in kubernetes.updates() {
                self.processes.pods(update);
            }
        }
    }

    /// Gives the series of services whose main process was replaced, or whose pod has become
    /// known, to their new resources.
    pub(in crate::pipeline) fn renew(&mut self, now: u64) {
        for renewed in self.processes.renew(now) {
            if renewed.is_renamed() {
                let (old, new) = (&renewed.old.identity, &renewed.new.identity);
                let renames = Arc::make_mut(&mut self.renames);
                if !renames.note(old, new, renewed.merges) {
                    self.renames_untold += 1;
                }
            }
            self.red.renew(&renewed);
            self.calls.renew(&renewed);
            self.tcp.renew(&renewed);
            self.accept_queues.renew(&renewed);
            self.syscalls.renew(&renewed);
            self.blocks.renew(&renewed);
            self.lifecycle.renew(&renewed);
            self.uncovered.renew(&renewed);
            self.usage.renew(&renewed);
        }
    }
}
