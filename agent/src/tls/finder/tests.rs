//! Tests on a procfs of their own, with libraries of this host; nothing is attached.

use std::{cell::RefCell, fs::File, io, os::unix::fs::symlink, path::Path, rc::Rc};

use tempfile::TempDir;

use super::{super::inspect::Plan, *};

/// Counts what would be set and taken out.
#[derive(Clone, Default)]
struct Recorder(Rc<RefCell<(usize, usize)>>);

impl Attach for Recorder {
    type Link = ();

    fn attach(&mut self, _: &File, _: &Plan) -> io::Result<Vec<()>> {
        self.0.borrow_mut().0 += 1;
        Ok(vec![()])
    }

    fn detach(&self, links: Vec<()>) {
        self.0.borrow_mut().1 += links.len();
    }
}

struct Bench {
    procfs: TempDir,
    files: TempDir,
    recorder: Recorder,
    finder: Finder<Recorder>,
    start: Instant,
}

/// A library of this host.
fn library(name: &str) -> Option<PathBuf> {
    let machine = std::env::consts::ARCH;
    let path = Path::new("/usr/lib")
        .join(format!("{machine}-linux-gnu"))
        .join(name);
    let there = path.exists();
    if !there {
        eprintln!("SKIPPED: no {}", path.display());
    }
    there.then_some(path)
}

impl Bench {
    fn new() -> Self {
        let (procfs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let recorder = Recorder::default();
        // A root without libraries of its own.
        let host = Host::new(procfs.path().into());
        let finder = Finder::new(
            procfs.path().into(),
            host,
            1,
            recorder.clone(),
            Arc::default(),
        );
        Self {
            procfs,
            files,
            recorder,
            finder,
            start: Instant::now(),
        }
    }

    /// A copy of a library.
    fn copy(&self, name: &str) -> Option<PathBuf> {
        let copy = self.files.path().join(name);
        fs::copy(library(name)?, &copy).unwrap();
        Some(copy)
    }

    /// A process that has these files mapped.
    fn process(&self, tgid: u32, mapped: &[&Path]) {
        let directory = self.procfs.path().join(tgid.to_string());
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        symlink("/", directory.join("root")).unwrap();
        symlink("/bin/true", directory.join("exe")).unwrap();
        let lines = mapped.iter().map(|path| {
            let file = maps::mapped(&File::open(path).unwrap()).unwrap();
            let (major, minor) = (
                nix::sys::stat::major(file.device),
                nix::sys::stat::minor(file.device),
            );
            let inode = file.inode;
            let path = path.display();
            format!("1000-2000 r-xp 0 {major:x}:{minor:x} {inode} {path}\n")
        });
        fs::write(directory.join("maps"), lines.collect::<String>()).unwrap();
    }

    fn end(&self, tgid: u32) {
        fs::remove_dir_all(self.procfs.path().join(tgid.to_string())).unwrap();
    }

    /// Attached and detached so far.
    fn counts(&self) -> (usize, usize) {
        *self.recorder.0.borrow()
    }
}

#[test]
fn a_file_is_attached_once_and_detached_with_its_last_user() {
    let mut bench = Bench::new();
    let Some(ssl) = bench.copy("libssl.so.3") else {
        return;
    };
    let start = bench.start;
    for tgid in [10, 11] {
        bench.process(tgid, &[&ssl]);
        bench.finder.look(tgid, start);
    }
    // Looked at once more: still one user each.
    bench.finder.look(10, start);
    assert_eq!(bench.counts(), (1, 0));
    bench.end(10);
    bench.finder.exit(10, start);
    bench.finder.sweep(start);
    assert_eq!(bench.counts(), (1, 0));
    bench.end(11);
    // Its exit was lost: /proc tells.
    assert!(!bench.finder.any_to_end());
    bench.finder.sweep(start);
    // On the file system of the root it is kept for some minutes.
    let later = start + Duration::from_secs(299);
    bench.finder.sweep(later);
    let kept = bench.counts() == (1, 0);
    bench.finder.sweep(start + Duration::from_secs(301));
    assert_eq!(bench.counts(), (1, 1), "kept for a while: {kept}");
}

#[test]
fn children_that_only_fork_keep_a_library_attached() {
    let mut bench = Bench::new();
    let Some(ssl) = bench.copy("libssl.so.3") else {
        return;
    };
    bench.process(10, &[&ssl]);
    bench.finder.look(10, bench.start);
    bench.process(11, &[&ssl]);
    bench.end(10);
    bench.finder.exit(10, bench.start);
    bench.finder.sweep(bench.start + Duration::from_mins(10));
    assert_eq!(bench.counts(), (1, 0));
}

#[test]
fn a_library_that_is_replaced_is_another_file() {
    let mut bench = Bench::new();
    let Some(ssl) = bench.copy("libssl.so.3") else {
        return;
    };
    bench.process(10, &[&ssl]);
    bench.finder.look(10, bench.start);
    let new = bench.files.path().join("new");
    fs::copy(&ssl, &new).unwrap();
    fs::rename(&new, &ssl).unwrap();
    bench.process(11, &[&ssl]);
    bench.finder.look(11, bench.start);
    assert_eq!(bench.counts(), (2, 0));
}

#[test]
fn breakpoints_leave_a_file_that_is_written_to() {
    let mut bench = Bench::new();
    let Some(ssl) = bench.copy("libssl.so.3") else {
        return;
    };
    bench.process(10, &[&ssl]);
    bench.finder.look(10, bench.start);
    bench.finder.sweep(bench.start);
    assert_eq!(bench.counts(), (1, 0));
    let mut bytes = fs::read(&ssl).unwrap();
    bytes.push(0);
    fs::write(&ssl, bytes).unwrap();
    bench.finder.sweep(bench.start);
    assert_eq!(bench.counts(), (1, 1));
}

#[test]
fn a_library_that_is_loaded_later_is_found_when_its_process_is_suspected() {
    let mut bench = Bench::new();
    let Some(ssl) = bench.copy("libssl.so.3") else {
        return;
    };
    bench.process(10, &[]);
    bench.finder.look(10, bench.start);
    assert_eq!(bench.counts(), (0, 0));
    bench.process(10, &[&ssl]);
    assert_eq!(bench.finder.name(10, false, bench.start), "openssl");
    assert_eq!(bench.counts(), (1, 0));
}

#[test]
fn what_cannot_be_watched_is_named_and_remembered() {
    let mut bench = Bench::new();
    let program = bench.files.path().join("program");
    fs::write(
        &program,
        b"\x7fELF...  /registry/src/rustls-0.23.9/src/lib.rs",
    )
    .unwrap();
    bench.process(10, &[&program]);
    let named = |finder: &mut Finder<_>, now| finder.name(10, false, now);
    assert_eq!(named(&mut bench.finder, bench.start), "rustls");
    bench.process(10, &[]);
    assert_eq!(
        named(&mut bench.finder, bench.start),
        "rustls",
        "remembered"
    );
    let later = bench.start + ANSWER;
    assert_eq!(named(&mut bench.finder, later), name::UNKNOWN);
    assert_eq!(bench.finder.name(99, false, later), name::UNKNOWN, "gone");
}

/// Python, which has OpenSSL loaded, with gRPC, which brings `BoringSSL` without symbols.
#[test]
fn beside_a_watched_library_another_one_is_named_unless_the_connection_is_older() {
    let mut bench = Bench::new();
    let Some(ssl) = bench.copy("libssl.so.3") else {
        return;
    };
    let extension = bench.files.path().join("extension.so");
    fs::write(&extension, b"\x7fELF... boringssl/ssl/ssl_lib.cc").unwrap();
    bench.process(10, &[&ssl, &extension]);
    let (start, later) = (bench.start, bench.start + Duration::from_secs(1));
    assert_eq!(bench.finder.name(10, false, start), "openssl", "just found");
    bench.process(11, &[&ssl, &extension]);
    assert_eq!(bench.finder.name(11, false, later), "boringssl_stripped");
    assert_eq!(bench.finder.name(11, true, later), "openssl");
    bench.process(12, &[&ssl]);
    assert_eq!(bench.finder.name(12, false, later), "openssl");
}
