//! What iterator programs tell: the totals of open connections, the sockets that listen, and what all
//! tasks have used.

use std::{fs::File, io::Read as _, mem::size_of, os::fd::AsFd as _};

use aya::{
    Ebpf, Pod,
    maps::Map,
    programs::{Iter, ProgramError},
};
use sonde_common::event::{
    connection::Connection,
    sched::{Process, Task},
    tcp::{AcceptQueue, Totals},
};

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

/// The map of listening sockets.
pub const LISTENERS: &str = "TCP_LISTENERS";

/// A run of an iterator program: over the entries of a map, or over all tasks or files.
fn open(ebpf: &Ebpf, program: &'static str, map: Option<&'static str>) -> Result<File, Error> {
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
    let entries = match map {
        None => None,
        Some(map) => match ebpf.map(map) {
            Some(Map::SkStorage(data) | Map::HashMap(data)) => Some(data.fd().as_fd()),
            _ => return Err(Error::Missing(map)),
        },
    };
    sys::iterate(fd.as_fd(), entries).map_err(|source| Error::Run {
        name: program,
        source,
    })
}

/// Runs an iterator program; all that it wrote.
fn run(ebpf: &Ebpf, program: &'static str, map: Option<&'static str>) -> Result<Vec<u8>, Error> {
    let mut written = Vec::new();
    open(ebpf, program, map)?
        .read_to_end(&mut written)
        .map_err(|source| Error::Run {
            name: program,
            source,
        })?;
    Ok(written)
}

/// The records in what an iterator wrote.
fn records<T: Pod>(written: &[u8]) -> Vec<T> {
    let mut records = Vec::with_capacity(written.len() / size_of::<T>());
    // Copied into words, so that the records are aligned.
    let mut words = vec![0u64; written.len().div_ceil(8)];
    pod::bytes_mut(&mut words)[..written.len()].copy_from_slice(written);
    let mut rest = pod::bytes_of(&words);
    while let Some((record, after)) = pod::view::<T>(rest) {
        records.push(*record);
        rest = after;
    }
    records
}

/// Totals of the connections whose states live on the sockets (kernel 6.3).
pub fn storage(ebpf: &Ebpf) -> Result<Vec<Totals>, Error> {
    Ok(records(&run(ebpf, "tcp_sweep", Some("CONNECTIONS"))?))
}

/// Has the kernel side look for the sockets that listen already. Once, after attaching: later ones it
/// sees for itself.
pub fn find_listeners(ebpf: &Ebpf) -> Result<(), Error> {
    run(ebpf, "tcp_file_sweep", None).map(|_| ())
}

/// The accept queues of all sockets that listen.
pub fn accept_queues(ebpf: &Ebpf) -> Result<Vec<AcceptQueue>, Error> {
    Ok(records(&run(ebpf, "tcp_listener_sweep", Some(LISTENERS))?))
}

/// Words that are read at once. The kernel hands over 32 KiB at most, whole records.
const WORDS: usize = 8 * 1024;

/// Hands over every thread, and with the leader of a process what belongs to the whole of it.
pub fn tasks(
    ebpf: &Ebpf,
    program: &'static str,
    mut take: impl FnMut(&Task, Option<&Process>),
) -> Result<(), Error> {
    let mut file = open(ebpf, program, None)?;
    let mut words = vec![0u64; WORDS];
    loop {
        let failed = |source| Error::Run {
            name: program,
            source,
        };
        let length = file.read(pod::bytes_mut(&mut words)).map_err(failed)?;
        if length == 0 {
            return Ok(());
        }
        let mut rest = pod::bytes_of(&words).get(..length).unwrap_or_default();
        while let Some((task, after)) = pod::view::<Task>(rest) {
            rest = after;
            let mut process = None;
            if task.is_leader != 0
                && let Some((whole, after)) = pod::view::<Process>(rest)
            {
                process = Some(whole);
                rest = after;
            }
            take(task, process);
        }
        if !rest.is_empty() {
            return Err(failed(std::io::ErrorKind::InvalidData.into()));
        }
    }
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
