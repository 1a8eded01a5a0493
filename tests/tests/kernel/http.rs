//! HTTP on real sockets, through the agent's byte-stream model.

use std::{
    io::{Read, Write as _},
    net::TcpStream,
};

use anyhow::{Result, ensure};
use sonde::l7::exchange::{Exchange, Role};

use crate::observed::Observed;

pub(crate) mod bodies;
pub(crate) mod crowd;
pub(crate) mod framing;
pub(crate) mod heads;
pub(crate) mod life;
pub(crate) mod parts;
mod peer;
pub(crate) mod queue;
pub(crate) mod transport;
pub(crate) mod whose;

/// What every request is answered with.
pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A request without a body.
pub(crate) fn head(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: test.example\r\n\r\n").into_bytes()
}

/// Reads up to and with the first empty line.
pub(crate) fn read_head(stream: &mut impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0u8; 65_536];
    while !bytes.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the end, within a head");
        bytes.extend_from_slice(&buffer[..count]);
    }
    Ok(bytes)
}

/// Asks and waits for the answer.
pub(crate) fn ask(client: &mut TcpStream, path: &str) -> Result<()> {
    client.write_all(&head(path))?;
    Ok(client.read_exact(&mut vec![0; ANSWER.len()])?)
}

/// Waits for a request and answers it.
pub(crate) fn answer(server: &mut TcpStream) -> Result<()> {
    read_head(server)?;
    Ok(server.write_all(ANSWER)?)
}

/// One whole exchange between two ends of this process.
pub(crate) fn exchange(client: &mut TcpStream, server: &mut TcpStream, path: &str) -> Result<()> {
    client.write_all(&head(path))?;
    answer(server)?;
    Ok(client.read_exact(&mut vec![0; ANSWER.len()])?)
}

/// The exchanges of one role, in their order.
pub(crate) fn by_role(exchanges: &[Exchange], role: Role) -> Vec<&Exchange> {
    exchanges
        .iter()
        .filter(|exchange| exchange.role == role)
        .collect()
}

/// Runs a workload; its exchanges as the server, and as the client.
fn both(observed: &mut Observed, workload: &str, arguments: &[&str]) -> Result<Vec<Exchange>> {
    observed.forget();
    let pid = observed.run(workload, arguments)?;
    Ok(observed.exchanges(pid))
}

/// Both ends saw these paths, in this order, with this status.
fn check_paths(exchanges: &[Exchange], paths: &[String], status: Option<u16>) -> Result<()> {
    for role in [Role::Server, Role::Client] {
        let found = by_role(exchanges, role);
        ensure!(
            found.len() == paths.len(),
            "{role:?}: {} of {}",
            found.len(),
            paths.len()
        );
        for (exchange, path) in found.iter().zip(paths) {
            ensure!(
                *exchange.path == **path,
                "{role:?}: {} for {path}",
                exchange.path
            );
            ensure!(
                exchange.status == status,
                "{role:?} {path}: {:?}",
                exchange.status
            );
            ensure!(!exchange.truncated, "{role:?} {path}: truncated");
            ensure!(
                exchange.start <= exchange.end,
                "{role:?} {path}: negative duration"
            );
        }
    }
    Ok(())
}
