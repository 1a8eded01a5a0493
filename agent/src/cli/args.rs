//! Subcommands with their own arguments. The settings' flags are in [`super::flags`].

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, ValueEnum};

use super::filter::{Filter, Pattern, StatusFilter};

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

/// Stands at the end of the help and of the manual page.
pub(super) const AFTER_HELP: &str = "\
Without a command, sonde runs the agent.
Every setting is a flag, a variable and a key of the file: --web.listen-address is
SONDE_WEB_LISTEN_ADDRESS and `listen-address` under `web`. Flags win over variables, variables over
the file. otlp.headers has no flag, since command lines are for everyone to see. SIGHUP reads the
file again.

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
    #[arg(long, value_name = "DURATION", value_parser = at_least)]
    min_duration: Option<Duration>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: TraceFormat,
}

/// humantime's own errors tell a position rather than what is accepted.
fn at_least(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text)
        .map_err(|_| "expected a duration with its unit, such as 100ms, 2s or 1m 30s")
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
