//! The agent as a process: what it takes from the host, where it isn't known of all processes.

use std::{fs, io, sync::Arc, time::SystemTime};

use procfs::process::Process;

#[cfg(test)]
use crate::metric::Descriptor;
use crate::{
    aggregate::usage::descriptors::{CPU, DESCRIPTORS_OPEN, MEMORY, THREADS, UPTIME, VIRTUAL},
    metric::{Attributes, Collector, Point, Resource, Value},
};

/// All of them.
#[cfg(test)]
const ALL: &[&Descriptor] = &[
    &CPU,
    &MEMORY,
    &VIRTUAL,
    &THREADS,
    &DESCRIPTORS_OPEN,
    &UPTIME,
];

/// Adds what the agent takes; what can't be read is left out.
pub fn collect(start: SystemTime, collector: &mut Collector) {
    let identity = [
        ("process.pid", i64::from(std::process::id()).into()),
        ("service.name", "sonde".into()),
        ("service.version", env!("CARGO_PKG_VERSION").into()),
    ];
    let host = collector.host().attributes.iter().cloned();
    let service: Attributes = host.chain(identity).collect();
    let resource = Arc::new(Resource {
        identity: Attributes::from([("service.name", "sonde".into())]),
        attributes: service,
    });
    let mut push = |descriptor, attributes, value| {
        collector.push_point(
            descriptor,
            Point {
                resource: Arc::clone(&resource),
                attributes,
                start,
                value,
                exemplars: Vec::new(),
            },
        );
    };
    if let Ok(uptime) = start.elapsed() {
        push(
            &UPTIME,
            Attributes::none(),
            Value::Float(uptime.as_secs_f64()),
        );
    }
    if let Ok(count) = open_descriptors() {
        push(&DESCRIPTORS_OPEN, Attributes::none(), Value::Integer(count));
    }
    let Ok(own) = Process::myself().and_then(|process| process.stat()) else {
        return;
    };
    let ticks = procfs::ticks_per_second() as f64;
    for (mode, time) in [("user", own.utime), ("system", own.stime)] {
        let attributes = Attributes::from([("cpu.mode", mode.into())]);
        push(&CPU, attributes, Value::Float(time as f64 / ticks));
    }
    let resident = own.rss.saturating_mul(procfs::page_size());
    push(&MEMORY, Attributes::none(), Value::Integer(resident));
    push(&VIRTUAL, Attributes::none(), Value::Integer(own.vsize));
    let threads = u64::try_from(own.num_threads).unwrap_or(0);
    push(&THREADS, Attributes::none(), Value::Integer(threads));
}

fn open_descriptors() -> io::Result<u64> {
    // The directory that is being read is one of them.
    Ok(fs::read_dir("/proc/self/fd")?.count().saturating_sub(1) as u64)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn every_number_of_this_process_is_told() {
        let host = Arc::new(Resource {
            attributes: Attributes::none(),
            identity: Attributes::none(),
        });
        let start = UNIX_EPOCH + Duration::from_secs(1);
        let mut collector = Collector::new(host, start);
        collect(start, &mut collector);
        let families = collector.into_families();
        let names: Vec<_> = families
            .iter()
            .map(|family| family.descriptor.name)
            .collect();
        for descriptor in ALL {
            assert!(names.contains(&descriptor.name), "{}", descriptor.name);
        }
        let memory = families
            .iter()
            .find(|family| family.descriptor == &MEMORY)
            .map(|family| family.points[0].value.clone());
        assert!(matches!(memory, Some(Value::Integer(bytes)) if bytes > 1 << 20));
    }
}
