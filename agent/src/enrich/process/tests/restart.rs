//! Who describes a service when its main process has ended.

use super::*;

fn pid(table: &mut Processes, tgid: u32) -> Option<String> {
    get(&table.owner(tgid), "process.pid")
}

#[test]
fn a_restarted_service_is_renewed_with_its_new_main_process() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    table.exec(&exec(2, 50, SECOND, b"/sbin/init\0"));
    table.exec(&exec(10, 100, SECOND, b"/bin/job\0"));
    let old = table.owner(10);
    assert_eq!(table.renew(20 * SECOND), []);
    table.exit(&exit(10, 100, 20 * SECOND));
    assert_eq!(table.renew(20 * SECOND), [], "all data is of its time");
    for (tgid, start) in [(12, 2300), (11, 2200)] {
        table.fork(&fork(2, tgid, start, 23 * SECOND));
        table.exec(&exec(tgid, start, 23 * SECOND, b"/bin/job\0"));
    }
    assert!(
        Arc::ptr_eq(&old, &table.owner(11)),
        "nothing has been asked"
    );
    // Whether they stay isn't known yet.
    let renewed = table.renew(24 * SECOND);
    assert_eq!(renewed.len(), 1);
    assert!(Arc::ptr_eq(&renewed[0].old, &old));
    assert_eq!(renewed[0].new.identity, old.identity);
    assert_eq!(pid(&mut table, 11), None);
    let between = table.owner(11);
    assert_eq!(table.renew(25 * SECOND), []);
    let renewed = table.renew(28 * SECOND);
    assert_eq!(renewed.len(), 1);
    assert!(Arc::ptr_eq(&renewed[0].old, &between));
    assert_eq!(renewed[0].new.identity, old.identity);
    assert!(Arc::ptr_eq(&renewed[0].new, &table.owner(12)));
    assert_eq!(pid(&mut table, 12).as_deref(), Some("11"));
    assert_eq!(table.renew(29 * SECOND), []);
}

#[test]
fn a_worker_that_outlives_its_master_is_renewed_at_once() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    table.exec(&exec(10, 100, SECOND, b"/usr/sbin/httpd\0"));
    table.fork(&fork(10, 11, 101, SECOND + 1));
    table.exit(&exit(10, 100, 20 * SECOND));
    assert_eq!(table.renew(20 * SECOND).len(), 1);
    assert_eq!(pid(&mut table, 11).as_deref(), Some("11"));
}

#[test]
fn short_commands_leave_their_service_without_a_process() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    let mut renewals = 0;
    for number in 0..10_u32 {
        let (start, time) = (u64::from(number) * 100, u64::from(number + 1) * SECOND);
        table.exec(&exec(10 + number, start, time, b"/usr/bin/curl\0"));
        table.exit(&exit(10 + number, start, time + 1));
        renewals += table.renew(time + SECOND / 2).len();
    }
    assert_eq!(renewals, 1, "with the second one");
    let owner = table.owner(19);
    assert_eq!(get(&owner, "process.pid"), None);
    let executable = get(&owner, "process.executable.name");
    assert_eq!(executable.as_deref(), Some("curl"));
}

#[test]
fn an_entry_script_that_runs_its_server_is_renewed_with_it() {
    let host = Host::new();
    let cgroup = format!("0::/system.slice/docker-{ID}.scope\n");
    host.add(
        10,
        &Entry {
            environ: b"OTEL_SERVICE_NAME=web\0",
            cgroup: &cgroup,
            ..PLAIN
        },
    );
    let mut table = host.table(Limits::default());
    table.exec(&exec(10, 500, SECOND, b"/entrypoint\0"));
    let old = table.owner(10);
    table.exec(&exec(10, 500, 2 * SECOND, b"/usr/sbin/nginx\0"));
    assert!(Arc::ptr_eq(&old, &table.owner(10)));
    assert_eq!(table.renew(2 * SECOND).len(), 1);
    let new = table.owner(10);
    assert_eq!(new.identity, old.identity);
    let executable = get(&new, "process.executable.name");
    assert_eq!(executable.as_deref(), Some("nginx"));
    assert_eq!(pid(&mut table, 10).as_deref(), Some("10"));
}
