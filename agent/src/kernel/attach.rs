//! Loads and attaches the programs: for each hook the best alternative that works here.

use std::{collections::HashSet, io};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader,
    programs::{BtfTracePoint, Iter, Program, ProgramError, RawTracePoint},
};

use super::feature::Kernel;
use crate::probe::{Family, Hook};

/// The kernel side, as built beside the agent.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sonde-ebpf"));

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// BTF tracepoint (`tp_btf`): typed arguments.
    BtfTracepoint(&'static str),
    /// Raw tracepoint (`raw_tp`).
    RawTracepoint(&'static str),
    /// Iterator over the entries of a socket storage map; run by the agent, not by the kernel.
    StorageIterator,
}

impl Via {
    /// `tp_btf`, `raw_tp` or `iter`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BtfTracepoint(_) => "tp_btf",
            Self::RawTracepoint(_) => "raw_tp",
            Self::StorageIterator => "iter",
        }
    }
}

/// One way to serve a hook.
#[derive(Clone, Copy, Debug)]
pub struct Attach {
    /// Name of the program in the ELF.
    pub program: &'static str,
    /// How it is attached.
    pub via: Via,
    /// Whether this kernel has what it needs, else what is missing.
    pub when: fn(&Kernel) -> Result<(), String>,
}

/// What became of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is served.
    Attached {
        /// How: `tp_btf`, `raw_tp`, `iter`.
        alternative: &'static str,
        /// Name of the program.
        program: &'static str,
    },
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
    /// Every how many system calls one is timed; `None`: none.
    pub syscall_period: Option<u32>,
    /// The process whose traffic and calls are not observed.
    pub self_tgid: u32,
}

/// The loaded programs. Dropping it detaches and frees all: nothing is pinned.
#[derive(Debug)]
pub struct Programs {
    ebpf: Ebpf,
    reports: Vec<HookReport>,
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
        let mut loader = EbpfLoader::new();
        loader
            .btf(types.as_ref())
            .allow_unsupported_maps()
            .map_max_entries("EVENTS", settings.ring_bytes)
            .override_global("OFFSETS", &offsets, true)
            .override_global("SELF_TGID", &settings.self_tgid, true)
            .override_global("SYSCALL_PERIOD", &period, true);
        for family in crate::probe::FAMILIES {
            if !families.iter().any(|wanted| wanted.name == family.name) {
                // A map of one entry costs next to nothing.
                for map in family.maps {
                    loader.map_max_entries(map, 1);
                }
            }
        }
        let ebpf = loader.load(OBJECT)?;
        let mut programs = Self {
            ebpf,
            reports: Vec::new(),
        };
        let mut attached = HashSet::new();
        for family in families {
            for hook in family.hooks {
                let timing = hook.name == crate::probe::syscall::ENTER;
                if timing && settings.syscall_period.is_none() {
                    continue;
                }
                let outcome = programs.serve(hook, kernel, types.as_ref(), &mut attached);
                programs.reports.push(HookReport {
                    family: family.name,
                    hook,
                    outcome,
                });
            }
        }
        Ok(programs)
    }

    /// Tries the alternatives of a hook in turn. Families may share a program: it is attached once.
    fn serve(
        &mut self,
        hook: &Hook,
        kernel: &Kernel,
        types: Option<&Btf>,
        attached: &mut HashSet<&'static str>,
    ) -> Outcome {
        let mut reasons = Vec::new();
        for attach in hook.any_of {
            let alternative = attach.via.as_str();
            let result = (attach.when)(kernel).and_then(|()| {
                if attached.contains(attach.program) {
                    return Ok(());
                }
                self.attach_one(attach, types)
            });
            match result {
                Ok(()) => {
                    attached.insert(attach.program);
                    return Outcome::Attached {
                        alternative,
                        program: attach.program,
                    };
                }
                Err(reason) => reasons.push((alternative, reason)),
            }
        }
        Outcome::Skipped { reasons }
    }

    fn attach_one(&mut self, attach: &Attach, types: Option<&Btf>) -> Result<(), String> {
        let program = self
            .ebpf
            .program_mut(attach.program)
            .ok_or_else(|| format!("program {} is not in the object", attach.program))?;
        let result = match (attach.via, types) {
            (Via::RawTracepoint(name), _) => attach_raw(program, name),
            (Via::BtfTracepoint(name), Some(types)) => attach_btf(program, name, types),
            (Via::StorageIterator, Some(types)) => load_iterator(program, types),
            (_, None) => return Err("the kernel's types can't be read".to_owned()),
        };
        result.map_err(|error| explain(&error))
    }

    /// What became of each hook, in the order of the families.
    #[must_use]
    pub fn reports(&self) -> &[HookReport] {
        &self.reports
    }

    /// Whether this program is attached.
    #[must_use]
    pub fn is_attached(&self, name: &str) -> bool {
        self.reports.iter().any(|report| {
            matches!(&report.outcome, Outcome::Attached { program, .. } if *program == name)
        })
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

fn attach_raw(program: &mut Program, name: &str) -> Result<(), ProgramError> {
    let program: &mut RawTracePoint = program.try_into()?;
    program.load()?;
    program.attach(name).map(drop)
}

fn attach_btf(program: &mut Program, name: &str, types: &Btf) -> Result<(), ProgramError> {
    let program: &mut BtfTracePoint = program.try_into()?;
    program.load(name, types)?;
    program.attach().map(drop)
}

/// An iterator is attached to its map each time that it is run.
fn load_iterator(program: &mut Program, types: &Btf) -> Result<(), ProgramError> {
    let program: &mut Iter = program.try_into()?;
    program.load("bpf_sk_storage_map", types)
}

/// How the lines start that the verifier ends its log with.
const STATISTICS: [&str; 4] = ["processed ", "stack depth ", "verification time ", "max_states"];

/// One line that says what the kernel refused, and why.
fn explain(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            tracing::debug!(%log, "verifier");
            // The line before the statistics is the complaint.
            let complaint = log
                .lines()
                .rev()
                .map(str::trim)
                .find(|line| !line.is_empty() && !STATISTICS.iter().any(|start| line.starts_with(start)))
                .unwrap_or_default();
            format!("refused ({}): {complaint}", name_of(io_error))
        }
        ProgramError::SyscallError(error) => {
            format!("{} failed ({})", error.call, name_of(&error.io_error))
        }
        other => other.to_string(),
    }
}

fn name_of(error: &io::Error) -> String {
    // EACCES is the verifier's word, EPERM that of the capability checks.
    match error.raw_os_error() {
        Some(libc::EPERM) => "EPERM: CAP_BPF and CAP_PERFMON are needed".to_owned(),
        Some(libc::EACCES) => "by the verifier".to_owned(),
        _ => error.to_string(),
    }
}
