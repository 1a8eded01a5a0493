//! Finds TLS libraries in the memory of processes, and has them watched.

use std::{
    collections::HashMap,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Refusal,
    host::Host,
    identity::{Identity, Stamp},
    inspect::inspect,
    maps::{self, Mapped, Mapping},
    name,
    stats::Stats,
    watched::{Attach, Files, Keep},
};

/// Most processes whose libraries are known: beyond, a library may be let go while one of the others
/// uses it, and is found again.
const PROCESSES: usize = 32_768;
/// Most files of which is known whether they have TLS; beyond, all are looked into anew.
const VERDICTS: usize = 32_768;
/// Programs whose library is remembered.
const NAMED: usize = 1_024;
/// For how long the answer on a process's library holds; then it is looked at thoroughly again.
const ANSWER: Duration = Duration::from_mins(1);

/// A file as a process has it mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    file: Mapped,
    /// Hash of its path, and of its size and time where it is a main program: inode numbers are
    /// given away again.
    path: u64,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// There is no TLS library in it that can be watched; the library when there is one that can't.
    Nothing(Option<&'static str>),
    /// It is watched.
    Watched(Identity),
}

#[derive(Debug, Default)]
struct Process {
    files: Vec<Identity>,
    answer: Option<(&'static str, Instant)>,
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
    /// Libraries by the texts in a program.
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
                self.examine(identity, file, Keep::Always, now);
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
                self.take_in(tgid, &mappings, false, now);
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
    /// watched. It is looked at thoroughly, so that what it has loaded meanwhile is watched.
    pub(super) fn name(&mut self, tgid: u32, now: Instant) -> &'static str {
        let answer = self.processes.get(&tgid).and_then(|process| process.answer);
        if let Some((library, since)) = answer
            && now.saturating_duration_since(since) < ANSWER
        {
            return library;
        }
        let library = self.find_out(tgid, now);
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.answer = Some((library, now));
        }
        library
    }

    fn find_out(&mut self, tgid: u32, now: Instant) -> &'static str {
        let Ok(mappings) = maps::executable(&self.procfs, tgid) else {
            return name::UNKNOWN;
        };
        let refused = self.take_in(tgid, &mappings, true, now);
        let files = self.processes.get(&tgid).map(|process| &process.files);
        let watched = files.and_then(|files| files.iter().find_map(|it| self.files.library(*it)));
        let known = watched.map(super::Library::reason).or(refused);
        known
            .or_else(|| name::by_mappings(&mappings))
            .or_else(|| self.name_program(tgid))
            .unwrap_or(name::UNKNOWN)
    }

    /// The library that the texts in a process's program tell of.
    fn name_program(&mut self, tgid: u32) -> Option<&'static str> {
        let program = fs::File::open(self.process(tgid).join("exe")).ok()?;
        let identity = Identity::of(&program).ok()?;
        if let Some(known) = self.named.get(&identity) {
            return *known;
        }
        let found = name::by_program(&program).ok()?;
        if self.named.len() >= NAMED {
            self.named.clear();
        }
        self.named.insert(identity, found);
        found
    }

    fn process(&self, tgid: u32) -> PathBuf {
        self.procfs.join(tgid.to_string())
    }

    /// Takes in what a process has mapped; a library that it has and that can't be watched.
    fn take_in(
        &mut self,
        tgid: u32,
        mappings: &[Mapping],
        thorough: bool,
        now: Instant,
    ) -> Option<&'static str> {
        let main = fs::read_link(self.process(tgid).join("exe")).unwrap_or_default();
        let mut files = Vec::new();
        let mut refused = None;
        for mapping in mappings {
            match self.verdict(tgid, mapping, &main, thorough, now) {
                Verdict::Watched(identity) if !files.contains(&identity) => files.push(identity),
                Verdict::Watched(_) => {}
                Verdict::Nothing(library) => refused = refused.or(library),
            }
        }
        if !self.processes.contains_key(&tgid) && self.processes.len() >= PROCESSES {
            return refused;
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
        refused
    }

    /// What a mapped file has; from memory unless it is to be `thorough`.
    fn verdict(
        &mut self,
        tgid: u32,
        mapping: &Mapping,
        main: &Path,
        thorough: bool,
        now: Instant,
    ) -> Verdict {
        let key = self.key(tgid, mapping, main);
        match self.verdicts.get(&key).copied() {
            Some(Verdict::Watched(identity)) if self.files.contains(identity) => {
                return Verdict::Watched(identity);
            }
            Some(known @ Verdict::Nothing(_)) if !thorough => return known,
            _ => {}
        }
        let verdict = match mapping.open(&self.procfs, tgid) {
            Ok(file) => self.of_file(file, now),
            Err(error) => return self.inaccessible(tgid, mapping, &error),
        };
        if self.verdicts.len() >= VERDICTS {
            self.verdicts.clear();
        }
        self.verdicts.insert(key, verdict);
        verdict
    }

    fn key(&self, tgid: u32, mapping: &Mapping, main: &Path) -> Key {
        let mut path = DefaultHasher::new();
        mapping.path.hash(&mut path);
        if mapping.path == main
            && let Ok(metadata) = fs::metadata(self.process(tgid).join("exe"))
        {
            Stamp::of(&metadata).hash(&mut path);
        }
        Key {
            file: mapping.file,
            path: path.finish(),
        }
    }

    /// A file that can't be opened is looked for again with the next look; it counts only where its
    /// name tells that something is missed.
    fn inaccessible(&self, tgid: u32, mapping: &Mapping, error: &io::Error) -> Verdict {
        let name = name::by_mappings(std::slice::from_ref(mapping));
        let gone = error.kind() == io::ErrorKind::NotFound && !self.process(tgid).exists();
        if name.is_some() && !gone {
            let path = mapping.path.display();
            tracing::debug!(tgid, %path, %error, "a TLS library can't be opened");
            self.stats.refused(Refusal::Inaccessible);
        }
        Verdict::Nothing(name)
    }

    fn of_file(&mut self, file: fs::File, now: Instant) -> Verdict {
        match Identity::of(&file) {
            Ok(identity) if self.files.contains(identity) => Verdict::Watched(identity),
            Ok(identity) => {
                let keep = self.host.keep(&file);
                self.examine(identity, file, keep, now)
            }
            Err(_) => Verdict::Nothing(None),
        }
    }

    /// Looks into a file, and watches it when it has a TLS library.
    fn examine(&mut self, identity: Identity, file: fs::File, keep: Keep, now: Instant) -> Verdict {
        self.stats.inspected();
        let inspection = match inspect(&file) {
            Ok(inspection) => inspection,
            Err(error) => {
                tracing::debug!(%error, "a mapped file");
                return Verdict::Nothing(None);
            }
        };
        for (library, refusal) in &inspection.refused {
            let (library, reason) = (library.reason(), refusal.reason());
            tracing::debug!(library, reason, "a TLS library is not watched");
            self.stats.refused(*refusal);
        }
        let first = inspection.plans.first().map(|plan| plan.library);
        if first.is_none() {
            let refused = inspection.refused.first();
            return Verdict::Nothing(refused.map(|(library, _)| library.reason()));
        }
        match self
            .files
            .watch(identity, file, inspection.plans, keep, now)
        {
            Ok(()) => Verdict::Watched(identity),
            Err(refusal) => {
                self.stats.refused(refusal);
                Verdict::Nothing(first.map(super::Library::reason))
            }
        }
    }

    /// Lets go of everything.
    pub(super) fn stop(&mut self) {
        self.files.clear();
    }
}

#[cfg(test)]
mod tests;
