//! The thread that looks for libraries: what it is told, and what it does by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::{Duration, Instant},
};

use super::{
    Message, Named, QUEUE, Settings, finder::Finder, host::Host, schedule::Schedule, stats::Stats,
    watched::Attach,
};
use crate::kernel::{sys, uprobe::Programs};

/// Time between two readings of what is in `/proc`.
const SWEEP: Duration = Duration::from_secs(30);
/// The same while something waits to be let go of.
const SOON: Duration = Duration::from_secs(2);
/// Looks between two readings of the queue.
const BATCH: usize = 64;
/// Most looks in a second: some 5 % of a CPU.
const LOOKS: u32 = 500;
/// Open descriptors that the breakpoints may need.
const DESCRIPTORS: u64 = 16_384;

/// What the thread owns.
pub(super) struct Worker<A: Attach> {
    finder: Finder<A>,
    schedule: Schedule,
    missed: Arc<AtomicBool>,
    answers: SyncSender<Named>,
    swept: Instant,
    /// Looks that may still be had in this second.
    looks: u32,
    second: Instant,
}

impl Worker<Programs> {
    /// One that has looked at nothing yet.
    pub(super) fn new(
        settings: Settings,
        stats: Arc<Stats>,
        missed: Arc<AtomicBool>,
        answers: SyncSender<Named>,
    ) -> Self {
        if let Err(error) = sys::raise_descriptor_limit(DESCRIPTORS) {
            tracing::debug!(%error, "limit on open descriptors");
        }
        let host = Host::new(settings.rootfs);
        let finder = Finder::new(
            settings.procfs,
            host,
            settings.own,
            settings.programs,
            stats,
        );
        let now = Instant::now();
        Self {
            finder,
            schedule: Schedule::default(),
            missed,
            answers,
            swept: now,
            looks: LOOKS,
            second: now,
        }
    }
}

impl<A: Attach> Worker<A> {
    /// Watches what is there already.
    pub(super) fn begin(&mut self) {
        let now = Instant::now();
        self.finder.watch_host(now);
        self.finder.sweep(now);
    }

    /// Does what it is told, and what is due, until it is told to stop.
    pub(super) fn run(&mut self, messages: &Receiver<Message>) {
        loop {
            let first = messages.recv_timeout(self.pause());
            if matches!(first, Err(RecvTimeoutError::Disconnected)) {
                break;
            }
            let mut stop = false;
            for message in first
                .ok()
                .into_iter()
                .chain(messages.try_iter().take(QUEUE))
            {
                stop |= matches!(message, Message::Stop);
                self.take(message);
            }
            if stop {
                break;
            }
            self.look();
            self.sweep();
        }
        self.finder.stop();
    }

    fn take(&mut self, message: Message) {
        let now = Instant::now();
        match message {
            Message::Exec(tgid) => {
                if !self.schedule.exec(tgid, now) {
                    self.missed.store(true, Relaxed);
                }
            }
            Message::Exit(tgid) => self.finder.exit(tgid, now),
            // Whoever asks reads the answers each second, so this waits hardly ever, and not for
            // long. It fails when nobody asks any more.
            Message::Uncovered(uncovered) => {
                let late = uncovered.late != 0;
                let library = self.finder.name(uncovered.header.tgid, late, now);
                let _ = self.answers.send((uncovered, library));
            }
            Message::Stop => {}
        }
    }

    /// Looks at processes whose time has come.
    fn look(&mut self) {
        let now = Instant::now();
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.looks) = (now, LOOKS);
        }
        for _ in 0..BATCH.min(self.looks as usize) {
            let Some(tgid) = self.schedule.due(now) else {
                break;
            };
            self.looks -= 1;
            self.finder.look(tgid, now);
        }
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        let soon = self.finder.any_to_end() || self.missed.load(Relaxed);
        if now.saturating_duration_since(self.swept) >= if soon { SOON } else { SWEEP } {
            self.missed.store(false, Relaxed);
            self.swept = now;
            self.finder.sweep(now);
        }
    }

    /// Until something is to be done without having been told to.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let next = self.schedule.next();
        let look = next.map_or(SOON, |due| due.saturating_duration_since(now));
        // Out of looks: those that are due wait for the next second.
        let look = if self.looks == 0 {
            (self.second + Duration::from_secs(1)).saturating_duration_since(now)
        } else {
            look
        };
        look.clamp(Duration::from_millis(1), SOON)
    }
}
