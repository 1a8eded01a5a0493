//! The observer thread: drain, tick, snapshot, stop.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, SystemTime},
};

use super::{
    observer::{Observer, Parts},
    retention::{self, Retention},
    sink::Sink,
    snapshot::{self, Kernel},
    start::{self, Started},
};
use crate::{
    clock::Clock,
    config::{Config, value::Statistics},
    metric::{Collector, Family, Resource, Snapshot},
};

/// What the observer is told.
pub(super) enum Control {
    /// The resources have been read: make a snapshot with them.
    Snapshot(Vec<Family>),
    /// Settings have changed.
    Reload(Box<Config>),
    /// Detach, drain, make the last snapshot, end.
    Stop,
}

/// Records that are taken in between two looks at the commands.
const BATCH: usize = 65_536;
/// Pause after a drain that found something, and after one that didn't: the ring holds what
/// comes in between, and a timed drain costs no wake-ups in the kernel's hooks.
const BUSY: Duration = Duration::from_millis(10);
const IDLE: Duration = Duration::from_millis(50);
/// Time between ticks, nanoseconds.
const TICK: u64 = 1_000_000_000;
/// Processes that a tick looks at in /proc.
const SWEEP: usize = 64;
/// Ticks between readings of who listens where.
const LISTENERS: u32 = 30;

/// Ticks after which BPF statistics end when they are for the start only.
const STATISTICS: u32 = 2;

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
            connections: start::connections(config),
            red: start::red(config),
            tracer: start::tracer(config),
            tcp: start::tcp(Arc::clone(&host)),
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

    /// Runs until told to stop.
    pub(super) fn run(mut self, commands: &mpsc::Receiver<Control>) {
        let mut pause = IDLE;
        loop {
            match commands.recv_timeout(pause) {
                Ok(Control::Snapshot(families)) => {
                    self.drain();
                    self.resources = families;
                    self.snapshot();
                }
                Ok(Control::Reload(config)) => self.reload(&config),
                Ok(Control::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            pause = if self.drain() > 0 { BUSY } else { IDLE };
            self.tick();
        }
        self.stop();
    }

    /// Takes in what has come; how much that was.
    fn drain(&mut self) -> usize {
        match &mut self.kernel {
            Some(kernel) => kernel.drain(BATCH, &mut self.observer),
            None => 0,
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
        self.observer.processes.sweep(now, SWEEP);
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
        if self.ticks.is_multiple_of(LISTENERS) {
            self.observer.listeners = crate::enrich::listener::Listeners::read(&self.procfs);
        }
    }

    fn reload(&mut self, config: &Config) {
        self.observer.tracer = start::tracer(config);
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

    /// Detaches, drains and makes the last snapshot. The resources are those of the last one.
    fn stop(mut self) {
        if let Some(kernel) = &mut self.kernel {
            kernel.detach(&mut self.observer);
        }
        while self.drain() >= BATCH {}
        self.snapshot();
    }
}
