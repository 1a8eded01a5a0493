//! A server and a load generator that none of us wrote: nginx and wrk.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::{agent, http};
use crate::sh;

/// The CPUs of the server and of its clients, as taskset(1) takes them.
const SERVER_CPU: &str = "0";
const CLIENT_CPU: &str = "1";

/// nginx with one worker that answers from memory; stopped when dropped.
pub(super) struct Server {
    process: Child,
    pub(super) address: SocketAddr,
    // Its configuration and whatever it writes; removed after it has stopped.
    _directory: TempDir,
}

/// What wrk counted.
pub(super) struct Load {
    pub(super) requests: u64,
    pub(super) per_second: f64,
}

impl Server {
    /// Paths below `/200`, `/301`, `/404` and `/500` are answered with that status, all others
    /// with 200 and a short body.
    pub(super) fn start() -> Result<Self> {
        if thread::available_parallelism().is_ok_and(|cpus| cpus.get() < 2) {
            bail!("two CPUs are needed: one for the server, one for its clients");
        }
        let directory = tempfile::tempdir().context("making nginx's directory")?;
        let address = agent::free_address()?;
        let config = directory.path().join("nginx.conf");
        fs::write(&config, configuration(address)).context("writing nginx's configuration")?;
        let log = fs::File::create(directory.path().join("log")).context("making nginx's log")?;
        let process = Command::new("taskset")
            .args(["--cpu-list", SERVER_CPU, "nginx", "-p"])
            .arg(directory.path())
            .arg("-c")
            .arg(&config)
            .env("PATH", path_with_sbin())
            .stderr(log)
            .spawn()
            .context("starting nginx")?;
        let server = Self {
            process,
            address,
            _directory: directory,
        };
        server.wait()?;
        Ok(server)
    }

    fn wait(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if http::get(self.address, "/").is_ok_and(|response| response.status == 200) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("nginx doesn't answer on {}", self.address);
    }

    /// Keeps it busy over 32 connections.
    pub(super) fn saturate(&self, time: Duration) -> Result<Load> {
        let mut wrk = Command::new("taskset");
        wrk.args([
            "--cpu-list",
            CLIENT_CPU,
            "wrk",
            "--threads=1",
            "--connections=32",
        ])
        .arg(format!("--duration={}s", time.as_secs()))
        .arg(format!("http://{}/", self.address));
        let said = sh::output(&mut wrk)?;
        if let Some(errors) = said
            .lines()
            .find(|l| l.contains("Socket errors") || l.contains("Non-2xx"))
        {
            bail!("wrk: {}", errors.trim());
        }
        // "  598012 requests in 5.00s, 92.40MB read" and "Requests/sec: 119581.21".
        let requests = said
            .lines()
            .find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok());
        let per_second = said
            .lines()
            .find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
        let (requests, per_second) = requests
            .zip(per_second)
            .with_context(|| format!("wrk said: {said}"))?;
        Ok(Load {
            requests,
            per_second,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, on which the master stops its worker as well; SIGKILL would leave that behind.
        let pid = nix::unistd::Pid::from_raw(self.process.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.process.wait();
    }
}

/// nginx is a program for root, and isn't on everybody's PATH.
fn path_with_sbin() -> String {
    format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default())
}

fn configuration(address: SocketAddr) -> String {
    let statuses = [200, 301, 404, 500];
    let location =
        |status| format!("location /{status} {{ return {status} \"status {status}\"; }}\n");
    let locations: String = statuses.into_iter().map(location).collect();
    format!(
        "daemon off;
worker_processes 1;
user root;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {address};
        location / {{ return 200 \"hello\"; }}
        {locations}
    }}
}}
"
    )
}
