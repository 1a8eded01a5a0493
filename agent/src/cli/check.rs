//! `sonde check`: what this host lets the agent see, told to people and to programs.

use serde::Serialize;

use super::{args::ReportFormat, style::Style};
use crate::{
    capability::{self, Lack},
    tls::Found,
};

/// What was found on this host. As JSON it has the fields' names as keys.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `uname -r`.
    pub kernel: String,
    /// Where the kernel's types are known from.
    pub btf: Btf,
    /// Mode of kernel lockdown (`none`, `integrity`, `confidentiality`); absent where the kernel
    /// has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lockdown: Option<String>,
    /// Which cgroup hierarchy is mounted.
    pub cgroup: CgroupMode,
    /// Why the kernel takes nothing at all, before any hook is tried; absent where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Each hook of each family, a family's hooks together.
    pub hooks: Vec<HookLine>,
    /// Files with a TLS library that would be watched; absent where there are none, or can't be any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls_libraries: Vec<TlsLine>,
    /// Needs for capabilities that aren't met.
    pub capabilities: Vec<LackLine>,
    /// Whether the main job can be done: requests, connections, syscalls or processes can be
    /// counted at all.
    pub main_job: bool,
}

/// Type information of the kernel.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Btf {
    /// Read from this file.
    Found(String),
    /// There is none, and why.
    Missing(String),
}

/// cgroups(7), "Cgroups v1 and cgroups v2".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CgroupMode {
    /// Separate hierarchies per controller.
    V1,
    /// The unified hierarchy.
    V2,
    /// Controllers in v1, processes in v2 too.
    Hybrid,
    /// None mounted.
    None,
}

/// One hook.
#[derive(Debug, Serialize)]
pub struct HookLine {
    /// Probe family.
    pub family: &'static str,
    /// Name of the hook.
    pub hook: &'static str,
    /// Whether the family is lost without it.
    pub required: bool,
    /// Whether it works here.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Whether a hook works here.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Outcome {
    /// It does.
    Works {
        /// By this way of attaching.
        alternative: String,
    },
    /// It doesn't.
    Missing {
        /// Why each alternative is refused, best first; empty where none was tried.
        refused: Vec<Refusal>,
        /// What there is not without it.
        lost: &'static str,
    },
    /// It isn't wanted.
    Off {
        /// The collector that is switched off: its own, or one that it adds to.
        collector: &'static str,
    },
}

/// A way of attaching that doesn't work here.
#[derive(Debug, Serialize)]
pub struct Refusal {
    /// Which.
    pub alternative: String,
    /// Why.
    pub reason: String,
}

/// A file with a TLS library that would be watched.
#[derive(Debug, Serialize)]
pub struct TlsLine {
    /// Which library.
    pub library: &'static str,
    /// Where it is.
    pub path: String,
    /// Breakpoints that it would get.
    pub breakpoints: usize,
    /// Those of them that the kernel steps through, which is slow in a virtual machine.
    pub stepped: usize,
}

impl From<&Found> for TlsLine {
    fn from(found: &Found) -> Self {
        Self {
            library: found.library.reason(),
            path: found.path.display().to_string(),
            breakpoints: found.breakpoints,
            stepped: found.stepped,
        }
    }
}

/// A need for capabilities that isn't met.
#[derive(Debug, Serialize)]
pub struct LackLine {
    /// Names of those that are missing.
    pub missing: Vec<String>,
    /// What they are for; completes "to".
    pub purpose: &'static str,
    /// What there is not without them.
    pub lost: &'static str,
}

impl From<&Lack> for LackLine {
    fn from(lack: &Lack) -> Self {
        Self {
            missing: lack.missing.iter().map(ToString::to_string).collect(),
            purpose: lack.need.purpose,
            lost: lack.need.lost,
        }
    }
}

impl Report {
    /// Exit code when the main job can't be done.
    pub const MAIN_JOB_IMPOSSIBLE: u8 = 3;

    /// 0, or [`Self::MAIN_JOB_IMPOSSIBLE`].
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        if self.main_job {
            0
        } else {
            Self::MAIN_JOB_IMPOSSIBLE
        }
    }

    /// The report as `--format` asks.
    pub fn render(&self, format: ReportFormat, style: Style) -> serde_json::Result<String> {
        match format {
            ReportFormat::Text => Ok(self.to_text(style)),
            ReportFormat::Json => self.to_json(),
        }
    }

    /// The report as one JSON object on several lines.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }
}

/// The lines for what `held` lacks on `kernel`.
#[must_use]
pub fn lack_lines(held: &capability::Held, kernel: capability::KernelVersion) -> Vec<LackLine> {
    held.lacks(kernel).iter().map(LackLine::from).collect()
}

mod text;

#[cfg(test)]
mod tests;
