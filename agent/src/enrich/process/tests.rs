use std::{fs, os::unix::fs::symlink};

use sonde_common::{
    event::process::{ARGS, COMM, Exec, Exit, FILENAME, Fork},
    header::{Header, Kind},
};

use super::*;
use crate::metric::Attributes;

const ID: &str = "3f4d2b1a9c8e7f605142332415061728394a5b6c7d8e9f00112233445566778f";
const SECOND: u64 = 1_000_000_000;
const TICK: u64 = 10_000_000;

/// A host in a temporary directory.
struct Host {
    directory: tempfile::TempDir,
}

/// What `/proc/PID` of the fixture says.
struct Entry<'a> {
    comm: &'a str,
    flags: u64,
    /// Clock ticks.
    start: u64,
    args: &'a [u8],
    environ: &'a [u8],
    cgroup: &'a str,
}

const PLAIN: Entry<'_> = Entry {
    comm: "server",
    flags: 0,
    start: 500,
    args: b"/usr/bin/server\0--password=hunter2\0",
    environ: b"PATH=/bin\0TOKEN=secret\0",
    cgroup: "0::/user.slice/user-0.slice/session-1.scope\n",
};

impl Host {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for path in ["proc", "sys", "etc"] {
            fs::create_dir(directory.path().join(path)).unwrap();
        }
        fs::write(directory.path().join("etc/hostname"), "node\n").unwrap();
        Self { directory }
    }

    fn root(&self) -> Root {
        Root {
            procfs: self.directory.path().join("proc"),
            sysfs: self.directory.path().join("sys"),
            rootfs: self.directory.path().to_owned(),
        }
    }

    fn table(&self, limits: Limits) -> Processes {
        let root = self.root();
        Processes::new(&root, crate::enrich::host::resource(&root), limits)
    }

    fn path(&self, tgid: u32) -> PathBuf {
        self.root().procfs.join(tgid.to_string())
    }

    fn add(&self, tgid: u32, entry: &Entry<'_>) {
        let path = self.path(tgid);
        fs::create_dir_all(&path).unwrap();
        let Entry {
            comm, flags, start, ..
        } = entry;
        let stat =
            format!("{tgid} ({comm}) S 1 1 1 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 1 0 {start} 9 9\n");
        fs::write(path.join("stat"), stat).unwrap();
        fs::write(path.join("cmdline"), entry.args).unwrap();
        fs::write(path.join("environ"), entry.environ).unwrap();
        fs::write(path.join("cgroup"), entry.cgroup).unwrap();
    }

    fn remove(&self, tgid: u32) {
        fs::remove_dir_all(self.path(tgid)).unwrap();
    }
}

fn header(kind: Kind, tgid: u32, time: u64) -> Header {
    Header {
        time,
        tgid,
        tid: tgid,
        kind: kind as u32,
        pad: 0,
    }
}

fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array[..bytes.len()].copy_from_slice(bytes);
    array
}

fn fork(parent: u32, child: u32, start_ticks: u64, time: u64) -> Fork {
    Fork {
        header: header(Kind::Fork, parent, time),
        start_time: start_ticks * TICK + 1,
        cgroup: 0,
        child,
        pad: 0,
        comm: padded(b"forked"),
    }
}

fn exec(tgid: u32, start_ticks: u64, time: u64, args: &[u8]) -> Exec {
    let path = args.split(|byte| *byte == 0).next().unwrap();
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap();
    Exec {
        header: header(Kind::Exec, tgid, time),
        start_time: start_ticks * TICK + 1,
        cgroup: 0,
        parent: 1,
        uid: 0,
        comm: padded::<COMM>(&name[..name.len().min(COMM - 1)]),
        filename_length: path.len().try_into().unwrap(),
        args_length: args.len().try_into().unwrap(),
        pad: 0,
        filename: padded::<FILENAME>(path),
        args: padded::<ARGS>(args),
    }
}

fn exit(tgid: u32, start_ticks: u64, time: u64) -> Exit {
    Exit {
        header: header(Kind::Exit, tgid, time),
        start_time: start_ticks * TICK + 1,
        status: 0,
        pad: 0,
        comm: padded(b"ending"),
    }
}

fn get(resource: &Resource, name: &str) -> Option<String> {
    resource.attributes.get(name).map(ToString::to_string)
}

fn service(resource: &Resource) -> String {
    get(resource, "service.name").unwrap()
}

#[test]
fn a_process_from_before_the_agent_is_found_at_first_sight() {
    let host = Host::new();
    host.add(42, &PLAIN);
    let mut table = host.table(Limits::default());
    let owner = table.owner(42);
    assert_eq!(service(&owner), "server");
    assert_eq!(get(&owner, "process.pid").as_deref(), Some("42"));
    assert_eq!(
        get(&owner, "process.command").as_deref(),
        Some("/usr/bin/server")
    );
    assert_eq!(get(&owner, "host.name").as_deref(), Some("node"));
    assert_eq!(get(&owner, "service.instance.id").as_deref(), Some("node"));
    assert_eq!(
        owner.identity,
        Attributes::from([("service.name", "server".into())])
    );
    assert!(Arc::ptr_eq(&owner, &table.owner(42)));
}

#[test]
fn nothing_secret_is_kept() {
    let host = Host::new();
    let environ = b"OTEL_RESOURCE_ATTRIBUTES=service.namespace=shop,api.key=secret\0TOKEN=secret\0";
    host.add(42, &Entry { environ, ..PLAIN });
    let mut table = host.table(Limits::default());
    table.owner(42);
    let kept = format!("{table:?}");
    assert!(kept.contains("shop"));
    assert!(!kept.contains("secret") && !kept.contains("hunter2"));
}

#[test]
fn the_environment_declares_name_namespace_and_instance() {
    let host = Host::new();
    let environ = b"OTEL_SERVICE_NAME=cart\0OTEL_RESOURCE_ATTRIBUTES=service.namespace=shop,service.instance.id=c1,service.version=7,deployment.environment.name=prod\0";
    host.add(42, &Entry { environ, ..PLAIN });
    let owner = host.table(Limits::default()).owner(42);
    let expected = Attributes::from([
        ("service.name", "cart".into()),
        ("service.namespace", "shop".into()),
        ("service.instance.id", "c1".into()),
    ]);
    assert_eq!(owner.identity, expected);
    assert_eq!(get(&owner, "service.version").as_deref(), Some("7"));
    assert_eq!(
        get(&owner, "deployment.environment.name").as_deref(),
        Some("prod")
    );
}

#[test]
fn a_containers_processes_are_one_instance_with_its_name() {
    let host = Host::new();
    let cgroup = format!("0::/system.slice/docker-{ID}.scope\n");
    for tgid in [42, 43] {
        host.add(
            tgid,
            &Entry {
                cgroup: &cgroup,
                ..PLAIN
            },
        );
    }
    let config = host
        .root()
        .rootfs
        .join("var/lib/docker/containers")
        .join(ID);
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.v2.json"), r#"{"Name":"/shop-web-1"}"#).unwrap();
    let mut table = host.table(Limits::default());
    let owner = table.owner(42);
    assert_eq!(service(&owner), "shop-web-1");
    assert_eq!(get(&owner, "container.id").as_deref(), Some(ID));
    assert_eq!(
        get(&owner, "container.runtime.name").as_deref(),
        Some("docker")
    );
    assert_eq!(get(&owner, "service.instance.id").as_deref(), Some(ID));
    assert_eq!(owner.identity.get("container.id"), Some(&ID.into()));
    assert!(Arc::ptr_eq(&owner, &table.owner(43)));
    assert_eq!(table.counters().instances, 1);
}

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
    let mut table = host.table(Limits::default());
    table.fork(&fork(9, 10, 600, SECOND));
    table.exec(&exec(10, 600, SECOND, b"/bin/ls\0"));
    assert_eq!(service(&table.owner(10)), "shop");
}

#[test]
fn a_living_process_adds_its_environment_and_long_arguments_to_its_record() {
    let host = Host::new();
    let mut args = b"java\0-Dlong=".to_vec();
    args.resize(ARGS, b'x');
    let record = exec(10, 500, SECOND, &args);
    let mut whole = args.clone();
    whole.extend_from_slice(b"\0-jar\0/srv/shop-1.0.jar\0");
    host.add(
        10,
        &Entry {
            args: &whole,
            ..PLAIN
        },
    );
    symlink("/usr/lib/jvm/bin/java", host.path(10).join("exe")).unwrap();
    let mut table = host.table(Limits::default());
    table.exec(&record);
    assert_eq!(service(&table.owner(10)), "shop");
}

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
fn a_restarted_service_is_renewed_with_its_new_main_process() {
    let host = Host::new();
    let mut table = host.table(Limits::default());
    table.exec(&exec(10, 100, SECOND, b"/bin/job\0"));
    let old = table.owner(10);
    assert_eq!(table.renew(), []);
    table.exit(&exit(10, 100, 2 * SECOND));
    assert_eq!(table.renew(), []);
    table.exec(&exec(12, 300, 3 * SECOND, b"/bin/job\0"));
    table.exec(&exec(11, 200, 3 * SECOND, b"/bin/job\0"));
    assert!(Arc::ptr_eq(&old, &table.owner(11)));
    let renewed = table.renew();
    assert_eq!(renewed.len(), 1);
    assert!(Arc::ptr_eq(&renewed[0].old, &old));
    assert_eq!(renewed[0].new.identity, old.identity);
    assert_eq!(get(&renewed[0].new, "process.pid").as_deref(), Some("11"));
    assert!(Arc::ptr_eq(&renewed[0].new, &table.owner(12)));
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
    table.renew();
    let new = table.owner(10);
    assert_eq!(new.identity, old.identity);
    let executable = get(&new, "process.executable.name");
    assert_eq!(executable.as_deref(), Some("nginx"));
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

#[test]
fn a_real_childs_environment_names_its_service() {
    let mut child = std::process::Command::new("sleep")
        .arg("30")
        .env("OTEL_SERVICE_NAME", "sleeper")
        .spawn()
        .unwrap();
    // spawn() returns in the middle of execve(2), before the new environment can be read.
    let environ = format!("/proc/{}/environ", child.id());
    while fs::read(&environ).unwrap().is_empty() {
        std::thread::yield_now();
    }
    let root = Root::default();
    let host = crate::enrich::host::resource(&root);
    let owner = Processes::new(&root, host, Limits::default()).owner(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(service(&owner), "sleeper");
    let executable = get(&owner, "process.executable.name");
    assert!(executable.is_some_and(|name| !name.is_empty()));
}

#[test]
fn the_agents_own_process_is_described_from_the_real_proc() {
    let root = Root::default();
    let mut table = Processes::new(
        &root,
        crate::enrich::host::resource(&root),
        Limits::default(),
    );
    let owner = table.owner(std::process::id());
    assert!(get(&owner, "process.executable.name").is_some_and(|name| name.starts_with("sonde")));
}
