//! The report for people: facts, a table of hooks, what is missing, and a verdict.

use std::fmt::Write as _;

use super::{
    super::style::{Style, Tone, printable},
    Btf, CgroupMode, HookLine, Outcome, Refusal, Report,
};

impl Report {
    /// The report for people.
    #[must_use]
    pub fn to_text(&self, style: Style) -> String {
        let sections = [
            self.host(style),
            self.hook_table(style),
            self.refusal(style),
            self.shared_reasons(style),
            self.tls_libraries(style),
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
            let own = line.reasons().into_iter();
            let own = own.filter(|(_, reason)| self.lines_with(reason).count() < 2);
            let own: Vec<_> = own
                .map(|(alternatives, reason)| format!("{}: {reason}", alternatives.join(", ")))
                .collect();
            let indent = widths.0 + widths.1 + STATE_WIDTH + 6;
            line.state(&own, &mut text, style, indent);
        }
        text
    }

    fn refusal(&self, style: Style) -> String {
        self.refused.as_ref().map_or_else(String::new, |reason| {
            let refused = style.paint(Tone::Bad, "refused");
            format!("{refused} by the kernel: {}\n", printable(reason))
        })
    }

    /// What several hooks are refused for, once with their names.
    fn shared_reasons(&self, style: Style) -> String {
        let mut text = String::new();
        let mut told = Vec::new();
        for (_, reason) in self.hooks.iter().flat_map(HookLine::reasons) {
            if self.lines_with(reason).count() < 2 || told.contains(&reason) {
                continue;
            }
            told.push(reason);
            // Families share hooks.
            let mut hooks: Vec<&str> = Vec::new();
            for line in self.lines_with(reason) {
                if !hooks.contains(&line.hook) {
                    hooks.push(line.hook);
                }
            }
            let refused = style.paint(Tone::Warning, "refused");
            let hooks = style.paint(Tone::Bold, &hooks.join(", ")).into_owned();
            let _ = writeln!(text, "{refused} {hooks}\n        {}", printable(reason));
        }
        text
    }

    fn tls_libraries(&self, style: Style) -> String {
        if self.tls_libraries.is_empty() {
            return String::new();
        }
        let width = |found: &super::TlsLine| found.library.len();
        let width = self
            .tls_libraries
            .iter()
            .map(width)
            .max()
            .unwrap_or(0)
            .max(3);
        let mut text = format!(
            "{}  {}\n",
            style.pad(Tone::Bold, "TLS", width),
            style.paint(Tone::Bold, "FILE")
        );
        for found in &self.tls_libraries {
            let library = style.pad(Tone::Good, found.library, width);
            let _ = writeln!(text, "{library}  {}", printable(&found.path));
        }
        text
    }

    /// The hooks of which an alternative is refused for this reason.
    fn lines_with<'a>(&'a self, reason: &'a str) -> impl Iterator<Item = &'a HookLine> {
        let refused = move |line: &&HookLine| line.reasons().iter().any(|own| own.1 == reason);
        self.hooks.iter().filter(refused)
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
        let on = |line: &&HookLine| !matches!(line.outcome, Outcome::Off { .. });
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
    /// Why it is refused, each reason once with the alternatives that it holds for.
    fn reasons(&self) -> Vec<(Vec<&str>, &str)> {
        let Outcome::Missing { refused, .. } = &self.outcome else {
            return Vec::new();
        };
        let mut reasons: Vec<(Vec<&str>, &str)> = Vec::new();
        for Refusal {
            alternative,
            reason,
        } in refused
        {
            match reasons.iter_mut().find(|known| known.1 == reason) {
                Some((known, _)) if known.contains(&alternative.as_str()) => {}
                Some((known, _)) => known.push(alternative),
                None => reasons.push((vec![alternative], reason)),
            }
        }
        reasons
    }

    /// State and how, then one line per reason below, indented to the last column.
    fn state(&self, reasons: &[String], text: &mut String, style: Style, indent: usize) {
        let _ = match &self.outcome {
            Outcome::Works { alternative } => {
                let state = style.pad(Tone::Good, "works", STATE_WIDTH);
                writeln!(text, "{state}  {alternative}")
            }
            Outcome::Off { collector } => {
                let state = style.pad(Tone::Dim, "off", STATE_WIDTH);
                writeln!(text, "{state}  collector.{collector} is switched off")
            }
            Outcome::Missing { lost, .. } => {
                // What is optional and missing is no fault.
                let (tone, word) = if self.required {
                    (Tone::Bad, "missing")
                } else {
                    (Tone::Warning, "optional")
                };
                let state = style.pad(tone, word, STATE_WIDTH);
                let _ = writeln!(text, "{state}  lost: {lost}");
                reasons.iter().try_for_each(|reason| {
                    let blank = "";
                    writeln!(text, "{blank:indent$}{}", printable(reason))
                })
            }
        };
    }
}
