//! What reading this host's resources costs: microseconds of each, and of one CPU's time a snapshot.
//!
//! `cargo bench -p sonde --bench resources`. Snapshots are 5 s apart as far as the resources know,
//! so that what is read more rarely counts for its part.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use nix::time::{ClockId, clock_gettime};
use sonde::{
    metric::{Attributes, Collector, Resource, Value},
    resource::{Resources, Root},
};

const SNAPSHOTS: u32 = 60;
const INTERVAL: Duration = Duration::from_secs(5);

fn main() {
    let host = Arc::new(Resource {
        attributes: Attributes::none(),
        identity: Attributes::none(),
    });
    let mut resources = Resources::new(Root::default(), |_| true);
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut now = Instant::now();
    let began = cpu_time();
    for _ in 0..SNAPSHOTS {
        let mut collector = Collector::new(Arc::clone(&host), SystemTime::UNIX_EPOCH);
        resources.collect(now, &mut collector);
        now += INTERVAL;
        for family in collector.into_families() {
            if family.descriptor.name != "sonde.resource.duration" {
                continue;
            }
            for point in family.points {
                if let (Some(name), Value::Float(seconds)) =
                    (point.attributes.get("resource"), point.value)
                {
                    times.entry(name.to_string()).or_default().push(seconds);
                }
            }
        }
    }
    let used = cpu_time().saturating_sub(began);
    println!("{:<18} {:>9} {:>9}", "resource", "mean us", "least us");
    for (name, times) in times {
        let mean = times.iter().sum::<f64>() / f64::from(SNAPSHOTS);
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        println!("{name:<18} {:>9.0} {:>9.0}", mean * 1e6, least * 1e6);
    }
    let share = used.as_secs_f64() / (INTERVAL * SNAPSHOTS).as_secs_f64();
    println!(
        "{:<18} {:>9.0} of a CPU's time, {:.4} % of one at {INTERVAL:?}",
        "all",
        used.as_secs_f64() / f64::from(SNAPSHOTS) * 1e6,
        share * 100.0
    );
}

/// Of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.map_or(Duration::ZERO, Duration::from)
}
