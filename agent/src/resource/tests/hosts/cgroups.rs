//! One cgroup, as each version shows it.

use std::fmt::Write as _;

use super::{Moment, Tree};

const MIB: u64 = 1 << 20;

/// How a host has its hierarchies set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Layout {
    V1,
    V2,
    /// Controllers in version 1, and version 2 beside them.
    Hybrid,
}

/// What one cgroup does. Counters are pairs: what they are at first, and how much they grow in ten
/// seconds.
#[derive(Clone, Debug)]
pub(super) struct Cgroup {
    pub(super) path: String,
    /// CPU time in microseconds.
    pub(super) user: (u64, u64),
    pub(super) system: (u64, u64),
    /// Microseconds in each 100 ms.
    pub(super) quota: Option<u64>,
    pub(super) periods: (u64, u64),
    pub(super) throttled_periods: (u64, u64),
    /// Microseconds.
    pub(super) throttled: (u64, u64),
    /// MiB.
    pub(super) memory: u64,
    pub(super) inactive_file: u64,
    pub(super) anonymous: u64,
    pub(super) memory_limit: Option<u64>,
    /// What counts above it, for version 1, which tells that itself.
    pub(super) effective_limit: Option<u64>,
    pub(super) at_limit: (u64, u64),
    pub(super) oom_kills: (u64, u64),
    pub(super) faults: (u64, u64),
    pub(super) major_faults: (u64, u64),
    pub(super) threads: u64,
    pub(super) thread_limit: Option<u64>,
    pub(super) refused: (u64, u64),
    /// Microseconds in which some waited for CPU, memory and I/O; half of that all did.
    pub(super) pressure: [(u64, u64); 3],
    /// Bytes and operations read, then written, by device number.
    pub(super) disks: Vec<(&'static str, [(u64, u64); 4])>,
}

impl Cgroup {
    /// One that hardly does anything and has no limits.
    pub(super) fn idle(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            user: (2_000_000, 0),
            system: (1_000_000, 0),
            quota: None,
            periods: (0, 0),
            throttled_periods: (0, 0),
            throttled: (0, 0),
            memory: 16,
            inactive_file: 4,
            anonymous: 8,
            memory_limit: None,
            effective_limit: None,
            at_limit: (0, 0),
            oom_kills: (0, 0),
            faults: (10_000, 0),
            major_faults: (5, 0),
            threads: 3,
            thread_limit: None,
            refused: (0, 0),
            pressure: [(0, 0); 3],
            disks: Vec::new(),
        }
    }
}

/// The tops of the hierarchies, as a host's first namespace shows them.
pub(super) fn mount(tree: &mut Tree, layout: Layout) {
    let unified = match layout {
        Layout::V1 => None,
        Layout::V2 => Some("sys/fs/cgroup"),
        Layout::Hybrid => Some("sys/fs/cgroup/unified"),
    };
    if let Some(unified) = unified {
        let controllers = match layout {
            Layout::V2 => "cpuset cpu io memory hugetlb pids rdma misc",
            _ => "",
        };
        tree.file(format!("{unified}/cgroup.controllers"), controllers);
        tree.file(format!("{unified}/cgroup.procs"), "1\n2");
        tree.file(
            format!("{unified}/cpu.stat"),
            "usage_usec 99000000\nuser_usec 66000000\nsystem_usec 33000000",
        );
    }
    if layout != Layout::V2 {
        for name in [
            "cpu,cpuacct",
            "memory",
            "blkio",
            "pids",
            "systemd",
            "freezer",
        ] {
            let top = format!("sys/fs/cgroup/{name}");
            tree.file(format!("{top}/cgroup.procs"), "1\n2");
            tree.file(format!("{top}/release_agent"), "");
        }
    }
}

/// The cgroup's files.
pub(super) fn add(tree: &mut Tree, layout: Layout, cgroup: &Cgroup, moment: Moment) {
    let path = &cgroup.path;
    match layout {
        Layout::V2 => v2(tree, &format!("sys/fs/cgroup{path}"), cgroup, moment),
        Layout::V1 => v1(tree, cgroup, moment),
        Layout::Hybrid => {
            v1(tree, cgroup, moment);
            let base = format!("sys/fs/cgroup/unified{path}");
            tree.file(format!("{base}/cgroup.procs"), "100");
            pressure(tree, &base, cgroup, moment);
        }
    }
}

fn at(moment: Moment, counter: (u64, u64)) -> u64 {
    moment.count(counter.0, counter.1)
}

fn v2(tree: &mut Tree, base: &str, cgroup: &Cgroup, moment: Moment) {
    let at = |counter| at(moment, counter);
    let mut file = |name: &str, text: String| tree.file(format!("{base}/{name}"), text);
    let limit = |limit: Option<u64>| limit.map_or_else(|| "max".to_owned(), |it| it.to_string());
    let (user, system) = (at(cgroup.user), at(cgroup.system));
    file("cgroup.procs", "100".to_owned());
    file("cgroup.type", "domain".to_owned());
    file(
        "cpu.stat",
        format!(
            "usage_usec {}\nuser_usec {user}\nsystem_usec {system}\nnice_usec 0\n\
             core_sched.force_idle_usec 0\nnr_periods {}\nnr_throttled {}\nthrottled_usec {}\n\
             nr_bursts 0\nburst_usec 0",
            user + system,
            at(cgroup.periods),
            at(cgroup.throttled_periods),
            at(cgroup.throttled)
        ),
    );
    file("cpu.max", format!("{} 100000", limit(cgroup.quota)));
    file("memory.current", (cgroup.memory * MIB).to_string());
    file("memory.max", limit(cgroup.memory_limit.map(|it| it * MIB)));
    file("memory.swap.current", "0".to_owned());
    file(
        "memory.stat",
        format!(
            "anon {}\nfile {}\nkernel 2621440\ninactive_anon 0\nactive_anon {}\ninactive_file {}\n\
             active_file 1048576\nworkingset_refault_file 12\npgfault {}\npgmajfault {}",
            cgroup.anonymous * MIB,
            (cgroup.memory - cgroup.anonymous) * MIB,
            cgroup.anonymous * MIB,
            cgroup.inactive_file * MIB,
            at(cgroup.faults),
            at(cgroup.major_faults)
        ),
    );
    let kills = at(cgroup.oom_kills);
    file(
        "memory.events",
        format!(
            "low 0\nhigh 0\nmax {}\noom {kills}\noom_kill {kills}\noom_group_kill 0",
            at(cgroup.at_limit)
        ),
    );
    file("pids.current", cgroup.threads.to_string());
    file("pids.max", limit(cgroup.thread_limit));
    file("pids.events", format!("max {}", at(cgroup.refused)));
    let disks = cgroup.disks.iter().map(|(device, traffic)| {
        let [read, reads, written, writes] = traffic.map(at);
        format!(
            "{device} rbytes={read} wbytes={written} rios={reads} wios={writes} dbytes=0 dios=0\n"
        )
    });
    file("io.stat", disks.collect());
    pressure(tree, base, cgroup, moment);
}

fn pressure(tree: &mut Tree, base: &str, cgroup: &Cgroup, moment: Moment) {
    for (name, waited) in ["cpu", "memory", "io"].into_iter().zip(cgroup.pressure) {
        let waited = at(moment, waited);
        let full = waited / 2;
        let text = format!(
            "some avg10=0.00 avg60=0.12 avg300=0.34 total={waited}\n\
             full avg10=0.00 avg60=0.06 avg300=0.17 total={full}"
        );
        tree.file(format!("{base}/{name}.pressure"), text);
    }
}

fn v1(tree: &mut Tree, cgroup: &Cgroup, moment: Moment) {
    const TICK: u64 = 10_000;
    let at = |counter| at(moment, counter);
    let mut file = |controller: &str, name: &str, text: String| {
        let path = &cgroup.path;
        tree.file(format!("sys/fs/cgroup/{controller}{path}/{name}"), text);
    };
    let (user, system) = (at(cgroup.user), at(cgroup.system));
    let cpu = "cpu,cpuacct";
    file(cpu, "cpuacct.usage", ((user + system) * 1000).to_string());
    file(
        cpu,
        "cpuacct.stat",
        format!("user {}\nsystem {}", user / TICK, system / TICK),
    );
    file(
        cpu,
        "cpu.stat",
        format!(
            "nr_periods {}\nnr_throttled {}\nthrottled_time {}",
            at(cgroup.periods),
            at(cgroup.throttled_periods),
            at(cgroup.throttled) * 1000
        ),
    );
    let quota = cgroup.quota.map_or(-1, u64::cast_signed);
    file(cpu, "cpu.cfs_quota_us", quota.to_string());
    file(cpu, "cpu.cfs_period_us", "100000".to_owned());

    let unlimited = "9223372036854771712".to_owned();
    let effective = cgroup.effective_limit.or(cgroup.memory_limit);
    let effective = effective.map_or(unlimited, |it| (it * MIB).to_string());
    file(
        "memory",
        "memory.usage_in_bytes",
        (cgroup.memory * MIB).to_string(),
    );
    file(
        "memory",
        "memory.stat",
        format!(
            "cache 4096\nrss 0\ninactive_file 0\npgfault 7\npgmajfault 0\n\
             hierarchical_memory_limit {effective}\nhierarchical_memsw_limit {effective}\n\
             total_rss {}\ntotal_swap 0\ntotal_pgfault {}\ntotal_pgmajfault {}\n\
             total_inactive_file {}",
            cgroup.anonymous * MIB,
            at(cgroup.faults),
            at(cgroup.major_faults),
            cgroup.inactive_file * MIB
        ),
    );
    file("memory", "memory.failcnt", at(cgroup.at_limit).to_string());
    file(
        "memory",
        "memory.oom_control",
        format!(
            "oom_kill_disable 0\nunder_oom 0\noom_kill {}",
            at(cgroup.oom_kills)
        ),
    );
    let limit = cgroup.thread_limit.map(|limit| limit.to_string());
    file("pids", "pids.current", cgroup.threads.to_string());
    file(
        "pids",
        "pids.max",
        limit.unwrap_or_else(|| "max".to_owned()),
    );
    file("pids", "pids.events", format!("max {}", at(cgroup.refused)));

    for (name, pick) in [("io_service_bytes", 0), ("io_serviced", 1)] {
        let mut total = 0;
        let mut text = String::new();
        for (device, traffic) in &cgroup.disks {
            let (read, written) = (at(traffic[pick]), at(traffic[pick + 2]));
            let sum = read + written;
            total += sum;
            write!(
                text,
                "{device} Read {read}\n{device} Write {written}\n{device} Sync {sum}\n\
                 {device} Async 0\n{device} Discard 0\n{device} Total {sum}\n"
            )
            .expect("a String takes all");
        }
        let name = format!("blkio.throttle.{name}_recursive");
        file("blkio", &name, format!("{text}Total {total}"));
    }
}
