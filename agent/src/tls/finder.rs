//! Finds TLS libraries in the memory of processes, and has them watched.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use self::verdict::{Key, Verdict};
use super::{
    host::Host,
    identity::Identity,
    maps::{self, Mapping},
    name,
    stats::Stats,
    watched::{Attach, Files, Keep},
};

mod verdict;

/// Most processes whose libraries are known: beyond, a library may be let go while one of the others
/// uses it, and is found again.
const PROCESSES: usize = 32_768;
/// Files without a watched library of which is remembered what their texts tell.
const NAMED: usize = 8_192;
/// For how long the answer on a process's library holds; then it is looked at thoroughly again.
const ANSWER: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
struct Process {
    files: Vec<Identity>,
    answer: Option<Answer>,
}

/// The library of a process's connections.
#[derive(Clone, Copy, Debug)]
struct Answer {
    library: &'static str,
    /// Of connections that were open before the library that was attached last.
    late: bool,
    since: Instant,
}

/// What a process has mapped of TLS.
#[derive(Debug, Default)]
struct Libraries {
    /// One that is watched since now.
    new: Option<&'static str>,
    /// One that is watched.
    watched: Option<&'static str>,
    /// One that can't be.
    refused: Option<&'static str>,
    /// What isn't watched, and may have one that is known by its name or its texts.
    others: Vec<Mapping>,
}

/// Everything that is known of processes and files.
pub(super) struct Finder<A: Attach> {
    procfs: PathBuf,
    host: Host,
    /// The agent itself.
    own: u32,
    files: Files<A>,
    verdicts: HashMap<Key, Verdict>,
    processes: HashMap<u32, Process>,
    /// Libraries by the texts in a file.
    named: HashMap<Identity, Option<&'static str>>,
    stats: Arc<Stats>,
}

impl<A: Attach> Finder<A> {
    pub(super) fn new(procfs: PathBuf, host: Host, own: u32, attach: A, stats: Arc<Stats>) -> Self {
        Self {
            procfs,
            host,
            own,
            files: Files::new(attach, Arc::clone(&stats)),
            verdicts: HashMap::new(),
            processes: HashMap::new(),
            named: HashMap::new(),
            stats,
        }
    }

    /// Watches the libraries that the host's programs find by themselves.
    pub(super) fn watch_host(&mut self, now: Instant) {
        for file in self.host.libraries() {
            let Ok(identity) = Identity::of(&file) else {
                continue;
            };
            if !self.files.contains(identity) {
                self.examine(identity, file, Keep::Always, true, now);
            }
        }
    }

    /// Brings the processes up to what `/proc` lists, and lets go of what nobody uses.
    pub(super) fn sweep(&mut self, now: Instant) {
        let Ok(entries) = fs::read_dir(&self.procfs) else {
            return;
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let alive: std::collections::HashSet<u32> =
            names.filter_map(|name| name.parse().ok()).collect();
        let known = self.processes.keys().copied();
        let gone: Vec<_> = known.filter(|tgid| !alive.contains(tgid)).collect();
        for tgid in gone {
            self.exit(tgid, now);
        }
        for tgid in alive {
            if !self.processes.contains_key(&tgid) {
                self.look(tgid, now);
            }
        }
        self.files.expire(now);
    }

    /// Whether a sweep would let go of something that is not to be kept.
    pub(super) fn any_to_end(&self) -> bool {
        self.files.any_to_end()
    }

    /// Looks which libraries a process has mapped by now.
    pub(super) fn look(&mut self, tgid: u32, now: Instant) {
        if tgid == self.own {
            return;
        }
        match maps::executable(&self.procfs, tgid) {
            Ok(mappings) => {
                self.take_in(tgid, mappings, false, now);
            }
            Err(_) => self.exit(tgid, now),
        }
    }

    /// The process has ended.
    pub(super) fn exit(&mut self, tgid: u32, now: Instant) {
        for identity in self
            .processes
            .remove(&tgid)
            .into_iter()
            .flat_map(|it| it.files)
        {
            self.files.release(identity, now);
        }
    }

    /// The TLS library of a process, one of whose connections is encrypted by something that isn't
    /// watched, or wasn't when the connection began (`late`). It is looked at thoroughly, so that
    /// what it has loaded meanwhile is watched.
    pub(super) fn name(&mut self, tgid: u32, late: bool, now: Instant) -> &'static str {
        let answer = self.processes.get(&tgid).and_then(|process| process.answer);
        if let Some(answer) = answer
            && answer.late == late
            && now.saturating_duration_since(answer.since) < ANSWER
        {
            return answer.library;
        }
        let library = self.find_out(tgid, late, now);
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.answer = Some(Answer {
                library,
                late,
                since: now,
            });
        }
        library
    }

    /// What a watched library encrypts is seen, unless the connection is older. So another one is
    /// looked for first: Python has OpenSSL loaded where gRPC brings `BoringSSL` of its own.
    fn find_out(&mut self, tgid: u32, late: bool, now: Instant) -> &'static str {
        let Ok(mappings) = maps::executable(&self.procfs, tgid) else {
            return name::UNKNOWN;
        };
        let libraries = self.take_in(tgid, mappings, true, now);
        let others = &libraries.others;
        libraries
            .new
            .or(libraries.watched.filter(|_| late))
            .or(libraries.refused)
            .or_else(|| name::by_mappings(others))
            .or_else(|| others.iter().find_map(|it| self.name_file(tgid, it)))
            .or(libraries.watched)
            .unwrap_or(name::UNKNOWN)
    }

    /// The library that the texts in a mapped file tell of.
    fn name_file(&mut self, tgid: u32, mapping: &Mapping) -> Option<&'static str> {
        let file = mapping.open(&self.procfs, tgid).ok()?;
        let identity = Identity::of(&file).ok()?;
        if let Some(known) = self.named.get(&identity) {
            return *known;
        }
        let found = name::by_texts(&file).ok()?;
        if self.named.len() >= NAMED {
            self.named.clear();
        }
        self.named.insert(identity, found);
        found
    }

    fn process(&self, tgid: u32) -> PathBuf {
        self.procfs.join(tgid.to_string())
    }

    /// Takes in what a process has mapped, and says what of it is TLS.
    fn take_in(
        &mut self,
        tgid: u32,
        mappings: Vec<Mapping>,
        thorough: bool,
        now: Instant,
    ) -> Libraries {
        let main = fs::read_link(self.process(tgid).join("exe")).unwrap_or_default();
        let mut files = Vec::new();
        let mut libraries = Libraries::default();
        for mapping in mappings {
            match self.verdict(tgid, &mapping, &main, thorough, now) {
                Verdict::Watched(identity) => {
                    let (library, since) = self.files.library(identity).unzip();
                    let library = library.map(super::Library::reason);
                    libraries.watched = libraries.watched.or(library);
                    let new = library.filter(|_| since == Some(now));
                    libraries.new = libraries.new.or(new);
                    if !files.contains(&identity) {
                        files.push(identity);
                    }
                }
                Verdict::Nothing(library) => {
                    libraries.refused = libraries.refused.or(library);
                    libraries.others.push(mapping);
                }
            }
        }
        if !self.processes.contains_key(&tgid) && self.processes.len() >= PROCESSES {
            return libraries;
        }
        // Acquired before released: what stays is used all the time.
        for identity in &files {
            self.files.acquire(*identity);
        }
        let process = self.processes.entry(tgid).or_default();
        process.answer = None;
        for identity in std::mem::replace(&mut process.files, files) {
            self.files.release(identity, now);
        }
        libraries
    }

    /// Lets go of everything.
    pub(super) fn stop(&mut self) {
        self.files.clear();
    }
}

#[cfg(test)]
mod tests;
