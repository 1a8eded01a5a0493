//! `cargo xtask run`: from a fresh machine to a running agent.

use std::{os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result};

use crate::{setup, sh, workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments of the agent
    #[arg(last = true)]
    agent: Vec<String>,
}

/// Sets up, builds, and becomes the agent; returns only when one of these fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::build_needs()?;
    sh::run(sh::cargo().args(["build", "--release", "--package", "sonde"]))?;
    let agent = workspace::agent()?;
    let mut command = if sh::is_root() {
        Command::new(&agent)
    } else {
        println!("The agent needs root to load its kernel programs: starting it with sudo.");
        let mut command = Command::new("sudo");
        command.arg(&agent);
        command
    };
    command.args(&args.agent);
    Err(command.exec()).with_context(|| format!("starting {}", sh::shown(&command)))
}
