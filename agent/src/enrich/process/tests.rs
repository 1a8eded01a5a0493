//! A host of files, and records about its processes.

mod description;
mod faults;
mod kubernetes;
mod lifetime;
mod restart;

use std::fs;

use sonde_common::{
    event::{
        process::{ARGS, COMM, Exec, Exit, FILENAME, Fork},
        sched::Usage,
    },
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
        lifetime: 0,
        usage: Usage::EMPTY,
    }
}

fn get(resource: &Resource, name: &str) -> Option<String> {
    resource.attributes.get(name).map(ToString::to_string)
}

fn service(resource: &Resource) -> String {
    get(resource, "service.name").unwrap()
}
