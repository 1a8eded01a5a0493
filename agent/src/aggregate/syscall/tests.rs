use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::aggregate::fixture::{resource, series, snapshot};

/// `read` has another number on every architecture, so the tests ask the libc.
fn read() -> u16 {
    u16::try_from(libc::SYS_read).unwrap()
}

fn key(tgid: u32, error: u16) -> CountKey {
    CountKey {
        tgid,
        number: read(),
        error,
    }
}

fn fold(syscalls: &mut Syscalls, counts: &[(CountKey, u64)]) {
    syscalls.fold_counts(UNIX_EPOCH, counts.iter().copied(), |_| resource("shop"));
}

fn told(syscalls: &Syscalls, name: &str) -> Vec<String> {
    series(&snapshot(|collector| syscalls.collect(collector)), name)
}

#[test]
fn calls_and_errors_of_a_services_processes_add_up() {
    let mut syscalls = Syscalls::default();
    fold(
        &mut syscalls,
        &[(key(1, 0), 10), (key(1, 11), 2), (key(2, 0), 5)],
    );
    fold(&mut syscalls, &[(key(1, 0), 11), (key(1, 11), 2)]);
    assert_eq!(
        told(&syscalls, "syscalls"),
        ["18 {service.name=shop,syscall=read}"]
    );
    assert_eq!(
        told(&syscalls, "syscall.errors"),
        ["2 {service.name=shop,error.type=EAGAIN,syscall=read}"]
    );
}

#[test]
fn a_reading_that_shows_less_counts_nothing_back() {
    let mut syscalls = Syscalls::default();
    for total in [10, 7, 0, 10, 11] {
        fold(&mut syscalls, &[(key(1, 0), total)]);
    }
    assert_eq!(
        told(&syscalls, "syscalls"),
        ["11 {service.name=shop,syscall=read}"]
    );
}

#[test]
fn fault_16_a_reused_process_number_is_counted_from_zero() {
    let mut syscalls = Syscalls::default();
    fold(&mut syscalls, &[(key(1, 0), 10)]);
    syscalls.deleted(1);
    syscalls.fold_counts(UNIX_EPOCH, [(key(1, 0), 3)], |_| resource("other"));
    assert_eq!(
        told(&syscalls, "syscalls"),
        [
            "10 {service.name=shop,syscall=read}",
            "3 {service.name=other,syscall=read}"
        ]
    );
}

#[test]
fn a_process_that_changes_its_service_takes_only_what_is_new() {
    let mut syscalls = Syscalls::default();
    fold(&mut syscalls, &[(key(1, 0), 10)]);
    syscalls.fold_counts(UNIX_EPOCH, [(key(1, 0), 12)], |_| resource("other"));
    let told = told(&syscalls, "syscalls");
    assert!(told[0].starts_with("10 ") && told[1].starts_with("2 "));
}

#[test]
fn durations_add_up_over_processes_and_torn_readings() {
    let mut syscalls = Syscalls::default();
    let duration_key = |tgid| DurationKey {
        tgid,
        number: read().into(),
    };
    let mut durations = Log2::EMPTY;
    durations.record(2_000);
    let torn = durations;
    durations.record(3_000);
    for (tgid, reading) in [(1, durations), (1, torn), (1, durations), (2, torn)] {
        syscalls.fold_durations(UNIX_EPOCH, [(duration_key(tgid), reading)], |_| {
            resource("shop")
        });
    }
    assert_eq!(
        told(&syscalls, "syscall.duration"),
        ["n=3 s=0.000007 {service.name=shop,syscall=read}"]
    );
}

#[test]
fn fault_22_calls_over_the_cap_keep_the_total() {
    let mut syscalls = Syscalls::new(Limits {
        per_service: 2,
        total: 10,
    });
    let counts: Vec<_> = (0..10)
        .map(|number| {
            let key = CountKey {
                tgid: 1,
                number,
                error: 0,
            };
            (key, 100)
        })
        .collect();
    fold(&mut syscalls, &counts);
    let told = told(&syscalls, "syscalls");
    assert_eq!(told.len(), 3);
    assert_eq!(told[2], "800 {service.name=shop,otel.metric.overflow=true}");
    assert_eq!(syscalls.usage()[0].overflowed, 800);
}

proptest! {
    #[test]
    fn what_is_told_is_the_highest_of_each_process(
        readings in proptest::collection::vec((0..5_u32, 0..3_u16, 0..1_000_u64), 0..100)
    ) {
        let mut syscalls = Syscalls::default();
        let mut highest: HashMap<(u32, u16), u64> = HashMap::new();
        for (tgid, error, total) in readings {
            fold(&mut syscalls, &[(key(tgid, error), total)]);
            let held = highest.entry((tgid, error)).or_default();
            *held = total.max(*held);
        }
        let expected: u64 = highest.values().sum();
        let told: u64 = told(&syscalls, "syscalls")
            .iter()
            .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
            .sum();
        prop_assert_eq!(told, expected);
    }
}
