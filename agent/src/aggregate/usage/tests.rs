//! What is counted of processes that come, go and change hands.

use sonde_common::{
    event::{
        process::{Exit, ExitRest},
        sched::{Process, Task, Usage as Used},
    },
    header::Header,
};

use super::*;
use crate::{aggregate::fixture::series, metric::Snapshot};

const BEGAN: u64 = 1_000;
const PAGE: u64 = 4_096;

fn service(name: &str) -> Arc<Resource> {
    let attributes = Attributes::from([("service.name", name.into())]);
    Arc::new(Resource {
        identity: attributes.clone(),
        attributes,
    })
}

fn usages() -> Usages {
    Usages::new(Limits::default(), BEGAN, PAGE)
}

fn used(cpu: u64) -> Used {
    Used {
        cpu,
        user: cpu,
        ..Used::EMPTY
    }
}

fn task(tgid: u32, start_time: u64, cpu: u64) -> Task {
    Task {
        start_time,
        tgid,
        is_leader: 1,
        usage: used(cpu),
    }
}

fn process(resident: u64, descriptors: u32) -> Process {
    Process {
        resident,
        size: resident,
        descriptor_limit: 100,
        descriptors,
        threads: 1,
        state: 0,
        is_kernel: 0,
    }
}

fn moment(now: u64) -> Moment {
    Moment {
        now,
        cpus: 2,
        sleeps: true,
    }
}

fn read(usages: &mut Usages, tasks: &[Task]) {
    let mut reading = Reading::default();
    for task in tasks {
        reading.add(task, Some(&process(1, 10)));
    }
    usages.read(&reading, moment(BEGAN), |_| service("shop"));
}

fn header(tgid: u32) -> Header {
    Header {
        time: 0,
        tgid,
        tid: tgid,
        kind: 0,
        pad: 0,
    }
}

fn exit(tgid: u32, start_time: u64, cpu: u64) -> Exit {
    Exit {
        header: header(tgid),
        start_time,
        status: 0,
        pad: 0,
        comm: [0; 16],
        lifetime: 0,
        usage: used(cpu),
    }
}

fn rest(tgid: u32, start_time: u64, cpu: u64) -> ExitRest {
    ExitRest {
        header: header(tgid),
        start_time,
        usage: used(cpu),
    }
}

fn snapshot(usages: &Usages) -> Snapshot {
    let mut collector = Collector::new(service("host"), SystemTime::UNIX_EPOCH);
    usages.collect(&mut collector);
    collector.finish(SystemTime::UNIX_EPOCH)
}

/// Nanoseconds of CPU time that the service has, all modes.
fn cpu(usages: &Usages) -> u64 {
    let snapshot = snapshot(usages);
    let families = snapshot.families.iter();
    let points = families
        .filter(|family| family.descriptor.name == "process.cpu.time")
        .flat_map(|family| &family.points);
    let seconds = points.map(|point| match point.value {
        Value::Float(seconds) => seconds,
        _ => 0.0,
    });
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small numbers of the test"
    )]
    let nanoseconds = (seconds.sum::<f64>() * 1e9).round() as u64;
    nanoseconds
}

#[test]
fn what_was_used_before_the_agent_does_not_count_and_the_rest_does() {
    let mut usages = usages();
    read(&mut usages, &[task(1, BEGAN - 1, 500), task(2, BEGAN, 70)]);
    assert_eq!(cpu(&usages), 70);
    read(&mut usages, &[task(1, BEGAN - 1, 510), task(2, BEGAN, 80)]);
    assert_eq!(cpu(&usages), 90);
}

#[test]
fn a_process_that_no_reading_saw_counts_by_its_end() {
    let mut usages = usages();
    read(&mut usages, &[]);
    usages.exited(&exit(3, BEGAN + 5, 40), &service("shop"));
    assert_eq!(cpu(&usages), 40);
    // One that was there before the agent: how much of it is new isn't known.
    usages.exited(&exit(4, BEGAN - 5, 40), &service("shop"));
    assert_eq!(cpu(&usages), 40);
}

#[test]
fn an_end_adds_what_came_after_the_last_reading_and_a_zombie_nothing() {
    let mut usages = usages();
    read(&mut usages, &[task(3, BEGAN, 40)]);
    usages.exited(&exit(3, BEGAN, 45), &service("shop"));
    assert_eq!(cpu(&usages), 45);
    read(&mut usages, &[task(3, BEGAN, 45)]);
    assert_eq!(cpu(&usages), 45);
    // Its number goes to another process.
    read(&mut usages, &[task(3, BEGAN + 9, 7)]);
    assert_eq!(cpu(&usages), 52);
}

#[test]
fn late_threads_add_to_the_end() {
    let mut usages = usages();
    // Two threads: 30 of the one that tells the end, 20 of the one that is late.
    read(&mut usages, &[task(3, BEGAN, 50)]);
    usages.exited(&exit(3, BEGAN, 35), &service("shop"));
    usages.rest(&rest(3, BEGAN, 22), &service("shop"));
    assert_eq!(cpu(&usages), 57);
}

#[test]
fn a_reading_that_steps_back_is_made_up_for() {
    let mut usages = usages();
    for sum in [100, 90, 120] {
        read(&mut usages, &[task(3, BEGAN, sum)]);
    }
    assert_eq!(cpu(&usages), 120);
}

#[test]
fn what_is_present_goes_with_the_processes() {
    let mut usages = usages();
    read(&mut usages, &[task(3, BEGAN, 1), task(4, BEGAN, 1)]);
    let value = |usages: &Usages, name: &str| {
        let snapshot = snapshot(usages);
        let family = snapshot
            .families
            .iter()
            .find(|family| family.descriptor.name == name)?;
        Some(family.points[0].value.clone())
    };
    let memory = "process.memory.usage";
    assert_eq!(value(&usages, memory), Some(Value::Integer(2 * PAGE)));
    read(&mut usages, &[]);
    assert_eq!(value(&usages, memory), None, "absent rather than zero");
    assert_eq!(cpu(&usages), 2, "counters stay");
}

#[test]
fn services_over_the_cap_count_together() {
    let limits = Limits {
        per_service: 1,
        total: 2,
    };
    let mut usages = Usages::new(limits, BEGAN, PAGE);
    let mut reading = Reading::default();
    for tgid in 1..=9 {
        reading.add(&task(tgid, BEGAN, 10), None);
    }
    usages.read(&reading, moment(BEGAN), |tgid| service(&tgid.to_string()));
    assert_eq!(cpu(&usages), 90);
    assert!(usages.usage().series <= 3);
}

#[test]
fn on_request_each_process_has_series_and_those_that_ended_have_one() {
    let mut usages = Usages::by_process(BEGAN, PAGE);
    let told = |usages: &Usages| {
        let snapshot = snapshot(usages);
        let families = snapshot.families.iter();
        let points = families
            .filter(|family| family.descriptor.name == "process.context_switches")
            .flat_map(|family| &family.points)
            .filter(|point| {
                point.attributes.get("process.context_switch.type") == Some(&"voluntary".into())
            });
        let value = |point: &crate::metric::Point| match point.value {
            Value::Integer(count) => count,
            _ => 0,
        };
        let mut told: Vec<_> = points
            .map(|point| {
                (
                    point.attributes.get("process.pid").map(ToString::to_string),
                    value(point),
                )
            })
            .collect();
        told.sort();
        told
    };
    let switched = |tgid, count| {
        let mut task = task(tgid, BEGAN, 0);
        task.usage.voluntary_switches = count;
        task
    };
    let of = |tgid: u32, count: u64| (Some(tgid.to_string()), count);
    read(&mut usages, &[switched(3, 5), switched(4, 6)]);
    assert_eq!(told(&usages), [of(3, 5), of(4, 6)]);
    read(&mut usages, &[switched(4, 8)]);
    assert_eq!(told(&usages), [(None, 5), of(4, 8)]);
    read(&mut usages, &[]);
    assert_eq!(told(&usages), [(None, 13)]);
}

#[test]
fn states_are_told_of_all_processes_or_none() {
    let mut reading = Reading::default();
    reading.add(&task(3, BEGAN, 1), Some(&process(1, 10)));
    let states = |reading: &Reading| reading.states().map(Iterator::count);
    assert_eq!(states(&reading), Some(1));
    for tgid in 4..=u32::try_from(PROCESSES).unwrap() + 4 {
        reading.add(&task(tgid, BEGAN, 1), Some(&process(1, 10)));
    }
    assert_eq!(states(&reading), None);
}

#[test]
fn bytes_of_udp_are_told_of_who_has_any() {
    let mut usages = usages();
    let talker = Used {
        udp: [5, 7],
        ..used(1)
    };
    let talker = Task {
        usage: talker,
        ..task(3, BEGAN + 1, 1)
    };
    let mut reading = Reading::default();
    reading.add(&talker, Some(&process(1, 10)));
    reading.add(&task(4, BEGAN + 1, 1), Some(&process(1, 10)));
    usages.read(&reading, moment(BEGAN + 2), |tgid| {
        service(if tgid == 3 { "dns" } else { "quiet" })
    });
    let mut io = NetworkIo::default();
    let mut collector = Collector::new(service("host"), SystemTime::UNIX_EPOCH);
    usages.add_io(&mut io, &collector);
    io.collect(&mut collector);
    let all = collector.finish(SystemTime::UNIX_EPOCH);
    let told = series(&all, "process.network.io");
    assert_eq!(
        told,
        [
            "5 {service.name=dns,network.io.direction=receive}",
            "7 {service.name=dns,network.io.direction=transmit}",
        ]
    );
    let snapshot = snapshot(&usages);
    let family = snapshot.families.iter();
    let mut udp = family.filter(|family| family.descriptor.name == "udp.io");
    let told: Vec<_> = udp
        .next()
        .unwrap()
        .points
        .iter()
        .map(|point| {
            let service = point.resource.attributes.get("service.name").unwrap();
            let direction = point.attributes.get("network.io.direction").unwrap();
            format!("{service} {direction} {:?}", point.value)
        })
        .collect();
    assert_eq!(told, ["dns receive Integer(5)", "dns transmit Integer(7)"]);
}
