//! The observer thread: drain, tick, snapshot, stop.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    control::{Control, Gone, Receiver, Woken},
    observer::{Observer, Parts},
    parts,
    retention::{self, Retention},
    sink::Sink,
    snapshot::{self, Kernel},
    start::Started,
};
use crate::{
    aggregate::rpc::{CallLimits, Calls},
    clock::Clock,
    config::{Config, value::Statistics},
    enrich::listener::Listeners,
    kernel::attach::Programs,
    metric::{Collector, Family, Resource, Snapshot},
    probe::process,
    resource::Census,
};

/// Records that are taken in between two looks at the commands.
const BATCH: usize = 65_536;
/// Records that a drain should find. Where a service and its clients keep all CPUs busy, each
/// moment in which the observer has one of them for itself is one in which the others soon have
/// nothing to do: many short ones cost less than a few long ones.
const FEW: u32 = 256;
/// Least and longest pause between two drains: the ring holds what comes in between, and a timed
/// drain costs no wake-ups in the kernel's hooks. Two CPUs that begin to move large bodies fill 8 MiB
/// in some 35 ms. After a drain that has found nothing, the next record ends the pause.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(20);
/// Time between ticks, nanoseconds.
const TICK: u64 = 1_000_000_000;
/// Processes that a tick looks at in /proc, at most; and the ticks of a round where their starts and
/// ends are told anyway.
const SWEEP: usize = 64;
const ROUND: usize = 60;
/// Ticks between readings of who listens where; and where the kernel side tells that, too.
const LISTENERS: u32 = 30;
const TOLD_LISTENERS: u32 = 10 * LISTENERS;

/// Ticks after which BPF statistics end when they are for the start only.
const STATISTICS: u32 = 2;

/// How to wait for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    For(Duration),
    /// Until the next record comes, or something else is to be done.
    UntilWoken,
}

/// How to wait after a drain that has found so much. A record that woke the observer and isn't there
/// is still being written, and would wake it again at once.
fn rest_after(found: usize, since: Duration, woken: bool) -> Rest {
    if found == 0 && !woken {
        return Rest::UntilWoken;
    }
    Rest::For(pause_after(found, since))
}

/// For how long to wait for as many records as a drain should find, when `found` have come in the
/// time since the last one.
fn pause_after(found: usize, since: Duration) -> Duration {
    let found = u32::try_from(found).unwrap_or(u32::MAX).max(1);
    (since * FEW / found).clamp(SHORTEST, LONGEST)
}

/// Hands a snapshot to the exporters.
pub(super) type Publish = Box<dyn FnMut(Snapshot) + Send>;
/// Adds the exporters' own numbers to a snapshot.
pub(super) type Extra = Box<dyn FnMut(&mut Collector) + Send>;

/// Everything that the observer thread owns.
pub(super) struct Worker {
    kernel: Option<Kernel>,
    observer: Observer,
    start: SystemTime,
    procfs: std::path::PathBuf,
    keep_statistics: bool,
    retention: Retention,
    extra: Extra,
    publish: Publish,
    ticks: u32,
    last_tick: u64,
    resources: Vec<Family>,
}

impl Worker {
    pub(super) fn new(
        started: Started,
        config: &Config,
        sink: Sink,
        extra: Extra,
        publish: Publish,
    ) -> Self {
        let host = Arc::clone(&started.host);
        let observer = Observer::new(Parts {
            clock: started.clock,
            processes: started.processes,
            listeners: started.listeners,
            connections: parts::connections(config),
            red: parts::red(config),
            calls: Calls::new(CallLimits::default()),
            tracer: parts::tracer(config),
            tcp: parts::tcp(Arc::clone(&host)),
            usage: parts::usage(config),
            blocks: parts::blocks(Arc::clone(&host)),
            tls: started.tls,
            kubernetes: started.kubernetes,
            host,
            sink,
        });
        Self {
            kernel: started.kernel,
            observer,
            start: super::beginning(),
            procfs: config.path.procfs.clone(),
            retention: Retention::default(),
            keep_statistics: config.probe.statistics == Statistics::Always,
            extra,
            publish,
            ticks: 0,
            last_tick: 0,
            resources: Vec::new(),
        }
    }

    pub(super) fn host(&self) -> Arc<Resource> {
        Arc::clone(&self.observer.host)
    }

    /// Where the processes are counted whenever all tasks are read.
    pub(super) fn census(&self) -> &Arc<Census> {
        &self.observer.census
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self, commands: &Receiver) {
        let mut rest = Rest::For(LONGEST);
        let mut last = Instant::now();
        loop {
            let mut woken = false;
            match self.rest(rest, commands) {
                Ok(Woken::Told(Control::Snapshot(families))) => {
                    self.drain();
                    self.resources = families;
                    self.snapshot();
                }
                Ok(Woken::Told(Control::Reload(config))) => self.reload(&config),
                Ok(Woken::Told(Control::Stop)) | Err(Gone) => break,
                Ok(Woken::Readable) => woken = true,
                Ok(Woken::Nothing) => {}
            }
            let since = std::mem::replace(&mut last, Instant::now()).elapsed();
            // Before the processes that run in them.
            self.observer.take_pods();
            rest = rest_after(self.drain(), since, woken);
            self.turn_window();
            self.tick();
        }
        self.stop();
    }

    /// Waits for what is due next.
    fn rest(&mut self, rest: Rest, commands: &Receiver) -> Result<Woken, Gone> {
        let longest = match rest {
            Rest::For(pause) => return commands.wait(pause, None),
            Rest::UntilWoken => self.quiet(),
        };
        let Some(kernel) = &mut self.kernel else {
            return commands.wait(longest, None);
        };
        match kernel.ring.watch() {
            Ok(ring) => commands.wait(longest, Some(ring)),
            Err(error) => {
                tracing::debug!(%error, "the ring can't be watched");
                commands.wait(LONGEST, None)
            }
        }
    }

    /// For how long there is nothing to do when nothing happens.
    fn quiet(&self) -> Duration {
        let Ok(now) = Clock::monotonic_now() else {
            return LONGEST;
        };
        let turn = self.kernel.as_ref().map(|kernel| &kernel.programs);
        let turn = turn.and_then(Programs::next_turn).unwrap_or(u64::MAX);
        let due = turn.min(self.last_tick + TICK);
        Duration::from_nanos(due.saturating_sub(now))
    }

    /// Takes in what has come; how much that was.
    fn drain(&mut self) -> usize {
        match &mut self.kernel {
            Some(kernel) => kernel.drain(BATCH, &mut self.observer),
            None => 0,
        }
    }

    /// Opens or closes the window in which system calls are timed.
    fn turn_window(&mut self) {
        if let (Some(kernel), Ok(now)) = (&mut self.kernel, Clock::monotonic_now()) {
            kernel.programs.turn_window(now);
        }
    }

    fn tick(&mut self) {
        let Ok(now) = Clock::monotonic_now() else {
            return;
        };
        if now - self.last_tick < TICK {
            return;
        }
        self.last_tick = now;
        self.ticks = self.ticks.wrapping_add(1);
        self.observer.tick(now);
        let looks = self.looks();
        self.observer.processes.sweep(now, looks);
        self.observer.renew(now);
        if self.ticks == STATISTICS
            && !self.keep_statistics
            && let Some(kernel) = &mut self.kernel
        {
            kernel.programs.end_statistics();
        }
        if self.ticks.is_multiple_of(retention::EVERY) {
            self.retention.apply(self.ticks, &mut self.observer);
        }
        let told = self.observer.listeners_are_told;
        let every = if told { TOLD_LISTENERS } else { LISTENERS };
        if self.ticks.is_multiple_of(every) {
            self.observer.set_listeners(Listeners::read(&self.procfs));
        }
    }

    /// At how many processes to look: few where this is just the net under lost records.
    fn looks(&self) -> usize {
        match &self.kernel {
            Some(kernel) if kernel.programs.serves(&process::FAMILY) => {
                let known = self.observer.processes.known();
                known.div_ceil(ROUND).clamp(1, SWEEP)
            }
            _ => SWEEP,
        }
    }

    fn reload(&mut self, config: &Config) {
        self.observer.tracer = parts::tracer(config);
    }

    fn snapshot(&mut self) {
        let resources = std::mem::take(&mut self.resources);
        let snapshot = snapshot::take(
            self.kernel.as_mut(),
            &mut self.observer,
            resources,
            self.start,
            &mut self.extra,
        );
        (self.publish)(snapshot);
    }

    /// Detaches, drains and makes the last snapshot; the resources were told just before.
    fn stop(mut self) {
        if let Some(tls) = &self.observer.tls {
            tls.stop();
        }
        if let Some(kernel) = &mut self.kernel {
            kernel.detach(&mut self.observer);
        }
        while self.drain() >= BATCH {}
        self.snapshot();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_nothing_waits_to_be_woken_unless_it_just_was() {
        let since = LONGEST;
        assert_eq!(rest_after(0, since, false), Rest::UntilWoken);
        assert_eq!(rest_after(0, since, true), Rest::For(LONGEST));
        assert_eq!(rest_after(1, since, true), Rest::For(LONGEST));
        assert_eq!(rest_after(1, since, false), Rest::For(LONGEST));
    }

    #[test]
    fn the_pause_follows_the_rate_within_its_bounds() {
        let ms = Duration::from_millis;
        assert_eq!(pause_after(0, ms(50)), LONGEST);
        assert_eq!(pause_after(1, ms(50)), LONGEST);
        assert_eq!(pause_after(2560, ms(50)), ms(5));
        assert_eq!(pause_after(256, ms(5)), ms(5));
        assert_eq!(pause_after(usize::MAX, ms(1)), SHORTEST);
        assert_eq!(pause_after(1, Duration::from_hours(24)), LONGEST);
    }
}
