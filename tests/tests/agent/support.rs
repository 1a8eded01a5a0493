//! Servers and clients that several tests run.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use sonde_tests::{
    agent::Agent,
    exposition::{Counts, Metrics},
    lab::{Lab, finish, free_address},
    packages,
    process::Process,
};

pub(crate) const SERVER: &str = "http_server_request_duration_seconds_count";
pub(crate) const CLIENT: &str = "http_client_request_duration_seconds_count";
pub(crate) const METHOD: &str = "http_request_method";
pub(crate) const STATUS: &str = "http_response_status_code";
pub(crate) const ROUTE: &str = "http_route";
pub(crate) const PORT: &str = "server_port";
pub(crate) const SERVICE: &str = "service_name";

/// The `service.name` of this very process.
pub(crate) fn own_service() -> Result<String> {
    let program = std::env::current_exe()?;
    let name = program.file_name().context("a file")?;
    Ok(name.to_string_lossy().into_owned())
}

/// Counts as they are written down in a test.
pub(crate) fn counts<const N: usize>(rows: &[([&str; N], u64)]) -> Counts {
    rows.iter()
        .map(|(key, count)| (key.iter().map(ToString::to_string).collect(), *count))
        .collect()
}

/// Requires that the counts of a metric, told apart by labels, are these exactly.
pub(crate) fn assert_counts(
    agent: &Agent,
    metric: &str,
    labels: &[(&str, &str)],
    by: &[&str],
    expected: &Counts,
) -> Result<()> {
    let read = |metrics: &Metrics| metrics.by(metric, labels, by);
    let found = agent.settled(expected, read)?;
    assert_eq!(
        &found,
        expected,
        "{metric}{labels:?} by {by:?}\n{}",
        agent.log()
    );
    Ok(())
}

/// A running nginx.
pub(crate) struct Nginx {
    _process: Process,
    pub(crate) address: SocketAddr,
    /// Its `service.name`: the program's.
    pub(crate) service: String,
}

impl Nginx {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Labels of what it serves.
    pub(crate) fn served(&self) -> [(&str, &str); 1] {
        [(SERVICE, &self.service)]
    }
}

/// nginx with one worker and the locations that the tests ask for; `more` goes into the server.
pub(crate) fn nginx(lab: &Lab, more: &str) -> Result<Nginx> {
    let address = free_address()?;
    let (program, service) = lab.copy("nginx")?;
    let root = lab.path().join("root");
    fs::create_dir(&root)?;
    fs::write(root.join("static.bin"), vec![b'x'; 300_000])?;
    let directory = lab.path().display();
    let config = lab.write(
        "nginx.conf",
        &format!(
            "daemon off; user root; worker_processes 1; pid {directory}/nginx.pid;
             error_log stderr warn;
             events {{ worker_connections 1024; }}
             http {{
                 access_log off; sendfile on; keepalive_requests 100000000;
                 lingering_time 120s; lingering_timeout 60s;
                 client_body_temp_path {directory}/bodies; proxy_temp_path {directory}/proxy;
                 fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
                 scgi_temp_path {directory}/scgi;
                 server {{
                     listen {address} backlog=1024;
                     location / {{ return 200 'hello'; }}
                     location /made {{ return 201 'made'; }}
                     location /missing {{ return 404; }}
                     location /static.bin {{ root {directory}/root; }}
                     {more}
                 }}
             }}"
        ),
    )?;
    let mut command = lab.command(program);
    command.arg("-c").arg(&config).arg("-p").arg(lab.path());
    Ok(Nginx {
        _process: lab.serve(&mut command, address)?,
        address,
        service,
    })
}

/// Runs curl, silent, the body thrown away; what it says with `-w '%{http_code}'`.
pub(crate) fn curl(lab: &Lab, arguments: &[&str]) -> Result<String> {
    let fixed = [
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}\n",
        "--max-time",
        "20",
    ];
    lab.run("curl", fixed.iter().chain(arguments))
}

/// The number that stands before a word in what h2load says: `200000` before ` 2xx`.
pub(crate) fn number_before(text: &str, word: &str) -> Result<u64> {
    let (before, _) = text
        .split_once(word)
        .with_context(|| format!("no {word} in {text}"))?;
    let digits = before
        .rsplit(|character: char| !character.is_ascii_digit())
        .next()
        .context("no digits")?;
    digits
        .parse()
        .with_context(|| format!("before {word} in {text}"))
}

/// What a registry brings, if it is there.
fn brought(path: Option<PathBuf>) -> Result<PathBuf> {
    let path = path.context("HOME is not set")?;
    ensure!(
        path.exists(),
        "no {}: `cargo xtask setup --all` puts it there",
        path.display()
    );
    Ok(path)
}

/// Python with the packages of [`packages::PYTHON`], under a `service.name` of this lab's.
pub(crate) fn python(lab: &Lab, service: &str) -> Result<Command> {
    let mut python = lab.command("python3");
    python
        .env("PYTHONPATH", brought(packages::python())?)
        .env("OTEL_SERVICE_NAME", named(lab, service));
    Ok(python)
}

/// The path of [`packages::node`].
pub(crate) fn old_node() -> Result<PathBuf> {
    brought(packages::node())
}

/// A `service.name` that no other lab has.
pub(crate) fn named(lab: &Lab, service: &str) -> String {
    format!("{service}-{}", lab.namespace())
}

/// Builds a program of one file, or of a module, with a version of [`packages::GO`]. Nothing is
/// fetched; what was built stays in Go's cache.
pub(crate) fn go_build(
    lab: &Lab,
    version: &str,
    source: &Path,
    flags: &[&str],
    program: &str,
) -> Result<PathBuf> {
    let root = brought(packages::go(version))?;
    let program = lab.path().join(program);
    let mut build = lab.command(root.join("bin/go"));
    build
        .arg("build")
        .args(flags)
        .arg("-o")
        .arg(&program)
        .env("GOROOT", &root)
        .env("GOTOOLCHAIN", "local")
        .env("GOENV", "off")
        .env("GOFLAGS", "")
        .env("GOPROXY", "off");
    if source.is_dir() {
        build.current_dir(source);
    } else {
        build.arg(source).env("GO111MODULE", "off");
    }
    finish(&mut build)?;
    Ok(program)
}

/// The sonde program with a lab's surroundings.
pub(crate) fn sonde(lab: &Lab) -> Result<Command> {
    Ok(lab.command(sonde_tests::agent::program()?))
}

/// A file as a loop device, or one on top of another.
pub(crate) struct Disk {
    path: PathBuf,
    /// Detached after the one above.
    beneath: Option<Box<Self>>,
}

impl Disk {
    pub(crate) fn new(lab: &Lab) -> Result<Self> {
        let file = lab.path().join("disk");
        File::create(&file)?.set_len(128 << 20)?;
        Self::over(&file, &[])
    }

    /// One whose reads all reach another one beneath, which nothing else reads, and the number of that.
    pub(crate) fn on_another(lab: &Lab) -> Result<(Self, u64)> {
        let beneath = Self::new(lab)?;
        let number = fs::metadata(beneath.path())?.rdev();
        let mut disk = Self::over(beneath.path(), &["--direct-io=on"])?;
        disk.beneath = Some(Box::new(beneath));
        Ok((disk, number))
    }

    fn over(file: &Path, how: &[&str]) -> Result<Self> {
        let mut losetup = Command::new("losetup");
        losetup.args(["--find", "--show"]).args(how).arg(file);
        Ok(Self {
            path: finish(&mut losetup)?.trim().into(),
            beneath: None,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn name(&self) -> Result<&str> {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.context("a name")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.path).status();
    }
}
