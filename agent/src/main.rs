//! The `sonde` command: arguments, configuration, then the work.

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Result;
use sonde::{
    cli::{self, Command},
    pipeline,
};

fn main() -> ExitCode {
    let command = match Command::parse(env::args_os(), env::vars_os()) {
        Ok(command) => command,
        // Help, version and wrong usage: clap knows the text, the stream and the exit code.
        Err(error) => {
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2).into();
        }
    };
    match dispatch(command) {
        Ok(code) => code,
        Err(error) if cli::is_closed_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when this fails.
            let _ = write!(io::stderr(), "{}", cli::error_lines(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Run(sources) => return pipeline::run(sources.resolve()?, &sources),
        Command::Check(sources, format) => return pipeline::check(&sources.resolve()?, format),
        Command::Trace(sources, format, filter) => {
            return pipeline::trace(sources.resolve()?, format, filter);
        }
        Command::PrintConfig(sources) => cli::print_config(&sources, out)?,
        Command::Validate(file) => cli::validate(&file, out)?,
        Command::Completions(shell) => cli::completions(shell, out)?,
        Command::Man => cli::man(out)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
