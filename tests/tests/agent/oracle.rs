//! The oracle at a small scale; `cargo xtask oracle` is the same at a large one.

use anyhow::{Result, ensure};
use sonde_tests::oracle::{Case, Load, Server, Transport, Version, run, tables};

const LOAD: Load = Load {
    exchanges: 2_000,
    workers: 8,
    alone: 200,
};

fn check(server: Server, transport: Transport, version: Version) -> Result<()> {
    let case = Case {
        server,
        transport,
        version,
    };
    let outcome = run(case, LOAD)?;
    println!("{}", tables(std::slice::from_ref(&outcome)));
    // Other programs of a machine that runs tests have their share of it: durations are judged
    // by the run on a quiet one.
    let faults = outcome.faults(false);
    ensure!(
        faults.is_empty(),
        "{case}\n{}\n{}",
        faults.join("\n"),
        outcome.log
    );
    Ok(())
}

#[test]
fn nginx_in_clear_text() -> Result<()> {
    check(Server::Nginx, Transport::Clear, Version::Http1)
}

#[test]
fn python_in_clear_text() -> Result<()> {
    check(Server::Python, Transport::Clear, Version::Http1)
}

#[test]
fn node_in_clear_text() -> Result<()> {
    check(Server::Node, Transport::Clear, Version::Http1)
}

#[test]
fn go_in_clear_text() -> Result<()> {
    check(Server::Go, Transport::Clear, Version::Http1)
}

#[test]
fn nginx_in_tls() -> Result<()> {
    check(Server::Nginx, Transport::Tls, Version::Http1)
}

#[test]
fn python_in_tls() -> Result<()> {
    check(Server::Python, Transport::Tls, Version::Http1)
}

#[test]
fn node_in_tls() -> Result<()> {
    check(Server::Node, Transport::Tls, Version::Http1)
}

#[test]
fn go_in_tls() -> Result<()> {
    check(Server::Go, Transport::Tls, Version::Http1)
}

#[test]
fn node_over_http_2() -> Result<()> {
    check(Server::Node, Transport::Clear, Version::Http2)
}

#[test]
fn go_over_http_2_in_tls() -> Result<()> {
    check(Server::Go, Transport::Tls, Version::Http2)
}
