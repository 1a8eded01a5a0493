use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::aggregate::fixture::{host, resource, series, snapshot};

const SDA: u32 = 8 << 20;
const SECOND: u64 = 1_000_000_000;

fn key(tgid: u32, operation: Operation) -> UsageKey {
    UsageKey {
        of: DeviceKey {
            device: SDA,
            operation: operation as u32,
        },
        owner: Owner {
            tgid,
            ..Owner::KERNEL
        },
    }
}

fn sums(operations: u64, bytes: u64, time: u64) -> Sums {
    Sums {
        operations,
        bytes,
        queue_time: time,
        device_time: 2 * time,
    }
}

fn pending(tgid: u32, submitted: u64) -> Pending {
    Pending {
        submitted,
        issued: 0,
        bytes: 0,
        key: key(tgid, Operation::Write),
    }
}

fn blocks() -> Blocks {
    let limits = Limits {
        per_service: 10,
        total: 100,
    };
    Blocks::new(limits, Numbers::WithoutZoneResource, host())
}

/// Process 1 and 2 are the shop's, 3 the backup's.
fn service(owner: &Owner) -> Arc<Resource> {
    resource(match owner.tgid {
        1 | 2 => "shop",
        3 => "backup",
        _ => "kernel",
    })
}

fn fold(blocks: &mut Blocks, now: u64, usage: &[(UsageKey, Sums)], pending: &[Pending]) {
    let reading = Reading {
        time: UNIX_EPOCH,
        now,
        usage,
        errors: &[],
        pending,
    };
    blocks.fold(&reading, service);
}

fn told(blocks: &Blocks, name: &str) -> Vec<String> {
    let snapshot = snapshot(|collector| blocks.collect(collector, |_| "sda".into()));
    series(&snapshot, name)
}

#[test]
fn requests_of_a_services_processes_add_up() {
    let mut blocks = blocks();
    let (first, second) = (key(1, Operation::Write), key(2, Operation::Write));
    fold(
        &mut blocks,
        0,
        &[(first, sums(1, 4096, 5)), (second, sums(2, 8192, 5))],
        &[],
    );
    fold(
        &mut blocks,
        SECOND,
        &[(first, sums(3, 12_288, SECOND))],
        &[],
    );
    let of = "{service.name=shop,disk.io.direction=write,system.device=sda}";
    assert_eq!(told(&blocks, "block.io"), [format!("20480 {of}")]);
    assert_eq!(told(&blocks, "block.operations"), [format!("5 {of}")]);
    assert_eq!(
        told(&blocks, "block.queue_time"),
        [format!("1.000000005 {of}")]
    );
    assert_eq!(
        told(&blocks, "block.operation_time"),
        [format!("2.00000001 {of}")]
    );
}

#[test]
fn a_reading_that_shows_less_counts_nothing_back() {
    let mut blocks = blocks();
    for operations in [10, 7, 0, 10, 11] {
        let usage = [(key(1, Operation::Read), sums(operations, 0, 0))];
        fold(&mut blocks, 0, &usage, &[]);
    }
    assert_eq!(
        told(&blocks, "block.operations"),
        ["11 {service.name=shop,disk.io.direction=read,system.device=sda}"]
    );
}

#[test]
fn fault_16_a_reused_process_number_is_counted_from_zero() {
    let mut blocks = blocks();
    let one = key(1, Operation::Read);
    fold(&mut blocks, 0, &[(one, sums(5, 0, 0))], &[]);
    fold(&mut blocks, 0, &[(one, sums(5, 0, 0))], &[]);
    assert_eq!(blocks.idle().collect::<Vec<_>>(), [(&one, 1)]);
    blocks.deleted(|key| key.owner.tgid == 1);
    fold(&mut blocks, 0, &[(one, sums(2, 0, 0))], &[]);
    assert_eq!(
        told(&blocks, "block.operations"),
        ["7 {service.name=shop,disk.io.direction=read,system.device=sda}"]
    );
}

#[test]
fn failures_count_for_the_service_the_disk_and_the_method() {
    let mut blocks = blocks();
    let failed = |tgid, operation, status| ErrorKey {
        usage: key(tgid, operation),
        status,
        pad: 0,
    };
    let reading = Reading {
        time: UNIX_EPOCH,
        now: 0,
        usage: &[],
        errors: &[
            (failed(1, Operation::Read, 10), 2),
            (failed(3, Operation::Read, 10), 1),
            (failed(3, Operation::Write, 10), 4),
            (failed(3, Operation::Write, 3), 1),
        ],
        pending: &[],
    };
    blocks.fold(&reading, service);
    blocks.fold(&reading, service);
    assert_eq!(
        told(&blocks, "block.errors"),
        [
            "2 {service.name=shop,disk.io.direction=read,error.type=IOERR,system.device=sda}",
            "1 {service.name=backup,disk.io.direction=read,error.type=IOERR,system.device=sda}",
            "1 {service.name=backup,disk.io.direction=write,error.type=NOSPC,system.device=sda}",
            "4 {service.name=backup,disk.io.direction=write,error.type=IOERR,system.device=sda}",
        ]
    );
    assert_eq!(
        told(&blocks, "system.disk.errors"),
        [
            "3 {disk.io.direction=read,error.type=IOERR,system.device=sda}",
            "1 {disk.io.direction=write,error.type=NOSPC,system.device=sda}",
            "4 {disk.io.direction=write,error.type=IOERR,system.device=sda}",
        ]
    );
    assert_eq!(
        told(&blocks, "use.errors"),
        [
            "7 {device=sda,resource=disk,signal=ioerr}",
            "1 {device=sda,resource=disk,signal=nospc}",
        ]
    );
    assert_eq!(
        told(&blocks, "use.errors.by_service"),
        [
            "2 {service.name=shop,device=sda,resource=disk,signal=ioerr}",
            "5 {service.name=backup,device=sda,resource=disk,signal=ioerr}",
            "1 {service.name=backup,device=sda,resource=disk,signal=nospc}",
        ]
    );
}

fn lengths(blocks: &Blocks) -> Vec<String> {
    told(blocks, "use.saturation.by_service")
}

#[test]
fn a_queues_length_is_the_time_spent_in_it_over_the_time_that_passed() {
    let mut blocks = blocks();
    let one = key(1, Operation::Write);
    // 3 s in queue and device before the first reading say nothing of the time between readings.
    fold(&mut blocks, SECOND, &[(one, sums(1, 0, SECOND))], &[]);
    assert_eq!(lengths(&blocks), [""; 0], "there is no interval yet");
    fold(
        &mut blocks,
        3 * SECOND,
        &[(one, sums(2, 0, 2 * SECOND))],
        &[],
    );
    let of = "{service.name=shop,device=sda,resource=disk,signal=queue_length}";
    assert_eq!(lengths(&blocks), [format!("1.5 {of}")]);
    fold(
        &mut blocks,
        4 * SECOND,
        &[(one, sums(2, 0, 2 * SECOND))],
        &[],
    );
    assert_eq!(lengths(&blocks), [format!("0 {of}")], "quiet");
}

#[test]
fn a_request_that_never_ends_counts_in_every_interval() {
    let mut blocks = blocks();
    fold(&mut blocks, SECOND, &[], &[]);
    let of = "{service.name=backup,device=sda,resource=disk,signal=queue_length}";
    for second in 2..5 {
        // Submitted in the middle of the first interval.
        let hung = pending(3, SECOND + SECOND / 2);
        fold(&mut blocks, second * SECOND, &[], &[hung]);
        let expected = if second == 2 { "0.5" } else { "1" };
        assert_eq!(lengths(&blocks), [format!("{expected} {of}")]);
    }
    // It ends after another half second: what it spent is told as a sum from now on.
    let ended = Sums {
        device_time: 3 * SECOND,
        ..sums(1, 0, 0)
    };
    let usage = [(key(3, Operation::Write), ended)];
    fold(&mut blocks, 5 * SECOND, &usage, &[]);
    assert_eq!(lengths(&blocks), [format!("0.5 {of}")]);
}

#[test]
fn a_request_that_nobody_submitted_is_in_nobodys_queue() {
    let mut blocks = blocks();
    fold(&mut blocks, SECOND, &[], &[]);
    fold(&mut blocks, 2 * SECOND, &[], &[pending(1, 0)]);
    assert_eq!(lengths(&blocks), [""; 0]);
}

#[test]
fn services_that_are_gone_are_forgotten_and_the_disks_failures_stay() {
    let mut blocks = blocks();
    let reading = Reading {
        time: UNIX_EPOCH,
        now: 0,
        usage: &[(key(1, Operation::Read), sums(1, 1, 1))],
        errors: &[(
            ErrorKey {
                usage: key(1, Operation::Read),
                status: 10,
                pad: 0,
            },
            1,
        )],
        pending: &[],
    };
    blocks.fold(&reading, service);
    blocks.retain(|_| false);
    for gone in ["block.io", "block.errors"] {
        assert_eq!(told(&blocks, gone), [""; 0]);
    }
    assert_eq!(told(&blocks, "system.disk.errors").len(), 1);
}

proptest! {
    /// However a process's requests are told, services and overflow together have all of them.
    #[test]
    fn no_request_is_lost_or_told_twice(
        readings in prop::collection::vec((0_u32..40, 0_u64..100), 1..80)
    ) {
        let mut blocks = blocks();
        let mut totals = HashMap::new();
        for (device, more) in readings {
            let mut key = key(1, Operation::Write);
            key.of.device = device;
            let total: &mut u64 = totals.entry(device).or_default();
            *total += more;
            fold(&mut blocks, 0, &[(key, sums(*total, *total, 0))], &[]);
        }
        let expected: u64 = totals.values().sum();
        let counted: u64 = blocks.io.iter().map(|(_, sums)| sums.operations).sum();
        prop_assert_eq!(counted, expected);
        prop_assert!(blocks.io.len() <= 11);
    }
}
