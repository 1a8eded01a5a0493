//! The servers, started.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use super::{
    case::{Case, Server, Transport, Version},
    plan::{ENDLESS, SIZES},
};
use crate::{
    lab::{Lab, finish, free_address},
    process::Process,
};

/// A server that listens; stopped when dropped.
#[derive(Debug)]
pub(super) struct Running {
    process: Process,
    pub(super) address: SocketAddr,
    /// `service.name`
    pub(super) service: String,
    /// The certificate that it shows, DER.
    pub(super) certificate: Option<Vec<u8>>,
}

impl Running {
    /// The process that was started; nginx has its worker below it.
    pub(super) fn process(&self) -> u32 {
        self.process.id()
    }
}

/// The host name in the certificate.
pub(super) const HOST: &str = "localhost";

struct Credentials {
    certificate: PathBuf,
    key: PathBuf,
    der: Vec<u8>,
}

fn credentials(lab: &Lab) -> Result<Credentials> {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
    Ok(Credentials {
        certificate: lab.write("certificate.pem", &made.cert.pem())?,
        key: lab.write("key.pem", &made.signing_key.serialize_pem())?,
        der: made.cert.der().to_vec(),
    })
}

/// Starts the server of a case.
pub(super) fn start(lab: &Lab, case: Case) -> Result<Running> {
    let credentials = match case.transport {
        Transport::Tls => Some(credentials(lab)?),
        Transport::Clear => None,
    };
    let address = free_address()?;
    let version = match case.version {
        Version::Http1 => "1",
        Version::Http2 => "2",
    };
    let service = format!("oracle-{}", case.server);
    let port = address.port().to_string();
    let (mut command, service) = match case.server {
        Server::Nginx => nginx(lab, case, address, credentials.as_ref())?,
        Server::Python if case.version == Version::Http2 => {
            (hypercorn(lab, address, credentials.as_ref())?, service)
        }
        Server::Python => {
            let script = lab.write("server.py", include_str!("../../fixtures/oracle/server.py"))?;
            let mut command = lab.command("python3");
            command.arg(script).arg(port);
            (with_files(command, credentials.as_ref()), service)
        }
        Server::Node => {
            let script = lab.write("server.js", include_str!("../../fixtures/oracle/server.js"))?;
            let mut command = lab.command("node");
            command.arg(script).args([&*port, version]);
            (with_files(command, credentials.as_ref()), service)
        }
        Server::Go => {
            let mut command = lab.command(go(lab)?);
            command.args([&*address.to_string(), version]);
            (with_files(command, credentials.as_ref()), service)
        }
    };
    command.env("OTEL_SERVICE_NAME", &service);
    Ok(Running {
        process: lab.serve(&mut command, address)?,
        address,
        service,
        certificate: credentials.map(|files| files.der),
    })
}

/// The certificate's files as the last arguments, where there is TLS.
fn with_files(mut command: Command, credentials: Option<&Credentials>) -> Command {
    if let Some(files) = credentials {
        command.args([&files.certificate, &files.key]);
    }
    command
}

/// Python's standard library has no HTTP/2; hypercorn has it on asyncio. It is given a socket that
/// listens, as its standard input: one that it binds itself isn't known to asyncio as TCP's, which then
/// leaves Nagle's algorithm on. An answer's last frame would wait in the kernel for the client's delayed
/// acknowledgement of its first one, 40 ms that are in no server's span.
fn hypercorn(lab: &Lab, address: SocketAddr, credentials: Option<&Credentials>) -> Result<Command> {
    lab.write("asgi.py", include_str!("../../fixtures/oracle/asgi.py"))?;
    let mut command = lab.command("hypercorn");
    command
        .stdin(Stdio::from(OwnedFd::from(TcpListener::bind(address)?)))
        .args(["--bind", "fd://0"])
        .args(["--keep-alive", "120", "--backlog", "1024"])
        .args(["--log-level", "critical"]);
    if let Some(files) = credentials {
        command.arg("--certfile").arg(&files.certificate);
        command.arg("--keyfile").arg(&files.key);
    }
    command.arg("asgi:answer");
    Ok(command)
}

/// nginx writes over its environment, so its name is the program's.
fn nginx(
    lab: &Lab,
    case: Case,
    address: SocketAddr,
    credentials: Option<&Credentials>,
) -> Result<(Command, String)> {
    let (program, service) = lab.copy("nginx")?;
    let files = lab.path().join("files");
    fs::create_dir(&files).context("a directory for nginx's files")?;
    for size in SIZES.into_iter().chain([ENDLESS]) {
        fs::write(files.join(size.to_string()), vec![b'x'; size])?;
    }
    let mut listen = address.to_string();
    let mut tls = String::new();
    if let Some(files) = credentials {
        listen += " ssl";
        tls = format!(
            "ssl_certificate {}; ssl_certificate_key {};",
            files.certificate.display(),
            files.key.display()
        );
    }
    if case.version == Version::Http2 {
        listen += " http2";
    }
    let config = include_str!("../../fixtures/oracle/nginx.conf")
        .replace("DIRECTORY", &lab.path().display().to_string())
        .replace("LISTEN", &listen)
        .replace("TLS", &tls);
    let config = lab.write("nginx.conf", &config)?;
    let mut command = lab.command(program);
    command.arg("-c").arg(config).arg("-p").arg(lab.path());
    Ok((command, service))
}

fn go(lab: &Lab) -> Result<PathBuf> {
    let sources = lab.path().join("go");
    fs::create_dir(&sources)?;
    lab.write(
        "go/server.go",
        include_str!("../../fixtures/oracle/server.go"),
    )?;
    lab.write("go/h2c.go", include_str!("../../fixtures/oracle/h2c.go"))?;
    lab.write(
        "go/h2c_old.go",
        include_str!("../../fixtures/oracle/h2c_old.go"),
    )?;
    let program = lab.path().join("oracle-server");
    let mut build = lab.command("go");
    build
        .current_dir(&sources)
        .arg("build")
        .arg("-o")
        .arg(&program)
        .env("GO111MODULE", "off");
    finish(&mut build)?;
    Ok(program)
}
