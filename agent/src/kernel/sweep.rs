//! The open connections: their totals.

use std::{io::Read as _, mem::size_of, os::fd::AsFd as _};

use aya::{
    Ebpf,
    maps::Map,
    programs::{Iter, ProgramError},
};
use sonde_common::event::{connection::Connection, tcp::Totals};

use super::{map, pod, sys};

/// Why the connections can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object lacks the program or the map.
    #[error("the kernel side has no {0}")]
    Missing(&'static str),
    /// The program isn't loaded.
    #[error("iterator {name}: {source}")]
    Program {
        /// Which program.
        name: &'static str,
        /// Why.
        source: ProgramError,
    },
    /// The iterator can't be run.
    #[error("iterator {name}: {source}")]
    Run {
        /// Which program.
        name: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The table of connections can't be read.
    #[error(transparent)]
    Table(#[from] map::Error),
}

/// The map of connection states where they don't live on the sockets.
pub const TABLE: &str = "CONNECTION_TABLE";

/// Runs an iterator program over a socket storage map; what it wrote.
fn run(ebpf: &Ebpf, program: &'static str, map: &'static str) -> Result<Vec<u8>, Error> {
    let iterator: &Iter = ebpf
        .program(program)
        .ok_or(Error::Missing(program))?
        .try_into()
        .map_err(|source| Error::Program {
            name: program,
            source,
        })?;
    let fd = iterator.fd().map_err(|source| Error::Program {
        name: program,
        source,
    })?;
    let Some(Map::SkStorage(storage)) = ebpf.map(map) else {
        return Err(Error::Missing(map));
    };
    let failed = |source| Error::Run {
        name: program,
        source,
    };
    let mut file = sys::iterate(fd.as_fd(), storage.fd().as_fd()).map_err(failed)?;
    let mut written = Vec::new();
    file.read_to_end(&mut written).map_err(failed)?;
    Ok(written)
}

/// Totals of the connections whose states live on the sockets (kernel 6.3).
pub fn storage(ebpf: &Ebpf) -> Result<Vec<Totals>, Error> {
    let written = run(ebpf, "tcp_sweep", "CONNECTIONS")?;
    let mut totals = Vec::with_capacity(written.len() / size_of::<Totals>());
    // Copied into words, so that the records are aligned.
    let mut words = vec![0u64; written.len().div_ceil(8)];
    pod::bytes_mut(&mut words)[..written.len()].copy_from_slice(&written);
    let mut rest = pod::bytes_of(&words);
    while let Some((record, after)) = pod::view::<Totals>(rest) {
        totals.push(*record);
        rest = after;
    }
    Ok(totals)
}

/// What the table of connections holds (kernels before 6.3).
#[derive(Clone, Debug)]
pub struct Table {
    /// Entries, those of closed and of the agent's own connections too.
    pub entries: usize,
    /// Totals of the open connections.
    pub open: Vec<Totals>,
}

/// Reads the table of connections.
pub fn table(ebpf: &Ebpf) -> Result<Table, Error> {
    let entries = map::entries::<u64, Connection>(ebpf, TABLE)?;
    Ok(Table {
        entries: entries.len(),
        open: entries
            .iter()
            .filter_map(|(_, connection)| open_totals(connection))
            .collect(),
    })
}

/// A connection in the table is open; which of the open states it is in is not known.
const TCP_ESTABLISHED: u8 = 1;

/// What the table knows of a connection, if it is one to tell of.
fn open_totals(connection: &Connection) -> Option<Totals> {
    (connection.own == 0 && connection.opened != 0 && connection.closed == 0).then_some(Totals {
        connection: connection.stream.connection,
        opened: connection.opened,
        connect_duration: connection.connect_duration,
        bytes_sent: connection.progress.bytes_sent,
        bytes_received: connection.progress.bytes_received,
        srtt: connection.progress.srtt,
        retransmits: connection.progress.retransmits,
        tgid: connection.tgid,
        role: connection.role,
        state: TCP_ESTABLISHED,
        pad: [0; 2],
        tuple: connection.tuple,
    })
}
