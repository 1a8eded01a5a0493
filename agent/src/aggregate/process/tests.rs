use std::time::UNIX_EPOCH;

use sonde_common::{
    event::{process::COMM, sched::Usage},
    header::{Header, Kind as RecordKind},
};

use super::*;
use crate::aggregate::fixture::{clock, resource, series, snapshot};

fn header(kind: RecordKind, tgid: u32) -> Header {
    Header {
        time: 1_000_000_000,
        tgid,
        tid: tgid,
        kind: kind as u32,
        pad: 0,
    }
}

fn fork(child: u32) -> Fork {
    Fork {
        header: header(RecordKind::Fork, 1),
        start_time: 0,
        cgroup: 0,
        child,
        pad: 0,
        comm: [0; COMM],
    }
}

fn exit(tgid: u32, status: u32) -> Exit {
    Exit {
        header: header(RecordKind::Exit, tgid),
        start_time: 0,
        status,
        pad: 0,
        comm: *b"wor\nker\xff\0garbage",
        lifetime: 0,
        usage: Usage::EMPTY,
    }
}

fn oom_kill(victim: u32) -> OomKill {
    OomKill {
        header: header(RecordKind::OomKill, 7),
        victim,
        pad: 0,
    }
}

fn ended(processes: &mut Processes, tgid: u32, status: u32) -> Option<LogRecord> {
    processes.exited(&exit(tgid, status), &resource("shop"), &clock())
}

fn told(processes: &Processes, name: &str) -> Vec<String> {
    series(&snapshot(|collector| processes.collect(collector)), name)
}

#[test]
fn starts_and_exits_are_counted_by_reason_and_code() {
    let mut processes = Processes::default();
    for child in [1, 2] {
        processes.started(&fork(child), &resource("shop"), &clock());
    }
    for status in [0, 0, 3 << 8, 15, 64] {
        assert_eq!(ended(&mut processes, 1, status), None);
    }
    assert_eq!(
        told(&processes, "process.starts"),
        ["2 {service.name=shop}"]
    );
    assert_eq!(
        told(&processes, "process.exits"),
        [
            "2 {service.name=shop,code=0,reason=exited}",
            "1 {service.name=shop,code=3,reason=exited}",
            "1 {service.name=shop,code=SIGTERM,reason=signal}",
            "1 {service.name=shop,code=signal_64,reason=signal}",
        ]
    );
}

#[test]
fn a_crash_is_told_once() {
    let mut processes = Processes::default();
    let record = ended(&mut processes, 42, 0x0b | CORE_DUMPED).unwrap();
    assert_eq!(record.event_name, "process.crash");
    assert_eq!(
        record.body,
        "wor\u{fffd}ker\u{fffd} (pid 42) was ended by SIGSEGV and dumped core"
    );
    assert_eq!(record.time, clock().system_time(1_000_000_000));
    // SIGQUIT is no fault of the program's own, unless it left a core dump.
    assert_eq!(ended(&mut processes, 42, 3), None);
    assert!(ended(&mut processes, 42, 0x03 | CORE_DUMPED).is_some());
    for signal in [4, 6, 7, 8, 11, 31] {
        assert!(ended(&mut processes, 42, signal).is_some(), "{signal}");
    }
}

#[test]
fn an_oom_kill_is_told_from_a_kill() {
    let mut processes = Processes::default();
    processes.oom_killed(&oom_kill(42), Some("/shop.slice".to_owned()));
    assert_eq!(ended(&mut processes, 41, 9), None);
    let record = ended(&mut processes, 42, 9).unwrap();
    assert_eq!(record.event_name, "process.oom_kill");
    let cgroup = record.attributes.get("process.linux.cgroup");
    assert_eq!(cgroup, Some(&"/shop.slice".into()));
    assert_eq!(
        told(&processes, "process.exits"),
        [
            "1 {service.name=shop,code=SIGKILL,reason=signal}",
            "1 {service.name=shop,code=SIGKILL,reason=oom}",
        ]
    );
}

#[test]
fn fault_16_a_victims_number_is_not_the_next_ones() {
    let mut processes = Processes::default();
    processes.oom_killed(&oom_kill(42), Some("/shop.slice".to_owned()));
    processes.started(&fork(42), &resource("shop"), &clock());
    assert_eq!(ended(&mut processes, 42, 9), None);
}

#[test]
fn victims_that_are_waited_for_are_bounded() {
    let mut processes = Processes::default();
    for victim in 0..10_000 {
        processes.oom_killed(&oom_kill(victim), None);
    }
    assert_eq!(processes.victims.len(), VICTIMS);
}

#[test]
fn any_status_counts_once() {
    let mut processes = Processes::default();
    for status in 0..=u32::from(u16::MAX) {
        ended(&mut processes, 1, status);
    }
    ended(&mut processes, 1, u32::MAX);
    let collected = snapshot(|collector| processes.collect(collector));
    assert_eq!(collected.time, UNIX_EPOCH);
    let total: u64 = series(&collected, "process.exits")
        .iter()
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum();
    assert_eq!(total, u64::from(u16::MAX) + 2);
}
