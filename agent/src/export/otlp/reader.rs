//! Builds metrics from the newest snapshot, once per interval.

use std::{sync::Arc, time::Duration};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{
    Stop,
    convert::metric::MetricBuilder,
    message::{MAX_MESSAGE_BYTES, Message, assemble},
    queue::Queue,
    stats::{Reason, SignalStats},
};
use crate::metric::Snapshot;

/// From snapshots to messages in the queue.
pub(super) struct Reader {
    pub(super) snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    pub(super) builder: MetricBuilder,
    pub(super) queue: Arc<Queue<Message>>,
    pub(super) stats: Arc<SignalStats>,
    pub(super) interval: Duration,
    pub(super) stop: Stop,
}

impl Reader {
    /// Runs until the agent stops; the first export follows the first snapshot at once, the last
    /// one is of what is there when it stops.
    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = stop.wait_for(Option::is_some) => {}
            () = self.export_each_interval() => {}
        }
        if self.snapshots.borrow().has_changed() {
            self.export();
        }
        self.queue.close();
    }

    async fn export_each_interval(&mut self) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.snapshots.changed().await.is_err() {
                return;
            }
            self.export();
        }
    }

    /// Builds the newest snapshot.
    fn export(&mut self) {
        let Some(snapshot) = self.snapshots.borrow_and_update().clone() else {
            return;
        };
        let built = self.builder.build(&snapshot);
        self.stats.capture(built.invalid);
        self.stats.give_up(Reason::Invalid, built.invalid);
        let assembled = assemble::<ExportMetricsServiceRequest>(built.groups, MAX_MESSAGE_BYTES);
        self.stats.capture(assembled.oversized);
        self.stats.give_up(Reason::TooLarge, assembled.oversized);
        for message in assembled.messages {
            let (bytes, items) = (message.bytes.len(), message.items);
            self.queue.push(message, bytes, items);
        }
    }
}
