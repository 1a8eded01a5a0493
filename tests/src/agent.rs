//! The real `sonde`, run for a test.

use std::{
    collections::HashMap,
    env,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use sonde_common::fault::Fault;

use crate::{
    bpf::init_is_hidden,
    exposition::{Counts, Metrics},
    http::{self, Response},
    lab::{Lab, free_address},
    process::Process,
};

/// Time between snapshots.
pub const INTERVAL: Duration = Duration::from_millis(500);
/// Time in which numbers must appear, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Time in which the agent must be ready: the kernel verifies every program first.
const READY: Duration = Duration::from_mins(1);
/// Time in which it must stop.
const STOP: Duration = Duration::from_secs(6);

/// The program: `SONDE_BIN`, else the release build beside this test's own.
pub fn program() -> Result<PathBuf> {
    let path = match env::var_os("SONDE_BIN") {
        Some(path) => PathBuf::from(path),
        None => env::current_exe()?
            .ancestors()
            .nth(3)
            .context("a test stands in target/PROFILE/deps")?
            .join("release/sonde"),
    };
    ensure!(
        path.is_file(),
        "{} is missing: build it with `cargo build --release -p sonde`, or name it in SONDE_BIN",
        path.display()
    );
    Ok(path)
}

/// A running agent; killed when dropped.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    address: SocketAddr,
}

impl Agent {
    /// Starts it on a free port, with short intervals where the flags don't say another.
    pub fn start(lab: &Lab, flags: &[&str], variables: &HashMap<&str, String>) -> Result<Self> {
        // It ends with the test's thread even where that is killed and no guard is dropped.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(program()?);
        Self::start_as(lab, command.args(flags).envs(variables))
    }

    /// Starts it with a command that ends in its program and arguments.
    pub fn start_as(lab: &Lab, command: &mut Command) -> Result<Self> {
        const SNAPSHOTS: &str = "--snapshot.interval=";
        let address = free_address()?;
        command.arg(format!("--web.listen-address={address}"));
        let mut flags = command.get_args().filter_map(|flag| flag.to_str());
        if !flags.any(|flag| flag.starts_with(SNAPSHOTS)) {
            command.arg(format!("{SNAPSHOTS}{}ms", INTERVAL.as_millis()));
        }
        Ok(Self {
            process: lab.start(command, false)?,
            address,
        })
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for `/-/ready`.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        self.wait_for("/-/ready", 200)
    }

    /// Waits until a path is answered with a status.
    pub fn wait_for(&mut self, path: &str, status: u16) -> Result<()> {
        let deadline = Instant::now() + READY;
        loop {
            if let Some(status) = self.process.ended()? {
                bail!("the agent ended with {status}:\n{}", self.process.log());
            }
            if self.get(path, "").is_ok_and(|found| found.status == status) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{path} isn't answered with {status}:\n{}",
                self.process.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks it for a path.
    pub fn get(&self, path: &str, fields: &str) -> Result<Response> {
        http::get(self.address, path, fields)
    }

    /// Scrapes it.
    pub fn metrics(&self) -> Result<Metrics> {
        let response = self.get("/metrics", "")?;
        ensure!(response.status == 200, "{}", response.head);
        Metrics::parse(&response.body)
    }

    /// Scrapes it until `found` finds what it looks for.
    pub fn eventually<T>(
        &self,
        what: &str,
        mut found: impl FnMut(&Metrics) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let metrics = self.metrics()?;
            if let Some(found) = found(&metrics) {
                return Ok(found);
            }
            ensure!(
                Instant::now() < deadline,
                "{what}: not within {PATIENCE:?}; the agent said:\n{}",
                self.process.log()
            );
            thread::sleep(INTERVAL / 4);
        }
    }

    /// Scrapes it until the counts add up to as many as are expected or more, and nothing has
    /// been added after two further snapshots; what came of it.
    pub fn settled(&self, expected: &Counts, read: impl Fn(&Metrics) -> Counts) -> Result<Counts> {
        let total = |counts: &Counts| counts.values().sum::<u64>();
        let deadline = Instant::now() + PATIENCE;
        while total(&read(&self.metrics()?)) < total(expected) && Instant::now() < deadline {
            thread::sleep(INTERVAL / 4);
        }
        self.two_snapshots()?;
        Ok(read(&self.metrics()?))
    }

    /// Waits until everything that has happened by now is in what it serves.
    pub fn two_snapshots(&self) -> Result<()> {
        thread::sleep(INTERVAL * 3);
        self.metrics().map(drop)
    }

    /// Everything that it has lost, by stage and reason; only what isn't 0. Where the kernel hides init, block
    /// requests are left out: of any program's on the machine, an end may be hidden.
    pub fn dropped(&self) -> Result<Counts> {
        let metrics = self.metrics()?;
        ensure!(
            metrics.sum("sonde_dropped_total", &[]).is_some(),
            "sonde_dropped_total is missing"
        );
        let mut dropped = metrics.by("sonde_dropped_total", &[], &["stage", "reason"]);
        dropped.retain(|_, count| *count != 0);
        if init_is_hidden() {
            let hidden = Fault::BlockEndUnseen.reason();
            dropped.retain(|labels, _| labels.iter().all(|label| label != hidden));
        }
        Ok(dropped)
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Stops it by SIGTERM; how long that took.
    pub fn stop(&mut self) -> Result<(ExitStatus, Duration)> {
        let began = Instant::now();
        let status = self.process.stop(STOP)?;
        Ok((status, began.elapsed()))
    }
}
