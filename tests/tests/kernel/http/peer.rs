//! One end of a connection, in clear text or as a session of the test's own TLS library.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use anyhow::{Result, bail, ensure};

use crate::{
    tcp::pair,
    tls::{
        self,
        library::{Carrier, Session},
    },
};

/// What carries the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Clear,
    /// TLS whose library reads and writes the socket.
    Library,
    /// TLS between memory and memory.
    Memory,
}

/// Reads and writes.
pub(crate) enum End {
    Clear(TcpStream),
    Tls(Session),
}

impl Way {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Library => "library",
            Self::Memory => "memory",
        }
    }

    /// The one that a workload was given.
    pub(crate) fn of(arguments: &[&str]) -> Result<Self> {
        let ways = [Self::Clear, Self::Library, Self::Memory];
        match ways.into_iter().find(|way| arguments == [way.name()]) {
            Some(way) => Ok(way),
            None => bail!("no way: {arguments:?}"),
        }
    }

    pub(crate) fn is_encrypted(self) -> bool {
        self != Self::Clear
    }

    /// Both ends of a connection, ready for requests.
    pub(crate) fn connect(self) -> Result<(End, End)> {
        let (client, server) = pair()?;
        self.over(client, server)
    }

    /// The same over a connection.
    pub(crate) fn over(self, client: TcpStream, server: TcpStream) -> Result<(End, End)> {
        let carrier = match self {
            Self::Clear => return Ok((End::Clear(client), End::Clear(server))),
            Self::Library => Carrier::Socket,
            Self::Memory => Carrier::Memory,
        };
        let (client, server) = tls::connect_over(client, server, carrier)?;
        Ok((End::Tls(client), End::Tls(server)))
    }
}

impl End {
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Clear(socket) => socket,
            Self::Tls(session) => session.socket(),
        }
    }

    /// Goes on with another connection; the one before is closed.
    pub(crate) fn start_over(&mut self, socket: TcpStream) {
        match self {
            Self::Clear(before) => *before = socket,
            Self::Tls(session) => session.start_over(socket),
        }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Clear(socket) => Ok(socket.write_all(bytes)?),
            Self::Tls(session) => session.write(bytes),
        }
    }

    /// What one read gives.
    pub(crate) fn take(&mut self) -> Result<Vec<u8>> {
        match self {
            Self::Clear(socket) => {
                let mut buffer = vec![0; 4096];
                let count = socket.read(&mut buffer)?;
                ensure!(count > 0, "the end");
                buffer.truncate(count);
                Ok(buffer)
            }
            Self::Tls(session) => session.read(4096),
        }
    }
}
