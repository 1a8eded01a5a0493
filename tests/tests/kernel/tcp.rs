//! TCP connections: latency, failures, bytes, ends.

use std::net::{TcpListener, TcpStream};

use anyhow::{Context as _, Result, ensure};
use sonde_common::event::tcp::{Closed, Role, Totals};

pub(crate) mod bytes;
pub(crate) mod ends;
pub(crate) mod listen;
pub(crate) mod state;
pub(crate) mod whose;

/// Both ends of a connection within this process: who connected, who accepted.
pub(crate) fn pair() -> Result<(TcpStream, TcpStream)> {
    pair_at("127.0.0.1:0", "127.0.0.1")
}

fn pair_at(bind: &str, host: &str) -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(bind)?;
    let client = TcpStream::connect((host, listener.local_addr()?.port()))?;
    let (server, _) = listener.accept()?;
    // Pieces go out as they are written, without waiting for what is under way.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    Ok((client, server))
}

/// The one with this role.
fn with_role<T>(records: &[T], role: Role, of: impl Fn(&T) -> &Totals) -> Result<&T> {
    let mut found = records
        .iter()
        .filter(|record| of(record).role == role as u8);
    let first = found.next().with_context(|| format!("none {role:?}"))?;
    ensure!(found.next().is_none(), "more than one {role:?}");
    Ok(first)
}

fn of_closed(closed: &Closed) -> &Totals {
    &closed.totals
}
