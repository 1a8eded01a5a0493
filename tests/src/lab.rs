//! Where a test runs its programs: one test at a time, each with a name space of its own.

use std::{
    collections::HashMap,
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::{agent::Agent, process::Process};

/// Loads disturb each other, and the kernel's list of programs is one for all.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Time in which a server must listen; Java compiles first.
const PATIENCE: Duration = Duration::from_mins(1);

/// The surroundings of one test.
#[derive(Debug)]
pub struct Lab {
    directory: TempDir,
    namespace: String,
    _alone: MutexGuard<'static, ()>,
}

impl Lab {
    /// Waits until no other test runs.
    pub fn open() -> Result<Self> {
        // A test that failed has cleaned up all the same.
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            directory: tempfile::tempdir()?,
            namespace: format!("lab-{}-{number}", std::process::id()),
            _alone: alone,
        })
    }

    /// The `service.namespace` of every program that is started here: it tells them from others
    /// on the same host. Programs that write over their environment (nginx), or end before
    /// anybody can read it, are known by a name of their own instead: see [`Self::copy`].
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A directory that is gone afterwards.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file there.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// A copy of a program whose name nobody else has: the path and the name.
    pub fn copy(&self, program: &str) -> Result<(PathBuf, String)> {
        let found = std::env::var_os("PATH").and_then(|path| {
            std::env::split_paths(&path)
                .map(|directory| directory.join(program))
                .find(|path| path.is_file())
        });
        let found = found.with_context(|| not_installed(program))?;
        let name = format!("{program}-{}", self.namespace);
        let path = self.path().join(&name);
        std::fs::copy(found, &path)?;
        Ok((path, name))
    }

    /// A program with the name space in its environment, to be run in the directory.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env(
                "OTEL_RESOURCE_ATTRIBUTES",
                format!("service.namespace={}", self.namespace),
            )
            .env_remove("OTEL_SERVICE_NAME")
            .stdin(Stdio::null());
        command
    }

    /// Runs a program to its end, which must be a success.
    pub fn run<A: AsRef<std::ffi::OsStr>>(
        &self,
        program: impl AsRef<std::ffi::OsStr>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        finish(self.command(program).args(arguments))
    }

    /// Starts a program that goes on. Its standard output is piped when `piped`, else it goes
    /// where its errors go.
    pub fn start(&self, command: &mut Command, piped: bool) -> Result<Process> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = self.path().join(format!("{number}.log"));
        let file = File::create(&log)?;
        let out = if piped {
            Stdio::piped()
        } else {
            file.try_clone()?.into()
        };
        let child = command
            .stdout(out)
            .stderr(file)
            .spawn()
            .with_context(|| missing(command))?;
        Ok(Process::new(child, log))
    }

    /// Starts a server and waits until it listens.
    pub fn serve(&self, command: &mut Command, address: SocketAddr) -> Result<Process> {
        let mut process = self.start(command, false)?;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = process.ended()? {
                bail!("{status} instead of listening:\n{}", process.log());
            }
            ensure!(
                Instant::now() < deadline,
                "doesn't listen on {address}:\n{}",
                process.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(process)
    }

    /// The agent with these flags, ready.
    pub fn agent(&self, flags: &[&str]) -> Result<Agent> {
        self.agent_with(flags, &HashMap::new())
    }

    /// The agent with these flags and variables, ready.
    pub fn agent_with(&self, flags: &[&str], variables: &HashMap<&str, String>) -> Result<Agent> {
        let mut agent = Agent::start(self, flags, variables)?;
        agent.wait_until_ready()?;
        Ok(agent)
    }
}

/// Runs a command to its end, which must be a success; its standard output.
pub fn finish(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a command to its end.
pub fn output(command: &mut Command) -> Result<Output> {
    command.output().with_context(|| missing(command))
}

fn missing(command: &Command) -> String {
    not_installed(&command.get_program().to_string_lossy())
}

fn not_installed(program: &str) -> String {
    format!("can't start {program}: `cargo xtask setup` installs what the tests run")
}

/// A port of 127.0.0.1 that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}
