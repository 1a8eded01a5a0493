//! A server and a load generator that none of us wrote: nginx and wrk.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
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

/// Size of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// A few bytes, from memory.
    Hello,
    /// 1 KiB, from a file.
    Small,
    /// 1 MiB, from a file by sendfile(2).
    Large,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) tls: bool,
    pub(super) body: Body,
}

impl Target {
    /// In clear text, with next to no body.
    pub(super) const HELLO: Self = Self {
        tls: false,
        body: Body::Hello,
    };
}

impl Body {
    const FILES: [(Self, &str, usize); 2] = [
        (Self::Small, "small", 1 << 10),
        (Self::Large, "large", 1 << 20),
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Hello => "/",
            Self::Small => "/file/small",
            Self::Large => "/file/large",
        }
    }
}

/// nginx with one worker that answers from memory; stopped when dropped.
pub(super) struct Server {
    process: Child,
    pub(super) address: SocketAddr,
    tls: SocketAddr,
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
        let (address, tls) = (agent::free_address()?, agent::free_address()?);
        let config = directory.path().join("nginx.conf");
        fs::write(&config, configuration(address, tls)).context("writing nginx's configuration")?;
        certify(&directory)?;
        let files = directory.path().join("file");
        fs::create_dir(&files).context("making a directory for bodies")?;
        for (_, name, size) in Body::FILES {
            fs::write(files.join(name), vec![b'x'; size]).context("writing a body")?;
        }
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
            tls,
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

    /// A connection over which it has answered once.
    pub(super) fn idle_connection(&self) -> Result<TcpStream> {
        let mut connection = http::Connection::open(self.address)?;
        connection.exchange("GET", "/")?;
        Ok(connection.into_stream())
    }

    /// Keeps it busy over 32 connections.
    pub(super) fn saturate(&self, target: Target, time: Duration) -> Result<Load> {
        let (scheme, address) = if target.tls {
            ("https", self.tls)
        } else {
            ("http", self.address)
        };
        let mut wrk = Command::new("taskset");
        wrk.args([
            "--cpu-list",
            CLIENT_CPU,
            "wrk",
            "--threads=1",
            "--connections=32",
        ])
        .arg(format!("--duration={}s", time.as_secs()))
        .arg(format!("{scheme}://{address}{}", target.body.path()));
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

/// A key and a certificate that nobody has to trust.
fn certify(directory: &TempDir) -> Result<()> {
    let mut openssl = Command::new("openssl");
    openssl
        .current_dir(directory.path())
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .args(["-days", "2", "-subj", "/CN=localhost"]);
    sh::output(&mut openssl).map(drop)
}

fn configuration(address: SocketAddr, tls: SocketAddr) -> String {
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

events {{ worker_connections 32000; }}
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
        location /file {{ root .; sendfile on; }}
    }}
    server {{
        listen {tls} ssl;
        ssl_certificate certificate.pem;
        ssl_certificate_key key.pem;
        location / {{ return 200 \"hello\"; }}
    }}
}}
"
    )
}
