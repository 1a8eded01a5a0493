//! Files that are watched: each once, for as long as somebody uses it.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::fd::AsFd as _,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Library, Refusal,
    identity::{Identity, Stamp},
    inspect::Plan,
    stats::Stats,
};
use crate::{
    clock::Clock,
    kernel::uprobe::{self, Link, Programs},
};

/// Most files that are watched at one time: each takes some 10 descriptors.
pub(super) const FILES: usize = 256;

/// How long a file of the host's own stays watched without a user: commands come and go.
const UNUSED: Duration = Duration::from_mins(5);

/// Sets breakpoints.
pub(super) trait Attach {
    /// A breakpoint that is set.
    type Link;

    /// Sets all breakpoints of a plan, or none.
    fn attach(&mut self, file: &File, plan: &Plan) -> io::Result<Vec<Self::Link>>;

    /// Takes breakpoints out.
    fn detach(&self, links: Vec<Self::Link>);
}

impl Attach for Programs {
    type Link = Link;

    fn attach(&mut self, file: &File, plan: &Plan) -> io::Result<Vec<Link>> {
        let mut links = Vec::new();
        for (program, moment, offsets) in plan.by_program() {
            let fd = self.descriptors.get(program);
            let fd = fd.ok_or(io::ErrorKind::NotFound)?.as_fd();
            links.extend(self.way.attach(fd, file, &offsets, moment)?);
        }
        let told = Clock::monotonic_now().map(|now| self.set_attached(now));
        if !matches!(told, Ok(Ok(()))) {
            tracing::debug!("the programs aren't told of a file that was attached");
        }
        Ok(links)
    }

    fn detach(&self, links: Vec<Link>) {
        uprobe::detach(links);
    }
}

/// How long a file stays watched that nobody uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// As long as the agent runs: a library of the host's own, so that the first command that uses
    /// it is seen from its beginning.
    Always,
    /// For some minutes: on the host's own file system.
    AWhile,
    /// Not at all: a breakpoint keeps the file's mount busy, and a container's is to go with it.
    WhileUsed,
}

#[derive(Debug)]
struct Watched<L> {
    /// Held open to see that nobody writes to it.
    file: File,
    stamp: Stamp,
    plans: Vec<Plan>,
    links: Vec<L>,
    users: usize,
    keep: Keep,
    /// Since when it is watched.
    since: Instant,
    /// Since when nobody uses it.
    unused: Instant,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Files<A: Attach> {
    attach: A,
    by_identity: HashMap<Identity, Watched<A::Link>>,
    stats: Arc<Stats>,
}

impl<A: Attach> Files<A> {
    pub(super) fn new(attach: A, stats: Arc<Stats>) -> Self {
        Self {
            attach,
            by_identity: HashMap::new(),
            stats,
        }
    }

    /// Whether the file is watched.
    pub(super) fn contains(&self, identity: Identity) -> bool {
        self.by_identity.contains_key(&identity)
    }

    /// A library in the file, and since when it is watched.
    pub(super) fn library(&self, identity: Identity) -> Option<(Library, Instant)> {
        let watched = self.by_identity.get(&identity)?;
        let plan = watched.plans.first()?;
        Some((plan.library, watched.since))
    }

    /// Watches a file that isn't yet.
    pub(super) fn watch(
        &mut self,
        identity: Identity,
        file: File,
        plans: Vec<Plan>,
        keep: Keep,
        now: Instant,
    ) -> Result<(), Refusal> {
        if self.by_identity.len() >= FILES {
            return Err(Refusal::TooManyFiles);
        }
        let metadata = file.metadata().map_err(|_| Refusal::Inaccessible)?;
        let mut links = Vec::new();
        for plan in &plans {
            match self.attach.attach(&file, plan) {
                Ok(set) => links.extend(set),
                Err(error) => {
                    let library = plan.library.reason();
                    tracing::warn!(library, %error, "a TLS library is not watched");
                    self.attach.detach(links);
                    return Err(Refusal::AttachFailed);
                }
            }
        }
        let watched = Watched {
            stamp: Stamp::of(&metadata),
            file,
            plans,
            links,
            users: 0,
            keep,
            since: now,
            unused: now,
        };
        self.by_identity.insert(identity, watched);
        self.tell();
        Ok(())
    }

    /// One more process uses the file.
    pub(super) fn acquire(&mut self, identity: Identity) {
        if let Some(watched) = self.by_identity.get_mut(&identity) {
            watched.users += 1;
        }
    }

    /// One process less does.
    pub(super) fn release(&mut self, identity: Identity, now: Instant) {
        if let Some(watched) = self.by_identity.get_mut(&identity) {
            watched.users = watched.users.saturating_sub(1);
            watched.unused = now;
        }
    }

    /// Whether [`Self::expire`] would end something at once.
    pub(super) fn any_to_end(&self) -> bool {
        let ends = |watched: &Watched<_>| watched.users == 0 && watched.keep == Keep::WhileUsed;
        self.by_identity.values().any(ends)
    }

    /// Ends what nobody has used for its time, and what has been written to: its breakpoints would
    /// be at places that mean something else by now.
    pub(super) fn expire(&mut self, now: Instant) {
        let ended: Vec<_> = self
            .by_identity
            .iter()
            .filter(|(_, watched)| watched.has_ended(now))
            .map(|(identity, _)| *identity)
            .collect();
        let mut links = Vec::new();
        for identity in ended {
            if let Some(watched) = self.by_identity.remove(&identity) {
                links.extend(watched.links);
            }
        }
        if !links.is_empty() {
            self.attach.detach(links);
            self.tell();
        }
    }

    /// Ends all.
    pub(super) fn clear(&mut self) {
        let files = std::mem::take(&mut self.by_identity);
        let links = files.into_values().flat_map(|watched| watched.links);
        self.attach.detach(links.collect());
    }

    fn tell(&self) {
        let plans = || self.by_identity.values().flat_map(|watched| &watched.plans);
        for library in Library::ALL {
            let count = plans().filter(|plan| plan.library == *library).count();
            self.stats.set_files(*library, count);
        }
        for emulated in [false, true] {
            let breakpoints = plans().flat_map(|plan| &plan.breakpoints);
            let count = breakpoints.filter(|it| it.emulated == emulated).count();
            self.stats.set_breakpoints(emulated, count);
        }
    }
}

impl<L> Watched<L> {
    fn has_ended(&self, now: Instant) -> bool {
        let changed = || {
            let metadata = self.file.metadata();
            metadata.is_ok_and(|metadata| Stamp::of(&metadata) != self.stamp)
        };
        let unused = self.users == 0
            && match self.keep {
                Keep::Always => false,
                Keep::AWhile => now.saturating_duration_since(self.unused) >= UNUSED,
                Keep::WhileUsed => true,
            };
        unused || changed()
    }
}
