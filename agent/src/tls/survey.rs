//! What would be watched: the same search as of a run, with nothing attached.

use std::{
    cell::RefCell,
    fs::{self, File},
    io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use super::{Library, finder::Finder, host::Host, inspect::Plan, watched::Attach};

/// A file with a TLS library that would be watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The library.
    pub library: Library,
    /// The file, as its process or the host has it.
    pub path: PathBuf,
    /// Breakpoints that it would get.
    pub breakpoints: usize,
    /// Those of them whose instructions the kernel steps through.
    pub stepped: usize,
}

/// Writes down instead of attaching.
#[derive(Clone, Default)]
struct List(Rc<RefCell<Vec<Found>>>);

impl Attach for List {
    type Link = ();

    fn attach(&mut self, file: &File, plan: &Plan) -> io::Result<Vec<()>> {
        let stepped = plan.breakpoints.iter().filter(|it| !it.emulated).count();
        self.0.borrow_mut().push(Found {
            library: plan.library,
            path: fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?,
            breakpoints: plan.breakpoints.len(),
            stepped,
        });
        Ok(Vec::new())
    }

    fn detach(&self, _: Vec<()>) {}
}

/// The files that would be watched now: of all processes, and those of the host's own that any
/// program may map.
#[must_use]
pub fn survey(procfs: &Path, rootfs: &Path) -> Vec<Found> {
    let list = List::default();
    let host = Host::new(rootfs.to_owned());
    let own = std::process::id();
    let mut finder = Finder::new(procfs.to_owned(), host, own, list.clone(), Arc::default());
    let now = Instant::now();
    finder.watch_host(now);
    finder.sweep(now);
    let mut found = list.0.take();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_own_libraries_are_among_them() {
        let found = survey(Path::new("/proc"), Path::new("/"));
        for one in &found {
            assert!(one.breakpoints > one.stepped || cfg!(not(target_arch = "x86_64")));
            assert!(one.path.is_absolute());
        }
        let there = Host::new("/".into()).libraries().len();
        assert!(
            there == 0 || !found.is_empty(),
            "{there} libraries, none found"
        );
    }
}
