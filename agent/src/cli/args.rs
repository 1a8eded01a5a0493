//! Subcommands with their own arguments. The settings' flags are in [`super::flags`].

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, ValueEnum};

use super::{
    filter::{Filter, Pattern, StatusFilter},
    flags,
};

/// eBPF host and process telemetry: USE metrics, RED metrics and spans
///
/// One agent per host. Kernel programs count, time and sample what processes do; sonde serves it
/// at /metrics and sends it by OTLP. Observed programs aren't changed.
#[derive(Debug, Parser)]
#[command(name = "sonde", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Subcommand>,
}

const AFTER_HELP: &str = "\
Without a command, sonde runs the agent.
Every setting is a flag, a variable and a key of the file: --web.listen-address is
SONDE_WEB_LISTEN_ADDRESS and `listen-address` under `web`. Flags win over variables, variables over
the file. SIGHUP reads the file again.

Exit codes: 0 done, 1 an error, 2 wrong usage, 3 the main job can't be done on this host (check)";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Subcommand {
    /// Run the agent (what sonde does without a command)
    Run,
    /// Say what works on this host: kernel, hooks, capabilities, and what is lost
    Check(CheckArguments),
    /// Print HTTP requests as they end
    Trace(TraceArguments),
    /// Print the configuration that file, environment and flags give, as YAML
    PrintConfig,
    /// Check a configuration file
    Validate {
        /// The file
        file: PathBuf,
    },
    /// Write a completion script to standard output
    Completions {
        /// For which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual page (roff) to standard output
    Man,
}

/// How `sonde check` reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Aligned columns.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// How to report
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: ReportFormat,
}

/// How `sonde trace` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TraceFormat {
    /// Lines on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct TraceArguments {
    /// Only this service; * stands for any text; repeatable
    #[arg(long, value_name = "NAME")]
    service: Vec<Pattern>,
    /// Only this status: 500, 5xx, >=400, <300, or none for no answer; repeatable
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<StatusFilter>,
    /// Only this route or path; * stands for any text; repeatable
    #[arg(long, value_name = "PATTERN")]
    route: Vec<Pattern>,
    /// Only requests that took at least this long, such as 100ms
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    min_duration: Option<Duration>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: TraceFormat,
}

impl From<TraceArguments> for Filter {
    fn from(arguments: TraceArguments) -> Self {
        Self {
            services: arguments.service,
            statuses: arguments.status,
            routes: arguments.route,
            min_duration: arguments.min_duration.unwrap_or_default(),
        }
    }
}

/// Writes the manual page: the settings once, then each subcommand with what is its own.
pub(super) fn man(mut command: clap::Command, out: &mut impl Write) -> io::Result<()> {
    command.build();
    let page = clap_mangen::Man::new(command.clone()).section("8");
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    for subcommand in command
        .get_subcommands()
        .filter(|found| found.get_name() != "help")
    {
        let name = subcommand.get_name();
        let about = subcommand
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        writeln!(
            out,
            ".SH \"SONDE {}\"\n{}",
            name.to_uppercase(),
            roff(&about)
        )?;
        let own = subcommand.clone().mut_args(|arg| {
            let shared = flags::is_setting(arg.get_id().as_str());
            arg.hide(shared)
        });
        let section = clap_mangen::Man::new(own);
        section.render_synopsis_section(out)?;
        if has_own_arguments(subcommand) {
            section.render_options_section(out)?;
        }
    }
    writeln!(out, ".SH NOTES\n.nf\n{}\n.fi", roff(AFTER_HELP))?;
    page.render_version_section(out)
}

fn has_own_arguments(subcommand: &clap::Command) -> bool {
    let mut ids = subcommand.get_arguments().map(|arg| arg.get_id().as_str());
    ids.any(|id| id != "help" && !flags::is_setting(id))
}

/// `text` as roff takes it: no line starts a request, and dashes and backslashes are themselves.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    let lines = escaped.lines().map(|line| match line.chars().next() {
        Some('.' | '\'') => format!("\\&{line}"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
