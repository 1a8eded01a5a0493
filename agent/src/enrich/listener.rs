//! Listening TCP sockets and the processes that hold them.
//!
//! A connection to a socket that was listening before the agent started has no owner that the
//! kernel side knows of until some process touches it; the port and the network namespace tell.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, BufRead, BufReader, Cursor, Read},
    path::{Path, PathBuf},
};

use procfs::{
    FromBufReadSI,
    net::{TcpNetEntries, TcpState},
};

use super::counter::{Loss, Losses};

/// Most sockets that are kept.
const CAPACITY: usize = 16_384;
/// Longest head of a `/proc/PID/net/tcp` that is read; listening sockets come first in it.
const TABLE_MAX: u64 = 4 * 1024 * 1024;
/// Most open files that are looked at, over all processes.
const FILES_MAX: usize = 1_000_000;

/// Which process listens on a port of a network namespace.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Network namespace (inode number) and port, to the process.
    owners: HashMap<(u32, u16), u32>,
    losses: Losses,
}

/// A process and the directory that tells about it.
struct Candidate {
    tgid: u32,
    path: PathBuf,
    netns: u32,
}

/// Sockets whose process is looked for: inode number to namespace and port.
type Sockets = HashMap<u64, (u32, u16)>;

impl Listeners {
    /// Reads the listening sockets of every network namespace that a process is in, and matches
    /// them to the processes that have them open. When several do, as in a prefork group, the
    /// one with the lowest id stands.
    #[must_use]
    pub fn read(procfs: &Path) -> Self {
        let mut listeners = Self::default();
        let candidates = listeners.candidates(procfs);
        let mut namespaces = HashSet::new();
        let mut sockets = Sockets::new();
        for candidate in &candidates {
            if namespaces.insert(candidate.netns) {
                listeners.read_table(candidate, "net/tcp", &mut sockets);
                listeners.read_table(candidate, "net/tcp6", &mut sockets);
            }
        }
        let mut budget = FILES_MAX;
        for candidate in &candidates {
            if sockets.is_empty() {
                break;
            }
            if budget == 0 {
                listeners.losses.add(Loss::ListenerTableFull);
                break;
            }
            listeners.match_files(candidate, &mut sockets, &mut budget);
        }
        listeners
    }

    /// The process that listens on `port` in the network namespace with inode number `netns`.
    #[must_use]
    pub fn owner(&self, netns: u32, port: u16) -> Option<u32> {
        self.owners.get(&(netns, port)).copied()
    }

    /// Takes in who was seen listening; whether that is news.
    pub fn learn(&mut self, netns: u32, port: u16, tgid: u32) -> bool {
        if self.owners.len() >= CAPACITY && self.owner(netns, port).is_none() {
            self.losses.add(Loss::ListenerTableFull);
            return false;
        }
        self.owners.insert((netns, port), tgid) != Some(tgid)
    }

    /// Ports that are listened on, each with the inode number of its network namespace.
    pub fn ports(&self) -> impl Iterator<Item = (u32, u16)> {
        self.owners.keys().copied()
    }

    /// How many sockets are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// What was given up while reading.
    #[must_use]
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// All processes with their network namespaces, lowest id first.
    fn candidates(&mut self, procfs: &Path) -> Vec<Candidate> {
        let Some(entries) = self.allowed(fs::read_dir(procfs)) else {
            return Vec::new();
        };
        let mut ids: Vec<u32> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        ids.sort_unstable();
        ids.into_iter()
            .filter_map(|tgid| {
                let path = procfs.join(tgid.to_string());
                let link = self.allowed(fs::read_link(path.join("ns/net")))?;
                let netns = u32::try_from(number(&link, "net:[")?).ok()?;
                Some(Candidate { tgid, path, netns })
            })
            .collect()
    }

    /// Adds the listening sockets of one table.
    fn read_table(&mut self, candidate: &Candidate, table: &str, sockets: &mut Sockets) {
        let Some(file) = self.allowed(File::open(candidate.path.join(table))) else {
            return;
        };
        let Some(found) = listening(BufReader::new(file.take(TABLE_MAX))) else {
            self.losses.add(Loss::ProcMalformed);
            return;
        };
        for (inode, port) in found {
            if sockets.len() >= CAPACITY {
                self.losses.add(Loss::ListenerTableFull);
                return;
            }
            sockets.insert(inode, (candidate.netns, port));
        }
    }

    /// Gives the sockets that the process has open to it.
    fn match_files(&mut self, candidate: &Candidate, sockets: &mut Sockets, budget: &mut usize) {
        let Some(entries) = self.allowed(fs::read_dir(candidate.path.join("fd"))) else {
            return;
        };
        for entry in entries.flatten() {
            let Some(rest) = budget.checked_sub(1) else {
                return;
            };
            *budget = rest;
            let socket = fs::read_link(entry.path())
                .ok()
                .and_then(|link| number(&link, "socket:["))
                .and_then(|inode| sockets.remove(&inode));
            if let Some(key) = socket {
                // Several sockets may share a port (SO_REUSEPORT, several addresses).
                self.owners.entry(key).or_insert(candidate.tgid);
            }
        }
    }

    /// Counts what may not be read; that a process is gone is no loss.
    fn allowed<T>(&mut self, result: io::Result<T>) -> Option<T> {
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::PermissionDenied
        {
            self.losses.add(Loss::ProcInaccessible);
        }
        result.ok()
    }
}

/// The number in a link such as `socket:[4711]`.
fn number(link: &Path, prefix: &str) -> Option<u64> {
    link.to_str()?
        .strip_prefix(prefix)?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// Inode number and port of the listening sockets in a table of the form of `/proc/net/tcp`.
///
/// The kernel writes all listening sockets before all others (`tcp_seq_start` in
/// `net/ipv4/tcp_ipv4.c`), so reading ends at the first line of another state: a host with 100,000
/// connections costs no more than one with none.
fn listening(mut table: impl BufRead) -> Option<Vec<(u64, u16)>> {
    let mut head = String::new();
    table.read_line(&mut head).ok()?;
    loop {
        let before = head.len();
        let read = table.read_line(&mut head).ok()?;
        let line = head.get(before..)?;
        if read == 0 || line.split_ascii_whitespace().nth(3) != Some("0A") {
            head.truncate(before);
            break;
        }
    }
    let system = procfs::current_system_info();
    let entries = TcpNetEntries::from_buf_read(Cursor::new(head), system).ok()?;
    let sockets = entries.0.into_iter();
    Some(
        sockets
            .filter(|entry| entry.state == TcpState::Listen && entry.inode != 0)
            .map(|entry| (entry.inode, entry.local_address.port()))
            .collect(),
    )
}

#[cfg(test)]
mod tests;
