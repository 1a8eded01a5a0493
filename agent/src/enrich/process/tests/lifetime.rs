//! What the table holds, and for how long.

use super::*;

#[test]
fn exited_processes_are_kept_for_their_time_and_then_forgotten() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    table.exec(&exec(10, 100, SECOND, b"/bin/job\0"));
    table.exit(&exit(10, 100, 2 * SECOND));
    table.expire(61 * SECOND);
    assert_eq!(service(&table.owner(10)), "job");
    table.expire(62 * SECOND);
    let counters = table.counters();
    assert_eq!((counters.exited, counters.instances), (0, 0));
    assert_eq!(service(&table.owner(10)), "unknown");
}

#[test]
fn an_instance_lives_as_long_as_somebody_keeps_its_resource() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    table.exec(&exec(10, 100, SECOND, b"/bin/job\0"));
    let kept = table.owner(10);
    table.exit(&exit(10, 100, 2 * SECOND));
    table.expire(100 * SECOND);
    table.exec(&exec(11, 9000, 101 * SECOND, b"/bin/job\0"));
    assert!(Arc::ptr_eq(&kept, &table.owner(11)));
}

#[test]
fn an_unknown_process_is_counted_once() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    for _ in 0..3 {
        assert_eq!(service(&table.owner(77)), "unknown");
    }
    assert_eq!(table.counters().losses.get(Loss::UnknownProcess), 1);
    table.exit(&exit(78, 1, SECOND));
    assert_eq!(service(&table.owner(78)), "ending");
}

#[test]
fn tgid_zero_is_nobody() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    assert_eq!(service(&table.owner(0)), "unknown");
    assert_eq!(table.counters().losses, Losses::default());
}

#[test]
fn a_sweep_finds_new_gone_and_replaced_processes() {
    let host = Host::new();
    host.add(
        10,
        &Entry {
            comm: "stays",
            args: b"",
            ..PLAIN
        },
    );
    host.add(
        11,
        &Entry {
            comm: "goes",
            args: b"",
            ..PLAIN
        },
    );
    host.add(
        12,
        &Entry {
            comm: "before",
            args: b"",
            ..PLAIN
        },
    );
    let mut table = host.table(Limits::default());
    assert!(!table.sweep(SECOND, 2));
    assert!(table.sweep(SECOND, 2));
    assert_eq!(table.counters().processes, 3);
    host.remove(11);
    host.add(
        12,
        &Entry {
            comm: "after",
            args: b"",
            start: 900,
            ..PLAIN
        },
    );
    host.add(
        13,
        &Entry {
            comm: "new",
            args: b"",
            ..PLAIN
        },
    );
    assert!(table.sweep(5 * SECOND, 100));
    assert_eq!(table.counters().processes, 3);
    assert_eq!(table.counters().exited, 2);
    for (tgid, name) in [(10, "stays"), (11, "goes"), (12, "after"), (13, "new")] {
        assert_eq!(service(&table.owner(tgid)), name);
    }
    assert_eq!(service(table.owner_at(12, 2 * SECOND)), "before");
}
