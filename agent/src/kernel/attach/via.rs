//! The ways in which a program is attached.

use aya::{
    Btf,
    programs::{
        BtfTracePoint, Iter, Program, ProgramError, RawTracePoint, TracePoint, UProbe,
        raw_trace_point::RawTracePointLinkId, tp_btf::BtfTracePointLinkId,
    },
};

use super::refusal::explain;
use crate::kernel::feature::Kernel;

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// BTF tracepoint (`tp_btf`): typed arguments.
    BtfTracepoint(&'static str),
    /// Raw tracepoint (`raw_tp`).
    RawTracepoint(&'static str),
    /// Perf tracepoint, by its category and name in tracefs: never preempted, and dearer.
    PerfTracepoint(&'static str, &'static str),
    /// Iterator over the entries of a socket storage map; run by the agent, not by the kernel.
    StorageIterator,
    /// Iterator over all threads; run by the agent as well.
    TaskIterator,
    /// Iterator over the entries of another map.
    MapIterator,
    /// Iterator over the open files of all processes.
    FileIterator,
    /// Uprobes: these programs are loaded, and attached to files as those are found
    /// ([`crate::tls`]), by links that hold many.
    UprobeLinks(&'static [&'static str]),
    /// The same, by perf events.
    Uprobes(&'static [&'static str]),
}

impl Via {
    /// `tp_btf`, `raw_tp`, `tp`, `iter`, `uprobe_multi` or `uprobe`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BtfTracepoint(_) => "tp_btf",
            Self::RawTracepoint(_) => "raw_tp",
            Self::PerfTracepoint(..) => "tp",
            Self::StorageIterator | Self::TaskIterator | Self::MapIterator | Self::FileIterator => {
                "iter"
            }
            Self::UprobeLinks(_) => "uprobe_multi",
            Self::Uprobes(_) => "uprobe",
        }
    }

    /// Loads a program that is to be attached so.
    pub(super) fn load(self, program: &mut Program, types: Option<&Btf>) -> Result<(), String> {
        let result = match (self, types) {
            (Self::RawTracepoint(_), _) => {
                <&mut RawTracePoint>::try_from(program).and_then(RawTracePoint::load)
            }
            (Self::BtfTracepoint(name), Some(types)) => <&mut BtfTracePoint>::try_from(program)
                .and_then(|program| program.load(name, types)),
            (Self::PerfTracepoint(..), _) => {
                <&mut TracePoint>::try_from(program).and_then(TracePoint::load)
            }
            (Self::StorageIterator, Some(types)) => iterator(program, "bpf_sk_storage_map", types),
            (Self::TaskIterator, Some(types)) => iterator(program, "task", types),
            (Self::MapIterator, Some(types)) => iterator(program, "bpf_map_elem", types),
            (Self::FileIterator, Some(types)) => iterator(program, "task_file", types),
            (Self::Uprobes(_) | Self::UprobeLinks(_), _) => {
                <&mut UProbe>::try_from(program).and_then(UProbe::load)
            }
            (_, None) => return Err("the kernel's types can't be read".to_owned()),
        };
        result.map_err(|error| explain(&error))
    }

    /// Attaches a loaded program, until the link is detached or the program unloaded.
    pub(super) fn attach(self, program: &mut Program) -> Result<Link, String> {
        let result = match self {
            Self::RawTracepoint(name) => <&mut RawTracePoint>::try_from(program)
                .and_then(|program| program.attach(name).map(Link::RawTracepoint)),
            Self::BtfTracepoint(_) => <&mut BtfTracePoint>::try_from(program)
                .and_then(|program| program.attach().map(Link::BtfTracepoint)),
            Self::PerfTracepoint(category, name) => <&mut TracePoint>::try_from(program)
                .and_then(|program| program.attach(category, name).map(|_| Link::Whole)),
            // Attached to its map each time that it is run; to each file as it is found.
            Self::StorageIterator
            | Self::TaskIterator
            | Self::MapIterator
            | Self::FileIterator
            | Self::Uprobes(_)
            | Self::UprobeLinks(_) => Ok(Link::Whole),
        };
        result.map_err(|error| explain(&error))
    }
}

fn iterator(program: &mut Program, target: &str, types: &Btf) -> Result<(), ProgramError> {
    <&mut Iter>::try_from(program)?.load(target, types)
}

/// A program's attachment.
#[derive(Debug)]
pub(super) enum Link {
    /// Of a BTF tracepoint.
    BtfTracepoint(BtfTracePointLinkId),
    /// Of a raw tracepoint.
    RawTracepoint(RawTracePointLinkId),
    /// Of a kind that only ends with its program.
    Whole,
}

impl Link {
    /// Detaches the program, which stays loaded.
    pub(super) fn detach(self, program: &mut Program) -> Result<(), String> {
        let result = match self {
            Self::BtfTracepoint(link) => {
                <&mut BtfTracePoint>::try_from(program).and_then(|program| program.detach(link))
            }
            Self::RawTracepoint(link) => {
                <&mut RawTracePoint>::try_from(program).and_then(|program| program.detach(link))
            }
            Self::Whole => Ok(()),
        };
        result.map_err(|error| explain(&error))
    }
}

/// Whether this kernel has what a program needs, else what is missing.
pub type Condition = fn(&Kernel) -> Result<(), String>;

/// One way to serve a hook.
#[derive(Clone, Copy, Debug)]
pub struct Attach {
    /// Name of the program in the ELF.
    pub program: &'static str,
    /// How it is attached.
    pub via: Via,
    /// On which kernels.
    pub when: Condition,
    /// Programs that it jumps to, attached in the same way. Each is put into a program array of one
    /// entry that has its name in capitals.
    pub then: &'static [&'static str],
}

impl Attach {
    /// A program that jumps to no other.
    #[must_use]
    pub const fn new(program: &'static str, via: Via, when: Condition) -> Self {
        Self {
            program,
            via,
            when,
            then: &[],
        }
    }

    /// One on a BTF tracepoint.
    #[must_use]
    pub const fn tp_btf(program: &'static str, tracepoint: &'static str, when: Condition) -> Self {
        Self::new(program, Via::BtfTracepoint(tracepoint), when)
    }

    /// One on a raw tracepoint.
    #[must_use]
    pub const fn raw_tp(program: &'static str, tracepoint: &'static str, when: Condition) -> Self {
        Self::new(program, Via::RawTracepoint(tracepoint), when)
    }

    /// The same, jumping to these programs.
    #[must_use]
    pub const fn then(self, programs: &'static [&'static str]) -> Self {
        Self {
            then: programs,
            ..self
        }
    }
}
