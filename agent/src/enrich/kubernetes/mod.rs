//! Which pods run on this node, as the Kubernetes API tells it.
//!
//! A thread of its own lists and watches them; what it learns is handed over through a bounded
//! channel, which the observer reads without waiting. Whether the API answers or not changes
//! nothing else: a service is described by what the host tells until more is known.
//!
//! What is needed of an object is kept, the rest is passed over as it is parsed: no environment,
//! no volumes, and of annotations only those of OpenTelemetry and a static pod's uid.

mod annotation;
mod client;
mod failure;
mod jobs;
mod object;
mod owner;
pub(in crate::enrich) mod pod;
mod pods;
mod reference;
mod retry;
pub mod stats;
mod watch;

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{
    mpsc::{self, error::TryRecvError},
    oneshot,
};

pub use self::{client::Access, failure::Failure, pod::Pod, retry::Pace};
pub(in crate::enrich) use self::{pod::Membership, pods::Pods};
use self::{stats::Stats, watch::Watch};
use crate::metric::Collector;

/// Updates that wait for the observer at most; then the watch waits, too.
const WAITING: usize = 256;

/// How pods are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of this node, as in `spec.nodeName` of its pods.
    pub node: String,
    /// Who is asked.
    pub access: Access,
    /// How soon again after a failure.
    pub pace: Pace,
    /// Time for an answer, and for a sign of life once a watch should have ended.
    pub patience: Duration,
}

impl Settings {
    /// Time for an answer where nothing else is said.
    pub const PATIENCE: Duration = Duration::from_secs(30);
}

/// Something that the API has told.
#[derive(Clone, Debug)]
pub enum Update {
    /// All pods that there are.
    Listed(Vec<Arc<Pod>>),
    /// A pod that is new or has changed.
    Applied(Arc<Pod>),
    /// The pod with this uid is gone.
    Deleted(Arc<str>),
}

/// The running watch. Dropping it ends its thread.
#[derive(Debug)]
pub struct Kubernetes {
    updates: mpsc::Receiver<Update>,
    stats: Arc<Stats>,
    _stop: oneshot::Sender<()>,
}

impl Kubernetes {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread or no runtime.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let (sender, updates) = mpsc::channel(WAITING);
        let (stop, stopped) = oneshot::channel::<()>();
        let stats = Arc::<Stats>::default();
        let watch = Watch::new(settings, sender, Arc::clone(&stats));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("kubernetes".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = watch.run() => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            updates,
            stats,
            _stop: stop,
        })
    }

    /// What has come since the last time; never waits.
    pub fn updates(&mut self) -> impl Iterator<Item = Update> {
        std::iter::from_fn(|| self.updates.try_recv().ok())
    }

    /// The first list, if it comes before `deadline`: with it, services have their right names from
    /// the start.
    pub fn first_list(&mut self, deadline: Instant) -> Option<Update> {
        loop {
            match self.updates.try_recv() {
                Ok(update) => return Some(update),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) if Instant::now() >= deadline => return None,
                Err(TryRecvError::Empty) => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Adds what is told of the watch itself.
    pub fn collect(&self, collector: &mut Collector) {
        self.stats.collect(collector);
    }
}
