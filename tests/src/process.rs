//! Children that don't outlive the test.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A running child; killed when dropped. Its children must end with it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Takes a child over that writes its errors to the file `log`.
    #[must_use]
    pub fn new(child: Child, log: PathBuf) -> Self {
        Self { child, log }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on standard error.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map_or_else(
            |error| format!("({error})"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Where that stands.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// The whole of its standard output, once it ends; it must have been piped.
    pub fn output(&mut self) -> Result<String> {
        let mut text = String::new();
        let mut pipe = self.child.stdout.take().context("not piped")?;
        pipe.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Its standard output, where it has been piped.
    pub fn take_output(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.id().try_into()?), signal)?)
    }

    /// How it has ended, where it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end.
    pub fn end_within(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("still runs after {limit:?}; it said:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to end, by SIGTERM, and waits.
    pub fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.end_within(limit)
    }
}

impl Drop for Process {
    /// SIGTERM first: nginx and others end their own children then.
    fn drop(&mut self) {
        if matches!(self.ended(), Ok(Some(_))) {
            return;
        }
        if self.stop(Duration::from_secs(3)).is_err() {
            // What can't be killed has ended.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
