//! Whether a file that a process has mapped is watched, or why not.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::Path,
    time::Instant,
};

use super::Finder;
use crate::tls::{
    Library, Refusal,
    identity::{Identity, Stamp},
    inspect::inspect,
    maps::{Mapped, Mapping},
    name,
    watched::{Attach, Keep},
};

/// Most files of which is known whether they have TLS; beyond, all are looked into anew.
const VERDICTS: usize = 32_768;

/// A file as a process has it mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    file: Mapped,
    /// Hash of its path, and of its size and time where it is a main program: inode numbers are
    /// given away again.
    path: u64,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is no TLS library in it that can be watched; the library when there is one that can't.
    Nothing(Option<&'static str>),
    /// It is watched.
    Watched(Identity),
}

impl<A: Attach> Finder<A> {
    /// What a mapped file has; from memory unless it is to be `thorough`.
    pub(super) fn verdict(
        &mut self,
        tgid: u32,
        mapping: &Mapping,
        main: &Path,
        thorough: bool,
        now: Instant,
    ) -> Verdict {
        let key = self.key(tgid, mapping, main);
        let known = self.verdicts.get(&key).copied();
        match known {
            Some(Verdict::Watched(identity)) if self.files.contains(identity) => {
                return Verdict::Watched(identity);
            }
            Some(known @ Verdict::Nothing(_)) if !thorough => return known,
            _ => {}
        }
        let verdict = match mapping.open(&self.procfs, tgid) {
            Ok(file) => {
                let first = !matches!(known, Some(Verdict::Nothing(_)));
                self.of_file(file, first, now)
            }
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

    fn of_file(&mut self, file: fs::File, first: bool, now: Instant) -> Verdict {
        match Identity::of(&file) {
            Ok(identity) if self.files.contains(identity) => Verdict::Watched(identity),
            Ok(identity) => {
                let keep = self.host.keep(&file);
                self.examine(identity, file, keep, first, now)
            }
            Err(_) => Verdict::Nothing(None),
        }
    }

    /// Looks into a file, and watches it when it has a TLS library. Why it isn't is counted the
    /// first time.
    pub(super) fn examine(
        &mut self,
        identity: Identity,
        file: fs::File,
        keep: Keep,
        first: bool,
        now: Instant,
    ) -> Verdict {
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
            if first {
                self.stats.refused(*refusal);
            }
        }
        let library = inspection.plans.first().map(|plan| plan.library);
        if library.is_none() {
            let refused = inspection.refused.first();
            return Verdict::Nothing(refused.map(|(library, _)| library.reason()));
        }
        match self
            .files
            .watch(identity, file, inspection.plans, keep, now)
        {
            Ok(()) => Verdict::Watched(identity),
            Err(refusal) => {
                if first {
                    self.stats.refused(refusal);
                }
                Verdict::Nothing(library.map(Library::reason))
            }
        }
    }
}
