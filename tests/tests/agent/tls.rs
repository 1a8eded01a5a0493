//! Requests inside TLS, of programs with every library that is watched: each once, under its
//! service's name, with the addresses of the connection that carries it.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Result;
use sonde_tests::{
    agent::Agent,
    exposition::Counts,
    lab::{Lab, finish, free_address},
};

use crate::support::{
    CLIENT, METHOD, Nginx, PORT, ROUTE, SERVER, SERVICE, STATUS, assert_counts, counts, curl,
    named, nginx, old_node,
};

mod files;
mod others;
mod uncovered;

const SCHEME: &str = "url_scheme";
const ADDRESS: &str = "server_address";

/// A certificate for 127.0.0.1 and localhost, and its key.
pub(crate) struct Certificate {
    der: Vec<u8>,
    file: PathBuf,
    key: PathBuf,
}

impl Certificate {
    pub(crate) fn new(lab: &Lab) -> Result<Self> {
        let made =
            rcgen::generate_simple_self_signed(["localhost", "127.0.0.1"].map(str::to_owned))?;
        Ok(Self {
            der: made.cert.der().to_vec(),
            file: lab.write("certificate.pem", &made.cert.pem())?,
            key: lab.write("key.pem", &made.signing_key.serialize_pem())?,
        })
    }

    /// As programs take them for arguments.
    pub(crate) fn paths(&self) -> [String; 2] {
        [&self.file, &self.key].map(|path| path.display().to_string())
    }
}

/// nginx with TLS on a second address, which is given back as well.
fn nginx_with_tls(lab: &Lab, certificate: &Certificate) -> Result<(Nginx, SocketAddr)> {
    let address = free_address()?;
    let [file, key] = certificate.paths();
    let more = format!(
        "listen {address} ssl http2; ssl_certificate {file}; ssl_certificate_key {key};
         ssl_protocols TLSv1.2 TLSv1.3;"
    );
    Ok((nginx(lab, &more)?, address))
}

/// Rows of method, status, route and how many.
type Rows<'a> = &'a [([&'a str; 3], u64)];

/// Requires that a service has served these, all of them inside TLS.
fn assert_served(agent: &Agent, service: &str, rows: Rows<'_>) -> Result<()> {
    let expected = with(rows, "https", "");
    let by = [METHOD, STATUS, ROUTE, SCHEME];
    assert_counts(agent, SERVER, &[(SERVICE, service)], &by, &expected)
}

/// Requires that a service has asked the server at this address for these.
fn assert_asked(agent: &Agent, service: &str, server: SocketAddr, rows: Rows<'_>) -> Result<()> {
    let expected = with(rows, "https", "127.0.0.1");
    let by = [METHOD, STATUS, ROUTE, SCHEME, ADDRESS];
    let port = server.port().to_string();
    let labels = [(SERVICE, service), (PORT, &port)];
    assert_counts(agent, CLIENT, &labels, &by, &expected)
}

fn with(rows: Rows<'_>, scheme: &str, address: &str) -> Counts {
    let rows = rows.iter().map(|([method, status, route], count)| {
        let mut key = vec![*method, status, route, scheme];
        key.extend((!address.is_empty()).then_some(address));
        (key.into_iter().map(str::to_owned).collect(), *count)
    });
    rows.collect()
}

#[test]
fn openssl_in_nginx_and_curl() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&["--probe.statistics=always"])?;
    let (nginx, address) = nginx_with_tls(&lab, &Certificate::new(&lab)?)?;
    let (program, client) = lab.copy("curl")?;
    let url = |path: &str| format!("https://{address}{path}");
    for version in ["--tlsv1.3", "--tls-max"] {
        let version: &[&str] = if version == "--tls-max" {
            &["--tls-max", "1.2"]
        } else {
            &["--tlsv1.3"]
        };
        // Several on one connection, and each command with its first one.
        for _ in 0..10 {
            let mut command = lab.command(&program);
            command.args(["-sk", "--http1.1", "-o", "/dev/null", "-o", "/dev/null"]);
            command.args(version);
            finish(command.args([url("/items"), url("/missing")]))?;
        }
        let mut command = lab.command(&program);
        command
            .args(["-sk", "--http1.1", "-o", "/dev/null"])
            .args(version);
        finish(command.arg(url("/static.bin")))?;
    }
    let rows: Rows<'_> = &[
        (["GET", "200", "/items"], 20),
        (["GET", "404", "/missing"], 20),
        (["GET", "200", "/static.bin"], 2),
    ];
    assert_served(&agent, &nginx.service, rows)?;
    assert_asked(&agent, &client, address, rows)?;
    assert_eq!(agent.dropped()?, Counts::new());
    let runs = |program| {
        let runs = "sonde_probe_runs_total";
        agent.eventually(program, |metrics| {
            metrics.sum(runs, &[("program", program)])
        })
    };
    assert!(runs("tls_return")? >= 84.0, "reads and writes at both ends");
    // In clear text on the same server all is as it was.
    assert_eq!(curl(&lab, &[&nginx.url("/made")])?, "201\n");
    let clear = counts(&[(["GET", "201", "/made", "http"], 1)]);
    let labels = [(SERVICE, &*nginx.service), (SCHEME, "http")];
    assert_counts(
        &agent,
        SERVER,
        &labels,
        &[METHOD, STATUS, ROUTE, SCHEME],
        &clear,
    )
}

#[test]
fn gnutls_in_wget() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (nginx, address) = nginx_with_tls(&lab, &Certificate::new(&lab)?)?;
    let (program, client) = lab.copy("wget")?;
    for _ in 0..10 {
        let mut command = lab.command(&program);
        command.args(["-q", "--no-check-certificate", "-O", "/dev/null"]);
        finish(
            command.args(["items", "static.bin"].map(|path| format!("https://{address}/{path}"))),
        )?;
    }
    let rows: Rows<'_> = &[
        (["GET", "200", "/items"], 10),
        (["GET", "200", "/static.bin"], 10),
    ];
    assert_served(&agent, &nginx.service, rows)?;
    assert_asked(&agent, &client, address, rows)
}

#[test]
fn python_with_sockets_and_with_asyncio() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let certificate = Certificate::new(&lab)?;
    let script = lab.write("tls.py", include_str!("programs/tls.py"))?;
    let python = |service: &str, arguments: &[&str]| {
        let mut command = lab.command("python3");
        command.arg(&script).args(arguments);
        command.env(
            "OTEL_SERVICE_NAME",
            format!("{service}-{}", lab.namespace()),
        );
        command
    };
    let named = |service: &str| format!("{service}-{}", lab.namespace());
    let address = free_address()?;
    let port = address.port().to_string();
    let [file, key] = certificate.paths();
    let _server = lab.serve(&mut python("loop", &["serve", &port, &file, &key]), address)?;
    let url = format!("https://{address}/items");
    finish(&mut python("sockets", &["fetch", &url, "10", "2"]))?;
    finish(&mut python("loops", &["ask", &port, "4", "25"]))?;
    let by_loops: Rows<'_> = &[(["GET", "200", "/even"], 50), (["GET", "200", "/odd"], 50)];
    let by_sockets: Rows<'_> = &[(["GET", "200", "/items"], 10)];
    assert_asked(&agent, &named("sockets"), address, by_sockets)?;
    assert_asked(&agent, &named("loops"), address, by_loops)?;
    assert_served(&agent, &named("loop"), &[by_loops, by_sockets].concat())
}

/// 3.x in the node that is installed, 1.1.1 in an older one.
#[test]
fn node_with_openssl_within() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let certificate = Certificate::new(&lab)?;
    let script = lab.write("vault.js", include_str!("programs/tls.js"))?;
    for (number, program) in ["node".into(), old_node()?].iter().enumerate() {
        let address = free_address()?;
        let port = address.port().to_string();
        let service = |role: &str| named(&lab, &format!("{role}-{number}"));
        let node = |role: &str| {
            let mut command = lab.command(program);
            command
                .arg(&script)
                .env("OTEL_SERVICE_NAME", service(role))
                .args([role, &port]);
            command
        };
        let mut server = node("serve");
        let _server = lab.serve(server.args(certificate.paths()), address)?;
        finish(&mut node("ask"))?;
        let rows: Rows<'_> = &[
            (["GET", "200", "/items/{id}"], 200),
            (["POST", "200", "/items/{id}"], 20),
            (["GET", "404", "/missing"], 10),
        ];
        assert_served(&agent, &service("serve"), rows)?;
        assert_asked(&agent, &service("ask"), address, rows)?;
    }
    Ok(())
}
