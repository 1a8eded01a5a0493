//! The command line: arguments to a [`Command`], and the commands that need no agent.
//!
//! Exit codes: 0 done, 1 an error, 2 wrong usage, 3 the main job can't be done on this host
//! (`sonde check`).

use std::{
    collections::BTreeMap,
    error::Error,
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
};

use clap::FromArgMatches as _;

mod args;
pub mod check;
pub mod filter;
mod flags;
mod manual;
pub mod style;
#[cfg(test)]
mod tests;
pub mod trace;

pub use self::args::{ReportFormat, TraceFormat};
use self::{
    args::{Arguments, Subcommand},
    filter::Filter,
};
use crate::config::{self, Sources};

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Run the agent until a signal.
    Run(Sources),
    /// Say what works on this host.
    Check(Sources, ReportFormat),
    /// Print requests as they end.
    Trace(Sources, TraceFormat, Filter),
    /// Print the resolved configuration.
    PrintConfig(Sources),
    /// Check a configuration file.
    Validate(PathBuf),
    /// Write a completion script.
    Completions(clap_complete::Shell),
    /// Write the manual page.
    Man,
}

impl Command {
    /// Reads the command line, program name first, and the variables that mean settings. An error
    /// knows its exit code (help and version are "errors" with code 0) and prints itself.
    pub fn parse(
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, clap::Error> {
        let matches = flags::command().try_get_matches_from(arguments)?;
        let parsed = Arguments::from_arg_matches(&matches)?;
        let sources = flags::sources(&matches, settings_of(environment));
        Ok(match parsed.command.unwrap_or(Subcommand::Run) {
            Subcommand::Run => Self::Run(sources),
            Subcommand::Check(check) => Self::Check(sources, check.format),
            Subcommand::Trace(trace) => {
                let format = trace.format;
                Self::Trace(sources, format, trace.into())
            }
            Subcommand::PrintConfig => Self::PrintConfig(sources),
            Subcommand::Validate { file } => Self::Validate(file),
            Subcommand::Completions { shell } => Self::Completions(shell),
            Subcommand::Man => Self::Man,
        })
    }
}

/// The variables that may mean settings. Others aren't kept: they are none of the agent's
/// business.
fn settings_of(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> BTreeMap<String, String> {
    let readable = environment.into_iter().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let ours = name.starts_with("SONDE_") || name.starts_with("OTEL_");
        // Other bytes than UTF-8 make the value wrong, which is then said with its name.
        ours.then(|| (name, value.to_string_lossy().into_owned()))
    });
    readable.collect()
}

/// Why a command that needs no agent failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// Standard output can't be written.
    #[error("can't write to standard output")]
    Write(#[from] io::Error),
}

/// `sonde print-config`.
pub fn print_config(sources: &Sources, out: &mut impl Write) -> Result<(), Failure> {
    let text = config::to_yaml(&sources.resolve()?);
    Ok(out.write_all(text.as_bytes())?)
}

/// `sonde validate FILE`.
pub fn validate(file: &std::path::Path, out: &mut impl Write) -> Result<(), Failure> {
    config::validate(file)?;
    Ok(writeln!(out, "{}: ok", file.display())?)
}

/// `sonde completions SHELL`.
pub fn completions(shell: clap_complete::Shell, out: &mut impl Write) -> Result<(), Failure> {
    // Generated into memory, since clap_complete panics where the pipe is closed.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut flags::command(), "sonde", &mut script);
    Ok(out.write_all(&script)?)
}

/// `sonde man`: one page, with a part for each subcommand.
pub fn man(out: &mut impl Write) -> Result<(), Failure> {
    Ok(manual::write(flags::command(), out)?)
}

/// The lines that tell an error: `sonde: error: WHAT: CAUSE`, one for each problem.
#[must_use]
pub fn error_lines(error: &(dyn Error + 'static)) -> String {
    problems(error)
        .iter()
        .flat_map(|problem| ["sonde: error: ", problem, "\n"])
        .collect()
}

/// `WHAT: CAUSE` for each problem that an error tells of. A cause that the error's own text holds
/// already isn't told again.
#[must_use]
pub fn problems(error: &(dyn Error + 'static)) -> Vec<String> {
    let told = error.to_string();
    let mut causes = String::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !told.contains(&text) && !causes.contains(&text) {
            causes.push_str(": ");
            causes.push_str(&text);
        }
        source = cause.source();
    }
    told.lines().map(|line| format!("{line}{causes}")).collect()
}

/// Whether an error comes from a reader that went away (`sonde man | head`), which is no fault.
#[must_use]
pub fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind == Some(io::ErrorKind::BrokenPipe) {
            return true;
        }
        next = error.source();
    }
    false
}
