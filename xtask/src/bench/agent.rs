//! The agent that is measured, as a process.

use std::{
    collections::HashMap,
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{self, Signal},
    unistd::{Pid, SysconfVar},
};

use super::http;

/// How long it may take from the start to the first snapshot.
const START: Duration = Duration::from_secs(30);

/// How long it may take to drain and flush; the agent promises 5 s.
const STOP: Duration = Duration::from_secs(10);

/// The agent's program and where its output goes.
pub(super) struct Program {
    pub(super) program: PathBuf,
    pub(super) log: PathBuf,
}

/// An agent that is attached and ready; stopped when dropped.
pub(super) struct Agent {
    process: Child,
    /// Where it answers.
    pub(super) address: SocketAddr,
}

impl Program {
    /// Starts it and waits until it is ready.
    pub(super) fn start(&self, arguments: &[&str]) -> Result<Agent> {
        let address = free_address()?;
        let log = File::create(&self.log).context("making the agent's log")?;
        let process = Command::new(&self.program)
            .args(["--web.listen-address", &address.to_string()])
            // On only for the first moments of a run, which are no more than that.
            .args(["--probe.statistics", "off"])
            .args(arguments)
            .stdout(log.try_clone().context("the agent's log")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        let mut agent = Agent { process, address };
        agent.wait_ready().with_context(|| {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            format!("{} {}:\n{log}", self.program.display(), arguments.join(" "))
        })?;
        Ok(agent)
    }
}

impl Agent {
    fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().context("waiting for the agent")? {
                bail!("the agent ended before it was ready: {status}");
            }
            if http::get(self.address, "/-/ready").is_ok_and(|response| response.status == 200) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("the agent wasn't ready within {} s", START.as_secs());
    }

    /// CPU time so far, user and system: utime and stime of /proc/PID/stat.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let stat = self.read("stat")?;
        // The name, in parentheses, may have spaces and parentheses of its own.
        let after_name = stat
            .rsplit_once(") ")
            .context("/proc/PID/stat without a name")?
            .1;
        let fields: Vec<_> = after_name.split(' ').collect();
        let ticks = |field: usize| {
            let value = fields
                .get(field - 3)
                .and_then(|value| value.parse::<u64>().ok());
            value.with_context(|| format!("no field {field} in /proc/PID/stat"))
        };
        let per_second = nix::unistd::sysconf(SysconfVar::CLK_TCK)?.context("no clock tick")?;
        let seconds = (ticks(14)? + ticks(15)?) as f64 / per_second as f64;
        Ok(Duration::from_secs_f64(seconds))
    }

    /// A size of /proc/PID/status, in bytes.
    pub(super) fn memory(&self, field: &str) -> Result<u64> {
        let status = self.read("status")?;
        let size = value_of(&status, field).and_then(|size| size.strip_suffix(" kB")?.parse().ok());
        let kib: u64 = size.with_context(|| format!("no {field} in /proc/PID/status"))?;
        Ok(kib * 1024)
    }

    /// Kernel memory of all its maps: `memlock` in the fdinfo of their descriptors, once per map.
    /// Kernels before 6.4 give there what the map could take at most.
    pub(super) fn map_memory(&self) -> Result<u64> {
        let directory = format!("/proc/{}/fdinfo", self.process.id());
        let mut maps = HashMap::new();
        for entry in fs::read_dir(&directory).context("listing the agent's descriptors")? {
            // One that was closed meanwhile is no map: those stay open.
            let Ok(info) = fs::read_to_string(entry.context("a descriptor")?.path()) else {
                continue;
            };
            if value_of(&info, "map_type").is_none() {
                continue;
            }
            let number = |field| value_of(&info, field).and_then(|value| value.parse::<u64>().ok());
            let (id, bytes) = number("map_id")
                .zip(number("memlock"))
                .context("a map's fdinfo")?;
            maps.insert(id, bytes);
        }
        if maps.is_empty() {
            bail!("the agent holds no maps");
        }
        Ok(maps.values().sum())
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.process.id());
        fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.process.id().cast_signed());
        // It fails for a process that has ended, which is what is wanted.
        let _ = signal::kill(pid, Signal::SIGTERM);
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        eprintln!(
            "    the agent didn't stop within {} s: killed",
            STOP.as_secs()
        );
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The value in a line `NAME:<space>VALUE`.
fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .find(|(field, _)| *field == name)
        .map(|(_, value)| value.trim())
}

/// An address on the loopback interface that nobody listens on.
pub(super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    listener.local_addr().context("looking for a free port")
}
