//! Filesystems: room and inodes by mount point, remounts to read-only, errors that ext4 counts.

mod mount;
mod probe;

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    time::Instant,
};

use self::{
    mount::Mount,
    probe::{Answer, Prober, Room},
};
use super::{
    Error, Registration, Resource, Root, Use,
    method::{Signal, amount, gauge},
    read,
};
use crate::metric::{AttributeValue, Descriptor, Unit};

const NAME: &str = "filesystem";

static USAGE: Descriptor = amount(
    "system.filesystem.usage",
    "Space by state; reserved is for the superuser only (statvfs(3) of each mount point)",
    Unit::Bytes,
);
static UTILIZATION: Descriptor = gauge(
    "system.filesystem.utilization",
    "Share of the space that ordinary users may have that is used, as df(1) shows it (statvfs(3))",
    Unit::Ratio,
);
static LIMIT: Descriptor = amount(
    "system.filesystem.limit",
    "Capacity of the filesystem (statvfs(3), f_blocks)",
    Unit::Bytes,
);
static INODES: Descriptor = amount(
    "system.filesystem.inodes.usage",
    "Inodes by state; absent where the filesystem has no fixed number (statvfs(3), f_files and f_ffree)",
    Unit::Count("{inode}"),
);
static STUCK: Descriptor = gauge(
    "system.filesystem.stuck",
    "1 for a mount point that has not answered statvfs(3) in time, such as one of a server that is away",
    Unit::None,
);

static INODE_SHARE: Signal = Signal {
    name: "inode_share",
    help: "Share of the inodes in use; at 1 no file can be created however much space is free (statvfs(3))",
};
static READ_ONLY: Signal = Signal {
    name: "read_only_remount",
    help: "Times that a writable mount was found read-only, counted since the agent's start (/proc/1/mountinfo)",
};
static FAILED: Signal = Signal {
    name: "stat_failure",
    help: "statvfs(3) calls that failed, such as with EIO or ESTALE, counted since the agent's start",
};
static STUCK_SIGNAL: Signal = Signal {
    name: "stuck",
    help: "Times that the mount point did not answer statvfs(3) in time, counted since the agent's start",
};
static EXT4: Signal = Signal {
    name: "ext4_error",
    help: "Errors that ext4 found in the filesystem, kept on it across boots (/sys/fs/ext4/*/errors_count)",
};

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[&USAGE, &UTILIZATION, &LIMIT, &INODES, &STUCK],
    saturation: &[&INODE_SHARE],
    errors: &[&READ_ONLY, &FAILED, &STUCK_SIGNAL, &EXT4],
    open: |_| Box::new(Filesystem::new(Prober::default())),
};

/// What the agent has seen of a mount point since its own start.
#[derive(Debug, Default, PartialEq, Eq)]
struct History {
    was_read_only: bool,
    read_only_remounts: u64,
    failures: u64,
    stuck: u64,
}

struct Filesystem {
    prober: Prober,
    seen: BTreeMap<String, History>,
}

impl Resource for Filesystem {
    fn sample(&mut self, root: &Root, _now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let Some(text) = read::mountinfo(root)? else {
            return Ok(None);
        };
        let mounts = mount::parse(&text, &mut report.skipped);
        if mounts.is_empty() {
            if report.skipped() > 0 {
                return Err(read::malformed(
                    &root.procfs.join("self/mountinfo"),
                    "mount point",
                ));
            }
            return Ok(None);
        }
        // A mount point that is gone takes its history along; the table can't outgrow the mounts.
        let points: HashSet<_> = mounts.iter().map(|mount| &mount.point).collect();
        self.seen.retain(|point, _| points.contains(point));
        self.prober.begin();
        for mount in &mounts {
            self.report(mount, root, &mut report);
        }
        Ok(Some(report))
    }
}

impl Filesystem {
    fn new(prober: Prober) -> Self {
        Self {
            prober,
            seen: BTreeMap::new(),
        }
    }

    fn report(&mut self, mount: &Mount, root: &Root, report: &mut Use) {
        let answer = self.prober.ask(&below(&root.rootfs, &mount.point));
        let history = self.seen.entry(mount.point.clone()).or_insert(History {
            was_read_only: mount.is_read_only,
            ..History::default()
        });
        if mount.is_read_only && !history.was_read_only {
            history.read_only_remounts += 1;
        }
        history.was_read_only = mount.is_read_only;
        match answer {
            Answer::Room(found) if mount.is_on(found.device) => usage(mount, &found, report),
            // Without the host's mounts below rootfs, this is the room of something else.
            Answer::Room(_) => report.skipped.one(),
            Answer::Failed => history.failures += 1,
            Answer::BecameStuck => history.stuck += 1,
            Answer::StillStuck | Answer::GivenUp | Answer::Unseen => {}
        }
        if !matches!(answer, Answer::Room(_)) {
            report.skipped.one();
        }
        let is_stuck = matches!(answer, Answer::BecameStuck | Answer::StillStuck);
        report.count(&STUCK, attributes(mount, None), u64::from(is_stuck));
        let device = Some(mount.point.as_str());
        report.observed_errors(device, &READ_ONLY, history.read_only_remounts);
        report.observed_errors(device, &FAILED, history.failures);
        report.observed_errors(device, &STUCK_SIGNAL, history.stuck);
        if mount.kind == "ext4" {
            let errors = ext4_errors(mount, root);
            let errors = report.skipped.or_skip(errors);
            report.errors(device, &EXT4, errors);
        }
    }
}

fn usage(mount: &Mount, room: &Room, report: &mut Use) {
    // Some network filesystems know no sizes and say 0.
    if room.blocks == 0 {
        return;
    }
    let used = room.blocks.saturating_sub(room.free);
    let states = [
        ("used", used),
        ("free", room.available),
        ("reserved", room.free.saturating_sub(room.available)),
    ];
    for (state, blocks) in states {
        let bytes = blocks.checked_mul(room.block_size);
        report.count(&USAGE, attributes(mount, Some(state)), bytes);
    }
    let limit = room.blocks.checked_mul(room.block_size);
    report.count(&LIMIT, attributes(mount, None), limit);
    let device = Some(mount.point.as_str());
    let usable = used.saturating_add(room.available);
    let share = (usable > 0).then(|| used as f64 / usable as f64);
    report.measure(&UTILIZATION, attributes(mount, None), share);
    report.utilization(device, share);
    if room.inodes > 0 {
        let used = room.inodes.saturating_sub(room.inodes_free);
        for (state, inodes) in [("used", used), ("free", room.inodes_free)] {
            report.count(&INODES, attributes(mount, Some(state)), inodes);
        }
        let share = used as f64 / room.inodes as f64;
        report.saturation(device, &INODE_SHARE, share);
    }
}

fn attributes(mount: &Mount, state: Option<&str>) -> crate::metric::Attributes {
    let mode = if mount.is_read_only { "ro" } else { "rw" };
    let pairs: [(&'static str, AttributeValue); 4] = [
        ("system.device", mount.source.as_str().into()),
        ("system.filesystem.mode", mode.into()),
        ("system.filesystem.mountpoint", mount.point.as_str().into()),
        ("system.filesystem.type", mount.kind.as_str().into()),
    ];
    pairs
        .into_iter()
        .chain(state.map(|state| ("system.filesystem.state", state.into())))
        .collect()
}

/// Where the host's `point` is for this process.
fn below(rootfs: &Path, point: &str) -> PathBuf {
    rootfs.join(point.trim_start_matches('/'))
}

fn ext4_errors(mount: &Mount, root: &Root) -> Result<Option<u64>, Error> {
    let Some(device) = Path::new(&mount.source).file_name() else {
        return Ok(None);
    };
    let directory = root.sysfs.join("fs/ext4").join(device);
    read::number(&directory.join("errors_count"))
}

#[cfg(test)]
mod tests;
