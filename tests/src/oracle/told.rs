//! What the agent tells: spans over OTLP, taken down as they come.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use crate::{
    otlp::Receiver,
    span::{Seen, Side, seen},
};

/// How often spans are taken down.
const OFTEN: Duration = Duration::from_millis(100);
/// Nothing more comes when nothing has come for so long.
const QUIET: Duration = Duration::from_secs(2);
/// Time in which everything must have come.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whose spans are wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The server's `service.name`.
    pub(super) service: String,
    /// Its port, by which its clients' spans are known.
    pub(super) port: u16,
}

/// Takes down spans until it is asked for them.
#[derive(Debug)]
pub(super) struct Listener {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Seen>>,
}

impl Listener {
    pub(super) fn start(receiver: Arc<Receiver>, wanted: Wanted) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&over);
        let thread = thread::spawn(move || listen(&receiver, &wanted, &asked));
        Self { over, thread }
    }

    /// All that has come, once nothing more does.
    pub(super) fn finish(self) -> Result<Vec<Seen>> {
        self.over.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the thread that listens has failed"))
    }
}

fn listen(receiver: &Receiver, wanted: &Wanted, over: &AtomicBool) -> Vec<Seen> {
    let (mut taken, mut last, mut asked) = (Vec::new(), Instant::now(), None);
    loop {
        let come = {
            let mut all = receiver.received();
            all.logs.clear();
            all.metrics.clear();
            mem::take(&mut all.traces)
        };
        if !come.is_empty() {
            last = Instant::now();
        }
        for spans in come {
            take(&spans, wanted, &mut taken);
        }
        if over.load(Ordering::Relaxed) {
            let since: Instant = *asked.get_or_insert_with(Instant::now);
            let quiet = last.max(since).elapsed() > QUIET;
            if quiet || since.elapsed() > PATIENCE {
                return taken;
            }
        }
        thread::sleep(OFTEN);
    }
}

fn take(spans: &ResourceSpans, wanted: &Wanted, taken: &mut Vec<Seen>) {
    taken.extend(seen(spans).filter(|span| match span.side {
        Side::Server => span.service == wanted.service,
        Side::Client => span.port == Some(wanted.port),
    }));
}
