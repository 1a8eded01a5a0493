//! Reads the enabled resources for a snapshot; one that fails leaves the rest.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    Census, RESOURCES, Registration, Resource, Root, Use,
    method::{counter, gauge},
    read,
};
use crate::metric::{Attributes, Collector, Descriptor, Unit, Value};

static UP: Descriptor = gauge(
    "sonde.resource.up",
    "1 if the resource was read for this snapshot, 0 if that failed; absent where the host hasn't got it",
    Unit::None,
);
static DURATION: Descriptor = gauge(
    "sonde.resource.duration",
    "How long reading the resource took for this snapshot",
    Unit::Seconds,
);
static LAST_READ: Descriptor = gauge(
    "sonde.resource.last_read.timestamp",
    "When the resource had been read for this snapshot, Unix time; it had begun to be sonde.resource.duration before",
    Unit::Seconds,
);
static FAILURES: Descriptor = counter(
    "sonde.resource.failures",
    "Snapshots for which the resource could not be read",
    Unit::None,
);
static SKIPPED: Descriptor = counter(
    "sonde.resource.skipped",
    "Values of the resource that were there but could not be used (corrupt, vanished, stuck, over a cap)",
    Unit::None,
);

/// What the agent reports about reading resources.
pub const OWN_METRICS: &[&Descriptor] = &[&UP, &DURATION, &LAST_READ, &FAILURES, &SKIPPED];

/// The enabled resources with their last samples.
pub struct Resources {
    root: Root,
    boot: Option<SystemTime>,
    enabled: Vec<Enabled>,
}

struct Enabled {
    name: &'static str,
    resource: Box<dyn Resource>,
    failures: u64,
    skipped: u64,
    failing: bool,
}

impl Resources {
    /// Those of [`RESOURCES`] whose name `is_enabled` accepts, reading below `root`.
    #[must_use]
    pub fn new(root: Root, is_enabled: impl Fn(&str) -> bool) -> Self {
        Self::with_census(root, &Arc::default(), is_enabled)
    }

    /// The same, with what `census` knows of processes.
    #[must_use]
    pub fn with_census(
        root: Root,
        census: &Arc<Census>,
        is_enabled: impl Fn(&str) -> bool,
    ) -> Self {
        let enabled = |registration: &&Registration| is_enabled(registration.name);
        Self::of(RESOURCES.iter().filter(enabled), root, census)
    }

    fn of<'a>(
        registrations: impl Iterator<Item = &'a Registration>,
        root: Root,
        census: &Arc<Census>,
    ) -> Self {
        Self {
            boot: boot_time(&root),
            root,
            enabled: registrations
                .map(|registration| Enabled::new(registration, census))
                .collect(),
        }
    }

    /// Reads every enabled resource and adds its metrics. `now` is the monotonic time of the
    /// snapshot.
    ///
    /// Blocks while the kernel answers (milliseconds; mounts have a budget of their own), so call
    /// it where blocking is allowed.
    pub fn collect(&mut self, now: Instant, collector: &mut Collector) {
        for enabled in &mut self.enabled {
            enabled.collect(&self.root, self.boot, now, collector);
        }
    }
}

impl Enabled {
    fn new(registration: &Registration, census: &Arc<Census>) -> Self {
        Self {
            name: registration.name,
            resource: (registration.open)(census),
            failures: 0,
            skipped: 0,
            failing: false,
        }
    }

    fn collect(
        &mut self,
        root: &Root,
        boot: Option<SystemTime>,
        now: Instant,
        collector: &mut Collector,
    ) {
        let before = Instant::now();
        let sample = self.resource.sample(root, now);
        let duration = before.elapsed();
        let up = match sample {
            Ok(Some(sample)) => Some(self.accept(sample, boot, collector)),
            Ok(None) => {
                self.failing = false;
                None
            }
            Err(error) => {
                self.failures += 1;
                // Said once per outage; the counter tells the rest.
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(
                        resource = self.name,
                        error = &error as &dyn std::error::Error,
                        "can't read resource"
                    );
                }
                Some(false)
            }
        };
        self.report(up, duration, collector);
    }

    fn accept(&mut self, sample: Use, boot: Option<SystemTime>, collector: &mut Collector) -> bool {
        self.failing = false;
        self.skipped += sample.skipped();
        sample.collect(boot, collector);
        true
    }

    fn report(&self, up: Option<bool>, duration: Duration, collector: &mut Collector) {
        let attributes = Attributes::from([("resource", self.name.into())]);
        if let Some(up) = up {
            collector.push(&UP, attributes.clone(), Value::Integer(up.into()));
        }
        collector.push(
            &DURATION,
            attributes.clone(),
            Value::Float(duration.as_secs_f64()),
        );
        if let Ok(time) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            let time = Value::Float(time.as_secs_f64());
            collector.push(&LAST_READ, attributes.clone(), time);
        }
        collector.push(&FAILURES, attributes.clone(), Value::Integer(self.failures));
        collector.push(&SKIPPED, attributes, Value::Integer(self.skipped));
    }
}

/// When the host started, from `btime` of `/proc/stat`.
fn boot_time(root: &Root) -> Option<SystemTime> {
    let text = read::text(&root.procfs.join("stat")).ok()??;
    let seconds = text
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
