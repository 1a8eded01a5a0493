//! Reads /proc and /sys on a thread of its own: a read may take long where a mount is stuck, and
//! the ring must be drained meanwhile.

use std::{
    sync::Arc,
    thread,
    time::{Instant, SystemTime},
};

use anyhow::Context as _;

use super::control::{Control, Sender};
use crate::{
    config::Config,
    metric::{Collector, Resource},
    resource::{Census, Resources},
    root::Root,
};

/// Samples the resources at every interval and has a snapshot made, until nobody listens.
pub(super) fn spawn(
    config: &Config,
    host: Arc<Resource>,
    census: &Arc<Census>,
    control: Sender,
) -> anyhow::Result<()> {
    let collectors = config.collectors;
    let mut resources = Resources::with_census(root(config), census, |name| collectors.is_on(name));
    let interval = config.snapshot.interval.get();
    let start = SystemTime::now();
    let sample = move || {
        let mut due = Instant::now();
        loop {
            let mut collector = Collector::new(Arc::clone(&host), start);
            resources.collect(Instant::now(), &mut collector);
            let families = collector.into_families();
            if control.send(Control::Snapshot(families)).is_err() {
                return;
            }
            due += interval;
            // A beat that was missed is left out rather than made up for.
            due = due.max(Instant::now());
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    };
    thread::Builder::new()
        .name("sampler".to_owned())
        .spawn(sample)
        .map(drop)
        .context("can't start the sampler thread")
}

/// The paths as the readers of host files want them.
pub(super) fn root(config: &Config) -> Root {
    Root {
        procfs: config.path.procfs.clone(),
        sysfs: config.path.sysfs.clone(),
        rootfs: config.path.rootfs.clone(),
    }
}
