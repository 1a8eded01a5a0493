//! TLS libraries in processes: finding them, and attaching the programs of the family `tls` to them.
//!
//! A thread of its own looks which code each process has mapped, so that neither requests nor
//! snapshots wait for it. A file is looked into once and watched once, however many processes use it;
//! what a process maps is looked at soon after its exec, and again when the kernel side sees one of
//! its connections encrypted by something that isn't watched.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use sonde_common::event::tls::Uncovered;

use crate::{kernel::uprobe::Programs, metric::Collector, reason::reasons};

mod elf;
mod finder;
mod go;
mod host;
mod identity;
mod inspect;
mod maps;
mod name;
mod schedule;
mod site;
pub mod stats;
mod survey;
mod symbol;
mod watched;
mod worker;

pub use self::{
    name::UNKNOWN,
    survey::{Found, survey},
};
use self::{stats::Stats, worker::Worker};

reasons! {
    /// A TLS library that can be watched.
    Library {
        /// OpenSSL 1.1 or 3.x.
        OpenSsl => "openssl",
        /// `BoringSSL`.
        BoringSsl => "boringssl",
        /// `GnuTLS`.
        GnuTls => "gnutls",
        /// Go's crypto/tls.
        Go => "go",
    }
}

reasons! {
    /// Why a file with a TLS library isn't watched.
    Refusal {
        /// The symbol table doesn't tell the length of a function that would be watched.
        NoSize => "no_symbol_size",
        /// A Go program built before 1.17 (on arm64 1.18), whose functions take their arguments on
        /// the stack.
        OldGo => "old_go",
        /// The machine code of a function can't be read to its end.
        Undecodable => "undecodable",
        /// The file's headers or tables contradict themselves.
        Malformed => "malformed",
        /// A process has mapped a TLS library that can't be opened.
        Inaccessible => "inaccessible",
        /// The kernel refused a breakpoint; the log tells why.
        AttachFailed => "attach_failed",
        /// As many files as are watched at most are already.
        TooManyFiles => "too_many_files",
    }
}

/// Messages that wait for the thread, and answers that wait for whoever asked.
const QUEUE: usize = 8_192;
/// For how long the start waits until what runs already is watched.
const FIRST: Duration = Duration::from_secs(3);
/// For how long the end waits until no CPU is in a breakpoint any more.
const LAST: Duration = Duration::from_secs(2);

/// A connection with the library that encrypts it, as far as can be told: one that is watched
/// ([`Library::reason`], the connection being older than that), one that can't be (`rustls`, `jsse`,
/// `nss`, `openssl_stripped`, ...), or [`UNKNOWN`].
pub type Named = (Uncovered, &'static str);

#[derive(Clone, Copy, Debug)]
enum Message {
    Exec(u32),
    Exit(u32),
    Uncovered(Uncovered),
    Stop,
}

/// What the thread needs.
#[derive(Debug)]
pub struct Settings {
    /// The host's procfs.
    pub procfs: PathBuf,
    /// The host's root.
    pub rootfs: PathBuf,
    /// The agent, as the host's procfs has it.
    pub own: u32,
    /// The loaded programs.
    pub programs: Programs,
}

/// The thread's other end.
#[derive(Debug)]
pub struct Tls {
    messages: SyncSender<Message>,
    answers: Receiver<Named>,
    /// A message was given up: what runs is to be read from `/proc`.
    missed: Arc<AtomicBool>,
    stats: Arc<Stats>,
    ended: Receiver<()>,
}

impl Tls {
    /// Starts the thread, which first calls `prepare`, and waits until what runs already is watched:
    /// 3 seconds at most.
    pub fn start(settings: Settings, prepare: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (messages, incoming) = sync_channel(QUEUE);
        let (outgoing, answers) = sync_channel(QUEUE);
        let (ready, first) = sync_channel(1);
        let (end, ended) = sync_channel(1);
        let (missed, stats) = (Arc::default(), Arc::default());
        let mut worker = Worker::new(settings, Arc::clone(&stats), Arc::clone(&missed), outgoing);
        thread::Builder::new()
            .name("tls".to_owned())
            .spawn(move || {
                prepare();
                worker.begin();
                // Fails when the start has waited for long enough, and the end likewise.
                let _ = ready.send(());
                worker.run(&incoming);
                let _ = end.send(());
            })?;
        if first.recv_timeout(FIRST).is_err() {
            tracing::warn!("still looking for TLS libraries; what uses them is seen from then on");
        }
        Ok(Self {
            messages,
            answers,
            missed,
            stats,
            ended,
        })
    }

    /// A process has a new program.
    pub fn exec(&self, tgid: u32) {
        self.send(Message::Exec(tgid));
    }

    /// A process has ended.
    pub fn exit(&self, tgid: u32) {
        self.send(Message::Exit(tgid));
    }

    /// Asks which library encrypts a connection that can't be seen into, and whether its process
    /// has one by now that can be. Whether there will be an answer: not when too much is asked for.
    #[must_use]
    pub fn suspect(&self, uncovered: &Uncovered) -> bool {
        self.send(Message::Uncovered(*uncovered))
    }

    /// Answers that have come.
    pub fn named(&self) -> impl Iterator<Item = Named> + '_ {
        self.answers.try_iter()
    }

    /// Never waits; whether the message was taken.
    fn send(&self, message: Message) -> bool {
        match self.messages.try_send(message) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.missed.store(true, Relaxed);
                false
            }
        }
    }

    /// Adds what is watched, and what isn't.
    pub fn collect(&self, collector: &mut Collector) {
        self.stats.collect(collector);
    }

    /// Takes all breakpoints out: 2 seconds at most, beyond which the end of the process does that.
    pub fn stop(&self) {
        let stop = self.messages.send(Message::Stop);
        if stop.is_ok() && self.ended.recv_timeout(LAST).is_err() {
            tracing::debug!("breakpoints are left to the end of the process");
        }
    }
}
