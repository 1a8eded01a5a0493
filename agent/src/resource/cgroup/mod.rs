//! cgroups: what containers, pods and services use of what they may, in both versions.
//!
//! Read from the hierarchies below `/sys/fs/cgroup` as the agent sees them: in a cgroup namespace
//! only the part below its own. Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/*.

mod cpu;
mod descriptors;
mod file;
mod hierarchy;
mod io;
mod limit;
mod memory;
mod owner;
mod pids;
mod pressure;
mod report;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use self::{
    cpu::Cpu,
    file::Files,
    hierarchy::Hierarchies,
    io::{Disks, Io},
    limit::Limits,
    memory::Memory,
    owner::Owner,
    pids::Pids,
    pressure::Pressures,
    report::Report,
    walk::{Bounds, Found},
};
use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    read::Skipped,
};

const NAME: &str = "cgroup";
/// Most cgroups that are told.
const MAX_TOLD: usize = 1000;
/// One of them takes about 0.1 ms; what isn't read by then is left out and counted.
const BUDGET: Duration = Duration::from_millis(500);

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: descriptors::RAW,
    saturation: descriptors::SATURATION,
    errors: descriptors::ERRORS,
    open: |_| Box::new(Cgroups::new(BUDGET)),
};

/// The counters of one cgroup, for the rates.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Tells a cgroup from an earlier one of the same name.
    inode: u64,
    cpu: Cpu,
    memory: Memory,
    pids: Pids,
    pressure: Pressures,
}

/// The told cgroups' counters by path.
type Samples = HashMap<String, Sample>;

/// Every cgroup that was seen last, and whose it is where it is told. Working that out takes longer
/// than all else about the many that aren't.
type Owners = HashMap<String, Option<Owner>>;

#[derive(Debug)]
struct Cgroups {
    budget: Duration,
    owners: Owners,
    last: Option<Timed<Samples>>,
}

impl Cgroups {
    fn new(budget: Duration) -> Self {
        Self {
            budget,
            owners: Owners::new(),
            last: None,
        }
    }
}

impl Resource for Cgroups {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
        let deadline = Instant::now() + self.budget;
        let mut report = Use::new(NAME);
        let hierarchies = Hierarchies::find(&root.sysfs.join("fs/cgroup"), &mut report.skipped);
        let Some(mode) = hierarchies.mode() else {
            return Ok(None);
        };
        let mut found = walk::walk(&hierarchies, Bounds::until(deadline), &mut report.skipped);
        let is_part = hierarchies.is_part();
        let attributes = [
            ("system.cgroup.version", mode.as_str().into()),
            (
                "system.cgroup.scope",
                if is_part { "namespace" } else { "host" }.into(),
            ),
        ];
        report.count(&descriptors::VISIBLE, attributes, found.len() as u64);
        if is_part {
            // The agent's own, with limits. The host's top has none, and what it uses is what the
            // other resources tell.
            found.insert("/".to_owned(), Found::top());
        }
        self.owners = owners(std::mem::take(&mut self.owners), &found);
        let mut round = Round {
            hierarchies: &hierarchies,
            disks: Disks::read(root, &mut report.skipped),
            limits: Limits::default(),
            last: self.last.as_ref(),
            now: Timed {
                at: now,
                value: Samples::new(),
            },
        };
        let told = told(&self.owners, &found, &mut report.skipped);
        for (index, (path, owner, found)) in told.iter().enumerate() {
            if Instant::now() > deadline {
                report.skipped.many((told.len() - index) as u64);
                break;
            }
            round.tell(path, owner, *found, &mut report);
        }
        self.last = Some(round.now);
        Ok(Some(report))
    }
}

/// Keeps what is known of those that were found, and works out the rest.
fn owners(mut known: Owners, found: &BTreeMap<String, Found>) -> Owners {
    found
        .keys()
        .map(|path| {
            known
                .remove_entry(path)
                .unwrap_or_else(|| (path.clone(), Owner::of(path)))
        })
        .collect()
}

/// Those that are told: containers first, then pods and so on, shallow ones before deep ones. What
/// is over the cap is counted.
fn told<'a>(
    owners: &'a Owners,
    found: &BTreeMap<String, Found>,
    skipped: &mut Skipped,
) -> Vec<(&'a str, &'a Owner, Found)> {
    let mut told: Vec<_> = owners
        .iter()
        .filter_map(|(path, owner)| Some((path.as_str(), owner.as_ref()?, *found.get(path)?)))
        .collect();
    told.sort_unstable_by_key(|(path, owner, found)| (owner.kind, found.depth, *path));
    skipped.many(told.len().saturating_sub(MAX_TOLD) as u64);
    told.truncate(MAX_TOLD);
    told
}

/// What the cgroups of one snapshot have in common.
struct Round<'a> {
    hierarchies: &'a Hierarchies,
    disks: Disks,
    limits: Limits,
    last: Option<&'a Timed<Samples>>,
    now: Timed<Samples>,
}

impl Round<'_> {
    fn tell(&mut self, path: &str, owner: &Owner, found: Found, sample: &mut Use) {
        let mut files = Files {
            hierarchies: self.hierarchies,
            path,
            found,
            skipped: &mut sample.skipped,
        };
        let now = Sample {
            inode: found.inode,
            cpu: Cpu::read(&mut files),
            memory: Memory::read(&mut files, &mut self.limits),
            pids: Pids::read(&mut files),
            pressure: Pressures::read(&mut files),
        };
        let io = Io::read(&mut files);
        let mut report = Report { sample, owner };
        now.cpu.raw(&mut report);
        now.memory.raw(&mut report);
        now.pids.raw(&mut report);
        now.pressure.raw(&mut report);
        io.raw(&self.disks, &mut report);

        self.now.value.insert(path.to_owned(), now);
        let interval = Interval::between(self.last, &self.now).and_then(|interval| {
            interval.part(|samples| samples.get(path).filter(|it| it.inode == now.inode))
        });
        if let Some(interval) = interval {
            rates(&interval, &mut report);
        }
    }
}

fn rates(interval: &Interval<'_, Sample>, report: &mut Report<'_>) {
    if let Some(cpu) = interval.part(|sample| Some(&sample.cpu)) {
        Cpu::method(&cpu, report);
    }
    if let Some(memory) = interval.part(|sample| Some(&sample.memory)) {
        Memory::method(&memory, report);
    }
    if let Some(pids) = interval.part(|sample| Some(&sample.pids)) {
        Pids::method(&pids, report);
    }
    if let Some(pressure) = interval.part(|sample| Some(&sample.pressure)) {
        Pressures::method(&pressure, report);
    }
}
