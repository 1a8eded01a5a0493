//! Loads and attaches the programs: for each hook the best alternative that works here.

use std::{
    collections::HashSet,
    fs, io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt as _,
    },
};

use aya::{
    Btf, Ebpf, EbpfError,
    maps::{Array, ProgramArray},
    programs::{Program, ProgramError},
    sys::{Stats, enable_stats},
};

use sonde_common::event::connection::Endpoint;

use self::window::{Timing, Windows};
pub use self::{
    refusal::distinct,
    report::{HookReport, Outcome},
    via::{Attach, Condition, Via},
};
use super::{feature::Kernel, map, uprobe};
use crate::probe::{Family, Hook, sched, syscall};

mod cast;
mod choose;
mod object;
mod refusal;
mod report;
mod size;
mod via;
mod window;

/// Why nothing can be loaded at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The maps or the object as a whole were refused.
    #[error("can't load the kernel side: {0}")]
    Load(#[from] EbpfError),
    /// The kernel doesn't say how many CPUs it may have.
    #[error("can't read how many CPUs there may be: {0}")]
    Cpus(io::Error),
    /// What a map must hold before the programs run can't be put there.
    #[error("can't set up the kernel side: {0}")]
    Fill(#[from] map::Error),
}

/// What the programs are told before they are loaded.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Size of the ring buffer in bytes: a power of two, at least a page.
    pub ring_bytes: u32,
    /// Connections whose states have room in the table, where they don't live on the sockets.
    pub table_entries: u32,
    /// Every how many system calls one is timed, on average; `None`: none.
    pub syscall_period: Option<u32>,
    /// Whether the runs of the programs are counted and timed, until
    /// [`Programs::end_statistics`].
    pub statistics: bool,
    /// The process whose traffic and calls are not observed.
    pub self_tgid: u32,
}

/// The loaded programs. Dropping it detaches and frees all: nothing is pinned.
#[derive(Debug)]
pub struct Programs {
    ebpf: Ebpf,
    /// What they are loaded from; empty once they are.
    object: Vec<u8>,
    reports: Vec<HookReport>,
    /// The kernel keeps BPF statistics for as long as somebody holds this open.
    statistics: Option<OwnedFd>,
    /// Those in which system calls are timed, unless they are at all times.
    windows: Option<Windows>,
    /// Programs for uprobes.
    uprobes: Option<uprobe::Programs>,
    /// Those of them that aya doesn't know of; see [`Self::loaded`].
    linked: Vec<(&'static str, OwnedFd)>,
}

/// Whether there is anything for a hook to see. One that isn't of use isn't missed either.
fn is_of_use(hook: &Hook, kernel: &Kernel, settings: &Settings) -> bool {
    match hook.name {
        syscall::ENTER => settings.syscall_period.is_some(),
        sched::MOVE => kernel.delays_dequeue() && kernel.has_task_storage(),
        _ => true,
    }
}

impl Programs {
    /// Loads the object and attaches the hooks of `families`; a hook that fails leaves the
    /// others as they are.
    pub fn attach(
        kernel: &Kernel,
        families: &[&'static Family],
        settings: &Settings,
    ) -> Result<Self, Error> {
        // Without kernel types only raw tracepoints are attached, and aya needs none for those.
        let types = kernel
            .btf
            .as_ref()
            .ok()
            .and_then(|_| Btf::from_sys_fs().ok());
        let timing = Timing::of(kernel, settings);
        let (ebpf, object) =
            object::load(kernel, families, settings, types.as_ref(), timing.period)?;
        let mut programs = Self {
            ebpf,
            object,
            reports: Vec::new(),
            statistics: None,
            windows: None,
            uprobes: None,
            linked: Vec::new(),
        };
        let mut seen = HashSet::new();
        for family in families {
            let hooks = family.hooks.iter();
            for hook in hooks.filter(|hook| is_of_use(hook, kernel, settings)) {
                let outcome = programs.load(hook.any_of, kernel, types.as_ref(), &mut seen);
                programs.reports.push(HookReport {
                    family: family.name,
                    hook,
                    outcome,
                });
            }
        }
        programs.object = Vec::new();
        if settings.statistics {
            programs.begin_statistics();
        }
        let mut links = programs.attach_loaded(kernel, types.as_ref(), &mut seen);
        if timing.windowed
            && let Some(attach) = programs.served(syscall::ENTER)
            && let Some(link) = links.remove(attach.program)
        {
            programs.windows = Some(Windows::new(attach, link));
        }
        Ok(programs)
    }

    fn begin_statistics(&mut self) {
        match enable_stats(Stats::RunTime) {
            Ok(fd) => self.statistics = Some(fd),
            // Told by `sonde check` as a capability that is missing; everything else works.
            Err(error) => tracing::debug!(%error, "no BPF statistics"),
        }
    }

    /// Has the kernel count and time runs no longer, unless somebody else asks it to.
    pub fn end_statistics(&mut self) {
        self.statistics = None;
    }

    /// Detaches and unloads all programs. What they have counted stays in the maps.
    pub fn detach(&mut self) {
        self.windows = None;
        for (name, program) in self.ebpf.programs_mut() {
            let result = match program {
                Program::BtfTracePoint(program) => program.unload(),
                Program::RawTracePoint(program) => program.unload(),
                Program::TracePoint(program) => program.unload(),
                Program::Iter(program) => program.unload(),
                Program::UProbe(program) => program.unload(),
                _ => Ok(()),
            };
            match result {
                Ok(()) | Err(ProgramError::NotLoaded) => {}
                Err(error) => tracing::warn!(name, %error, "program not detached"),
            }
        }
        self.forget_jumps();
    }

    /// Empties the program arrays. A program that jumps to itself holds the array that holds it; the
    /// kernel empties those that nobody has open any more, but not if another process that lists
    /// maps opens and closes one at that moment.
    fn forget_jumps(&mut self) {
        for (name, map) in self.ebpf.maps_mut() {
            if let Ok(mut programs) = ProgramArray::try_from(map)
                && let Err(error) = programs.clear_index(&0)
            {
                // Where it isn't used on this kernel it is empty.
                tracing::debug!(name, %error, "program array not emptied");
            }
        }
    }

    fn program(&mut self, name: &str) -> Result<&mut Program, String> {
        self.ebpf
            .program_mut(name)
            .ok_or_else(|| format!("program {name} is not in the object"))
    }

    /// Programs that are loaded to be attached to files, which whoever takes them does.
    pub fn take_uprobes(&mut self) -> Option<uprobe::Programs> {
        let mut uprobes = self.uprobes.take()?;
        if uprobes.way == uprobe::Way::Links {
            let descriptors = uprobes.descriptors.iter();
            let kept = descriptors.filter_map(|(name, fd)| Some((*name, fd.try_clone().ok()?)));
            self.linked = kept.collect();
        }
        let attached = self.ebpf.take_map("TLS_ATTACHED");
        uprobes.attached = attached.and_then(|map| Array::try_from(map).ok());
        Some(uprobes)
    }

    /// The programs that are in the kernel, by name.
    pub fn loaded(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        let by_aya = self.ebpf.programs();
        let by_aya = by_aya.filter_map(|(name, program)| Some((name, program.fd().ok()?.as_fd())));
        let linked = self.linked.iter().map(|(name, fd)| (*name, fd.as_fd()));
        by_aya.chain(linked)
    }

    /// Tells the programs of ports that the agent already listens on: traffic between them and
    /// this host's programs is the agent's own. Later ones the programs see for themselves.
    pub fn own_listeners(&mut self, ports: &[u16]) -> Result<(), map::Error> {
        let netns = fs::metadata("/proc/self/ns/net").map_or(0, |file| file.ino());
        let endpoints = ports.iter().map(|port| Endpoint {
            // Namespace inodes come from a counter of 32 bits.
            netns: u32::try_from(netns).unwrap_or(0),
            port: *port,
            peer: 0,
        });
        map::insert(
            &mut self.ebpf,
            "OWN",
            endpoints.map(|endpoint| (endpoint, 1u8)),
        )
    }

    /// The loaded object, for its maps and programs.
    #[must_use]
    pub fn ebpf(&self) -> &Ebpf {
        &self.ebpf
    }

    /// The loaded object, to take maps out of.
    pub fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }
}
