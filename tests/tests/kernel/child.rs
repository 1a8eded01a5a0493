//! Workloads in processes of their own: the agent's process is never observed, and this program
//! attaches as the agent does.
//!
//! A child and its parent talk in lines: `tell` and `hear` on one side, `line` and `say` on the
//! other.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child as Process, ChildStdin, ChildStdout, Command, ExitCode, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

/// First argument of a child.
const MARK: &str = "workload";

/// What a child can do: its name, and the function that does it with the rest of the arguments.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[&str]) -> Result<()>,
}

/// Runs as a child when the arguments say so.
pub(crate) fn as_workload(arguments: &[String], workloads: &[&[Workload]]) -> Option<ExitCode> {
    let [mark, name, rest @ ..] = arguments else {
        return None;
    };
    if mark != MARK {
        return None;
    }
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let workload = workloads
        .iter()
        .flat_map(|family| family.iter())
        .find(|workload| workload.name == name);
    let result = match workload {
        Some(workload) => (workload.run)(&rest),
        None => Err(anyhow::anyhow!("no workload {name}")),
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("workload {name}: {error:#}");
            ExitCode::FAILURE
        }
    })
}

/// From a workload: a line to the parent.
pub(crate) fn tell(line: impl std::fmt::Display) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush())?;
    Ok(())
}

/// In a workload: waits for the parent's next line.
pub(crate) fn hear() -> Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    ensure!(!line.is_empty(), "the parent is gone");
    Ok(line.trim_end().to_owned())
}

/// The program that is running, to start it again.
pub(crate) fn command(workload: &str, arguments: &[&str]) -> Result<Command> {
    let program = std::env::current_exe().context("where this program stands")?;
    let mut command = Command::new(program);
    command.arg(MARK).arg(workload).args(arguments);
    Ok(command)
}

/// A running workload; killed when dropped.
pub(crate) struct Child {
    process: Process,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts one.
    pub(crate) fn start(workload: &str, arguments: &[&str]) -> Result<Self> {
        Self::of(&mut command(workload, arguments)?)
    }

    /// Starts any program as a child that is talked to.
    pub(crate) fn of(command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a workload")?;
        let input = process.stdin.take();
        let output = process.stdout.take().context("no output")?;
        Ok(Self {
            process,
            input,
            output: BufReader::new(output),
        })
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its next line.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.is_empty() {
            bail!("the workload ended early: {}", self.process.wait()?);
        }
        Ok(line.trim_end().to_owned())
    }

    /// A line to it.
    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("its input is closed")?;
        writeln!(input, "{line}").and_then(|()| input.flush())?;
        Ok(())
    }

    /// Whether it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.process.try_wait()?)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Fails when it has ended, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
