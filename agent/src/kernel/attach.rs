//! Loads and attaches the programs: for each hook the best alternative that works here.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader,
    maps::ProgramArray,
    programs::{Program, ProgramError, RawTracePoint},
    sys::{Stats, enable_stats},
};

use sonde_common::event::connection::Endpoint;

use self::refusal::explain;
pub use self::via::{Attach, Via};
use super::{feature::Kernel, map};
use crate::probe::{Family, Hook};

mod refusal;
mod size;
mod via;

/// The map of connection states where they don't live on the sockets.
const TABLE: &str = "CONNECTION_TABLE";

/// The kernel side, as built beside the agent.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sonde-ebpf"));

/// What became of a hook.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is served, in this way.
    Attached(&'static Attach),
    /// No alternative works here.
    Skipped {
        /// Each alternative with the reason why it doesn't.
        reasons: Vec<(&'static str, String)>,
    },
}

/// A hook with what became of it.
#[derive(Clone, Debug)]
pub struct HookReport {
    /// The family.
    pub family: &'static str,
    /// The hook.
    pub hook: &'static Hook,
    /// What became of it.
    pub outcome: Outcome,
}

/// Why nothing can be loaded at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The maps or the object as a whole were refused.
    #[error("can't load the kernel side: {0}")]
    Load(#[from] EbpfError),
}

/// What the programs are told before they are loaded.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Size of the ring buffer in bytes: a power of two, at least a page.
    pub ring_bytes: u32,
    /// Connections whose states have room in the table, where they don't live on the sockets.
    pub table_entries: u32,
    /// Every how many system calls one is timed; `None`: none.
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
    reports: Vec<HookReport>,
    /// The kernel keeps BPF statistics for as long as somebody holds this open.
    statistics: Option<OwnedFd>,
}

impl Programs {
    /// Loads the object and attaches the hooks of `families`; a hook that fails leaves the
    /// others as they are.
    pub fn attach(
        kernel: &Kernel,
        families: &[&'static Family],
        settings: &Settings,
    ) -> Result<Self, Error> {
        let offsets = kernel.btf.as_ref().map_or(
            [sonde_common::field::ABSENT; sonde_common::field::COUNT],
            super::btf::Btf::offsets,
        );
        // Without kernel types only raw tracepoints are attached, and aya needs none for those.
        let types = kernel
            .btf
            .as_ref()
            .ok()
            .and_then(|_| Btf::from_sys_fs().ok());
        let period = settings.syscall_period.unwrap_or(u32::MAX);
        // The helper is of 5.11, what makes it worth while of 6.10.
        let typed_task = u32::from(kernel.has_socket_tracepoints());
        let mut loader = EbpfLoader::new();
        loader
            .btf(types.as_ref())
            .allow_unsupported_maps()
            .map_max_entries("EVENTS", settings.ring_bytes)
            .map_max_entries(TABLE, settings.table_entries)
            .override_global("OFFSETS", &offsets, true)
            .override_global("SELF_TGID", &settings.self_tgid, true)
            .override_global("TYPED_TASK", &typed_task, true)
            .override_global("SYSCALL_PERIOD", &period, true);
        for map in size::unused(kernel, families) {
            loader.map_max_entries(map, 1);
        }
        let ebpf = loader.load(OBJECT)?;
        let mut programs = Self {
            ebpf,
            reports: Vec::new(),
            statistics: None,
        };
        let mut seen = HashSet::new();
        for family in families {
            for hook in family.hooks {
                let timing = hook.name == crate::probe::syscall::ENTER;
                if timing && settings.syscall_period.is_none() {
                    continue;
                }
                let outcome = programs.load(hook.any_of, kernel, types.as_ref(), &mut seen);
                programs.reports.push(HookReport {
                    family: family.name,
                    hook,
                    outcome,
                });
            }
        }
        if settings.statistics {
            programs.begin_statistics();
        }
        programs.attach_loaded(kernel, types.as_ref(), &mut seen);
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
        for (name, program) in self.ebpf.programs_mut() {
            let result = match program {
                Program::BtfTracePoint(program) => program.unload(),
                Program::RawTracePoint(program) => program.unload(),
                Program::TracePoint(program) => program.unload(),
                Program::Iter(program) => program.unload(),
                _ => Ok(()),
            };
            match result {
                Ok(()) | Err(ProgramError::NotLoaded) => {}
                Err(error) => tracing::warn!(name, %error, "program not detached"),
            }
        }
    }

    /// Loads the first alternative that the kernel takes. Families may share a program: it is loaded
    /// once.
    fn load(
        &mut self,
        any_of: &'static [Attach],
        kernel: &Kernel,
        types: Option<&Btf>,
        loaded: &mut HashSet<&'static str>,
    ) -> Outcome {
        let mut reasons = Vec::new();
        for attach in any_of {
            let result = (attach.when)(kernel).and_then(|()| {
                if loaded.contains(attach.program) {
                    return Ok(());
                }
                if let Via::RawTracepointThen { next, place, .. } = attach.via {
                    for (index, program) in (0..).zip(next) {
                        self.load_next(program, place, index)?;
                    }
                }
                let program = self.program(attach.program)?;
                attach.via.load(program, types)
            });
            match result {
                Ok(()) => {
                    loaded.insert(attach.program);
                    return Outcome::Attached(attach);
                }
                Err(reason) => reasons.push((attach.via.as_str(), reason)),
            }
        }
        Outcome::Skipped { reasons }
    }

    /// Loads a program that another jumps to, and puts it where that finds it.
    fn load_next(&mut self, name: &str, place: &str, index: u32) -> Result<(), String> {
        let program = self.program(name)?;
        let next = <&mut RawTracePoint>::try_from(program)
            .and_then(|program| {
                program.load()?;
                program.fd()?.try_clone().map_err(ProgramError::from)
            })
            .map_err(|error| format!("{name}: {}", explain(&error)))?;
        let map = self.ebpf.map_mut(place);
        let map = map.ok_or_else(|| format!("map {place} is not in the object"))?;
        ProgramArray::try_from(map)
            .and_then(|mut programs| programs.set(index, &next, 0))
            .map_err(|error| error.to_string())
    }

    /// Attaches what has been loaded, all within a moment: the verifier needs its time for each
    /// program, and a connection of which only the reads are seen tells half the truth. What can't
    /// be attached gives way to the next alternative.
    fn attach_loaded(
        &mut self,
        kernel: &Kernel,
        types: Option<&Btf>,
        loaded: &mut HashSet<&'static str>,
    ) {
        let mut results: HashMap<&'static str, Result<(), String>> = HashMap::new();
        for index in 0..self.reports.len() {
            let mut refused = Vec::new();
            while let Outcome::Attached(attach) = self.reports[index].outcome {
                let result = match results.get(attach.program) {
                    Some(earlier) => earlier.clone(),
                    None => self
                        .program(attach.program)
                        .and_then(|program| attach.via.attach(program)),
                };
                results.insert(attach.program, result.clone());
                let Err(reason) = result else {
                    break;
                };
                refused.push((attach.via.as_str(), reason));
                let next = self.reports[index].hook.after(attach);
                self.reports[index].outcome = match self.load(next, kernel, types, loaded) {
                    Outcome::Skipped { reasons } => Outcome::Skipped {
                        reasons: [std::mem::take(&mut refused), reasons].concat(),
                    },
                    attached @ Outcome::Attached(_) => attached,
                };
            }
        }
    }

    fn program(&mut self, name: &str) -> Result<&mut Program, String> {
        self.ebpf
            .program_mut(name)
            .ok_or_else(|| format!("program {name} is not in the object"))
    }

    /// What became of each hook, in the order of the families.
    #[must_use]
    pub fn reports(&self) -> &[HookReport] {
        &self.reports
    }

    /// Whether this program is attached.
    #[must_use]
    pub fn is_attached(&self, name: &str) -> bool {
        self.reports.iter().any(
            |report| matches!(report.outcome, Outcome::Attached(attach) if attach.program == name),
        )
    }

    /// Whether a hook is served, in whatever way.
    #[must_use]
    pub fn is_served(&self, hook: &str) -> bool {
        self.reports.iter().any(|report| {
            report.hook.name == hook && matches!(report.outcome, Outcome::Attached(_))
        })
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

    /// Whether any program is attached.
    #[must_use]
    pub fn any_attached(&self) -> bool {
        let attached = |report: &HookReport| matches!(report.outcome, Outcome::Attached(_));
        self.reports.iter().any(attached)
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
