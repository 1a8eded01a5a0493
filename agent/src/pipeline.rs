//! The only module that knows the order of the stages.

use std::process::ExitCode;

use crate::{
    cli::{ReportFormat, TraceFormat, filter::Filter},
    config::{Config, Sources},
};

/// Runs the agent until a signal; `sources` are for reloads.
pub fn run(_config: Config, _sources: &Sources) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not wired yet")
}

/// Says what works on this host.
pub fn check(_config: &Config, _format: ReportFormat) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not wired yet")
}

/// Prints requests as they end.
pub fn trace(_config: Config, _format: TraceFormat, _filter: Filter) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not wired yet")
}
