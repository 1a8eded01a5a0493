//! `sonde check`: what this host lets the agent see, told to people and to programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    args::ReportFormat,
    style::{Style, Tone, printable},
};
use crate::capability::{self, Lack};

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
    /// Each hook of each family, a family's hooks together.
    pub hooks: Vec<HookLine>,
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
        /// Why each alternative is refused, best first.
        refused: Vec<Refusal>,
        /// What there is not without it.
        lost: &'static str,
    },
    /// Its collector is switched off.
    Off,
}

/// A way of attaching that doesn't work here.
#[derive(Debug, Serialize)]
pub struct Refusal {
    /// Which.
    pub alternative: String,
    /// Why.
    pub reason: String,
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

    /// The report for people.
    #[must_use]
    pub fn to_text(&self, style: Style) -> String {
        let sections = [
            self.host(style),
            self.hook_table(style),
            self.missing_capabilities(style),
            self.verdict(style),
        ];
        let sections = sections.into_iter().filter(|section| !section.is_empty());
        sections.collect::<Vec<_>>().join("\n")
    }

    fn host(&self, style: Style) -> String {
        let btf = match &self.btf {
            Btf::Found(path) => (Tone::Good, path.clone()),
            Btf::Missing(reason) => (Tone::Warning, format!("none: {reason}")),
        };
        let cgroup = match self.cgroup {
            CgroupMode::V1 => (Tone::Good, "v1"),
            CgroupMode::V2 => (Tone::Good, "v2"),
            CgroupMode::Hybrid => (Tone::Good, "hybrid (v1 and v2)"),
            CgroupMode::None => (Tone::Warning, "none"),
        };
        let lockdown = self.lockdown.as_deref().unwrap_or("not in this kernel");
        let facts = [
            ("kernel", Tone::Good, self.kernel.as_str()),
            ("BTF", btf.0, btf.1.as_str()),
            ("lockdown", Tone::Good, lockdown),
            ("cgroup", cgroup.0, cgroup.1),
        ];
        facts
            .iter()
            .fold(String::new(), |mut text, (name, tone, value)| {
                let name = style.pad(Tone::Bold, name, 8);
                // Writing to a String can't fail, here and below.
                let _ = writeln!(text, "{name}  {}", style.paint(*tone, &printable(value)));
                text
            })
    }

    fn hook_table(&self, style: Style) -> String {
        let width = |heading: &str, column: fn(&HookLine) -> &'static str| {
            let widths = self.hooks.iter().map(|line| column(line).chars().count());
            widths.chain([heading.len()]).max().unwrap_or_default()
        };
        let widths = (
            width("FAMILY", |line| line.family),
            width("HOOK", |line| line.hook),
        );
        if self.hooks.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "{}  {}  {}  {}\n",
            style.pad(Tone::Bold, "FAMILY", widths.0),
            style.pad(Tone::Bold, "HOOK", widths.1),
            style.pad(Tone::Bold, "STATE", STATE_WIDTH),
            style.paint(Tone::Bold, "HOW"),
        );
        let mut family = "";
        for line in &self.hooks {
            // A family's name stands once, beside its first hook.
            let shown = if line.family == family {
                ""
            } else {
                line.family
            };
            family = line.family;
            let shown = style.pad(Tone::Accent, shown, widths.0);
            let _ = write!(text, "{shown}  {:<width$}  ", line.hook, width = widths.1);
            line.state(&mut text, style, widths.0 + widths.1 + STATE_WIDTH + 6);
        }
        text
    }

    fn missing_capabilities(&self, style: Style) -> String {
        self.capabilities
            .iter()
            .fold(String::new(), |mut text, lack| {
                let names = lack.missing.join(" and ");
                let _ = writeln!(
                    text,
                    "{} {}, to {}\n        lost without: {}",
                    style.paint(Tone::Warning, "missing"),
                    style.paint(Tone::Bold, &names),
                    lack.purpose,
                    lack.lost
                );
                text
            })
    }

    fn verdict(&self, style: Style) -> String {
        let works = |line: &&HookLine| matches!(line.outcome, Outcome::Works { .. });
        let on = |line: &&HookLine| !matches!(line.outcome, Outcome::Off);
        let working = self.hooks.iter().filter(works).count();
        let wanted = self.hooks.iter().filter(on).count();
        let (tone, verdict) = match (self.main_job, working == wanted) {
            (false, _) => (Tone::Bad, "sonde can't do its main job on this host"),
            (true, false) => (Tone::Warning, "sonde works on this host, in part"),
            (true, true) => (Tone::Good, "sonde works on this host"),
        };
        format!(
            "{}: {working} of {wanted} hooks\n",
            style.paint(tone, verdict)
        )
    }
}

/// Width of the longest state, `optional`.
const STATE_WIDTH: usize = 8;

impl HookLine {
    /// State and how, then one line per refusal below, indented to the last column.
    fn state(&self, text: &mut String, style: Style, indent: usize) {
        let _ = match &self.outcome {
            Outcome::Works { alternative } => {
                let state = style.pad(Tone::Good, "works", STATE_WIDTH);
                writeln!(text, "{state}  {alternative}")
            }
            Outcome::Off => {
                let state = style.pad(Tone::Dim, "off", STATE_WIDTH);
                writeln!(text, "{state}  its collector is switched off")
            }
            Outcome::Missing { refused, lost } => {
                // What is optional and missing is no fault.
                let (tone, word) = if self.required {
                    (Tone::Bad, "missing")
                } else {
                    (Tone::Warning, "optional")
                };
                let state = style.pad(tone, word, STATE_WIDTH);
                let _ = writeln!(text, "{state}  lost: {lost}");
                refused.iter().try_for_each(|refusal| {
                    let reason = printable(&refusal.reason);
                    let blank = "";
                    writeln!(text, "{blank:indent$}{}: {reason}", refusal.alternative)
                })
            }
        };
    }
}

/// The lines for what `held` lacks on `kernel`.
#[must_use]
pub fn lack_lines(held: &capability::Held, kernel: capability::KernelVersion) -> Vec<LackLine> {
    held.lacks(kernel).iter().map(LackLine::from).collect()
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
