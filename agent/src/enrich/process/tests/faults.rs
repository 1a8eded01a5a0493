//! Bad input, lost records, numbers that are used twice.

use super::*;

#[test]
fn fault_17_prefork_workers_share_their_masters_instance() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    table.exec(&exec(10, 100, SECOND, b"/usr/sbin/httpd\0"));
    for worker in 11..14 {
        table.fork(&fork(10, worker, 101, SECOND + 1));
        assert!(Arc::ptr_eq(&table.owner(10), &table.owner(worker)));
    }
    assert_eq!(get(&table.owner(13), "process.pid").as_deref(), Some("10"));
}

#[test]
fn fault_17_a_connection_older_than_the_child_that_serves_it_is_the_childs() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    table.exec(&exec(10, 100, SECOND, b"/usr/sbin/sshd\0"));
    table.fork(&fork(10, 11, 300, 3 * SECOND));
    assert_eq!(service(table.owner_at(11, 2 * SECOND)), "sshd");
}

#[test]
fn fault_16_a_reused_pid_is_told_apart_by_start_and_time() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    table.exec(&exec(10, 100, SECOND, b"/bin/first\0"));
    table.exit(&exit(10, 100, 2 * SECOND));
    assert_eq!(service(&table.owner(10)), "first");
    table.fork(&fork(1, 10, 300, 3 * SECOND));
    table.exec(&exec(10, 300, 3 * SECOND + 5, b"/bin/second\0"));
    assert_eq!(service(&table.owner(10)), "second");
    assert_eq!(service(table.owner_at(10, 4 * SECOND)), "second");
    assert_eq!(service(table.owner_at(10, 2 * SECOND)), "first");
    // The first one's exit, told once more, doesn't end the second.
    table.exit(&exit(10, 100, 4 * SECOND));
    assert_eq!(table.counters().processes, 1);
}

#[test]
fn fault_16_a_reused_pid_whose_exit_was_lost_is_replaced() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    table.exec(&exec(10, 100, SECOND, b"/bin/first\0"));
    table.exec(&exec(10, 300, 3 * SECOND, b"/bin/second\0"));
    assert_eq!(service(table.owner_at(10, 2 * SECOND)), "first");
    assert_eq!(service(&table.owner(10)), "second");
}

#[test]
fn fault_20_a_process_that_is_gone_is_described_by_its_exec_record() {
    let host = Host::new();
    // The number already has another process when the record is read.
    host.add(
        10,
        &Entry {
            comm: "other",
            start: 900,
            ..PLAIN
        },
    );
    let mut table = host.table(Limits::default());
    table.exec(&exec(10, 100, SECOND, b"/usr/bin/python3\0/opt/job.py\0"));
    table.exit(&exit(10, 100, SECOND + 1));
    let owner = table.owner_at(10, SECOND);
    assert_eq!(service(owner), "job");
    assert_eq!(
        get(owner, "process.executable.name").as_deref(),
        Some("python3")
    );
}

#[test]
fn fault_20_a_gone_child_keeps_what_its_parent_declared() {
    let host = Host::new();
    host.add(
        9,
        &Entry {
            environ: b"OTEL_SERVICE_NAME=shop\0",
            ..PLAIN
        },
    );
    // One is gone without a trace, one waits for its parent to take note.
    let zombie = Entry {
        args: b"",
        environ: b"",
        start: 600,
        ..PLAIN
    };
    host.add(11, &zombie);
    let stat = host.path(11).join("stat");
    let ended = fs::read_to_string(&stat).unwrap().replace(") S ", ") Z ");
    fs::write(stat, ended).unwrap();
    let mut table = host.table(Limits::default());
    for tgid in [10, 11] {
        table.fork(&fork(9, tgid, 600, SECOND));
        table.exec(&exec(tgid, 600, SECOND, b"/bin/ls\0"));
        assert_eq!(service(&table.owner(tgid)), "shop");
    }
}

#[test]
fn fault_20_the_cgroup_id_of_a_gone_process_tells_its_unit() {
    let host = Host::new();
    let mount = host.root().sysfs.join("fs/cgroup");
    let unit = mount.join("system.slice/backup.service");
    fs::create_dir_all(&unit).unwrap();
    fs::write(mount.join("cgroup.controllers"), "cpu\n").unwrap();
    let mut record = exec(10, 100, SECOND, b"/bin/tar\0");
    record.cgroup = std::os::unix::fs::MetadataExt::ino(&fs::metadata(unit).unwrap());
    let mut table = host.table(Limits::default());
    table.exec(&record);
    assert_eq!(service(&table.owner(10)), "backup");
}

#[test]
fn fault_22_caps_hold_and_are_counted() {
    let host = Host::new();
    let limits = Limits {
        processes: 3,
        exited: 2,
        instances: 2,
        ..Limits::default()
    };
    let mut table = host.table(limits);
    for tgid in 1..=5 {
        let path = format!("/bin/job{tgid}\0");
        table.exec(&exec(tgid, 100, SECOND, path.as_bytes()));
    }
    for tgid in 1..=3 {
        table.exit(&exit(tgid, 100, 2 * SECOND));
    }
    let counters = table.counters();
    assert_eq!(
        (counters.processes, counters.exited, counters.instances),
        (0, 2, 2)
    );
    assert_eq!(counters.losses.get(Loss::ProcessTableFull), 2);
    assert_eq!(counters.losses.get(Loss::InstanceTableFull), 1);
    assert_eq!(counters.losses.get(Loss::ExitedEvicted), 1);
    assert_eq!(service(&table.owner(3)), "unknown");
}

#[test]
fn fault_28_hostile_proc_entries_are_described_as_far_as_they_go() {
    let host = Host::new();
    let hostile = Entry {
        args: b"\xff\xfe/x\0\x80\0",
        environ: b"\xff=\0=\0\0",
        cgroup: "0::/\u{fffd})(\n",
        ..PLAIN
    };
    host.add(
        10,
        &Entry {
            comm: "a) S (b\nc",
            args: b"",
            ..hostile
        },
    );
    host.add(11, &hostile);
    // A zombie: its files are there, and empty.
    host.add(
        12,
        &Entry {
            comm: "gone",
            args: b"",
            environ: b"",
            ..PLAIN
        },
    );
    host.add(
        13,
        &Entry {
            comm: "kworker/0:1",
            flags: 0x20_0000,
            args: b"",
            ..PLAIN
        },
    );
    host.add(
        14,
        &Entry {
            comm: "kworker/1:1",
            flags: 0x20_0000,
            args: b"",
            ..PLAIN
        },
    );
    host.add(
        15,
        &Entry {
            cgroup: "no colons\n",
            ..PLAIN
        },
    );
    host.add(16, &PLAIN);
    for name in ["cmdline", "environ", "cgroup"] {
        fs::remove_file(host.path(16).join(name)).unwrap();
    }
    host.add(17, &PLAIN);
    fs::write(host.path(17).join("stat"), "17 (x").unwrap();
    let mut table = host.table(Limits::default());
    let expected = [
        (10, "a) S (b_c"),
        (11, "server"),
        (12, "gone"),
        (13, "kernel"),
        (14, "kernel"),
        (15, "server"),
        (16, "server"),
        (17, "unknown"),
    ];
    for (tgid, name) in expected {
        assert_eq!(service(&table.owner(tgid)), name, "{tgid}");
    }
    assert_eq!(table.counters().losses.get(Loss::ProcMalformed), 2);
}

#[test]
fn fault_28_an_unreadable_environment_is_counted_and_the_rest_stands() {
    let host = Host::new();
    host.add(10, &PLAIN);
    fs::remove_file(host.path(10).join("environ")).unwrap();
    // Root may read everything; reading a directory fails for root too.
    fs::create_dir(host.path(10).join("environ")).unwrap();
    let mut table = host.table(Limits::default());
    assert_eq!(service(&table.owner(10)), "server");
    assert_eq!(table.counters().losses.get(Loss::ProcInaccessible), 1);
}

#[test]
fn fault_28_lengths_beyond_the_arrays_are_cut() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    let mut record = exec(10, 100, SECOND, b"/bin/job\0");
    record.args_length = u16::MAX;
    record.filename_length = u16::MAX;
    record.comm = [0xff; COMM];
    table.exec(&record);
    assert_eq!(service(&table.owner(10)), "job");
}
