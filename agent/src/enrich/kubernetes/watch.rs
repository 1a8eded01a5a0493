//! Lists the pods of this node, then watches them, for as long as the agent runs
//! (Kubernetes API concepts, "Efficient detection of changes").
//!
//! A watch goes on from the version that was seen last, over lost connections and outages, so
//! nothing is listed twice; only when that version is too old for the server (410) everything is
//! listed again. A version counts as seen once what came with it has been handed over.
//!
//! kube's own watcher isn't used: it doesn't tell when a watch has begun, and begins the next one
//! at once where a server ends each as soon as it is asked.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, VersionMatch, WatchEvent, WatchParams},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{
    Settings, Update,
    client::client,
    failure::{Failure, Trouble},
    jobs::CronJobs,
    object::PodObject,
    pod::Pod,
    pods::CAPACITY,
    retry::{Backoff, Outage},
    stats::{Stats, Told},
};

/// Pods in one page of a list.
const PAGE: u32 = 100;
/// Most pages of one list.
const PAGES: usize = 100;
/// Failures in a row after which the client is made anew, with what its files say by then.
const RENEW_CLIENT: u32 = 5;
/// A watch that ends earlier, without an event, has failed.
const SHORT: Duration = Duration::from_secs(1);

/// The watch on the pods of a node.
pub(super) struct Watch {
    settings: Settings,
    updates: mpsc::Sender<Update>,
    stats: Arc<Stats>,
    cron_jobs: CronJobs,
    backoff: Backoff,
    outage: Outage,
    seen: Seen,
}

/// How far the list has been read.
enum Seen {
    /// Not at all. Any state that the server has at hand will do.
    Nothing,
    /// Up to a version that the server has forgotten: the newest state is needed.
    Forgotten,
    /// Up to this version.
    Version(String),
}

/// Why a list or a watch ended before its time.
enum End {
    /// To be tried again.
    Failed(Trouble),
    /// Nobody takes updates any more.
    Stopped,
}

impl<T: Into<Trouble>> From<T> for End {
    fn from(trouble: T) -> Self {
        Self::Failed(trouble.into())
    }
}

impl Watch {
    pub(super) fn new(
        settings: Settings,
        updates: mpsc::Sender<Update>,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            backoff: Backoff::new(settings.pace),
            settings,
            updates,
            stats,
            cron_jobs: CronJobs::default(),
            outage: Outage::default(),
            seen: Seen::Nothing,
        }
    }

    /// Runs until nobody takes updates any more.
    pub(super) async fn run(mut self) {
        loop {
            let ended = match client(&self.settings.access).await {
                Ok(client) => self.follow(&client).await,
                Err(trouble) => {
                    self.failed(&trouble).await;
                    false
                }
            };
            if ended {
                return;
            }
        }
    }

    /// Lists and watches with one client; `false` when another one is needed.
    async fn follow(&mut self, client: &Client) -> bool {
        let mut failures = 0;
        loop {
            let result = match &self.seen {
                Seen::Version(version) => {
                    let version = version.clone();
                    self.watch(client, &version).await
                }
                Seen::Nothing | Seen::Forgotten => self.list(client).await,
            };
            let trouble = match result {
                Ok(()) => {
                    failures = 0;
                    continue;
                }
                Err(End::Stopped) => return true,
                Err(End::Failed(trouble)) => trouble,
            };
            if trouble.failure == Failure::Expired {
                self.seen = Seen::Forgotten;
            }
            failures += 1;
            self.failed(&trouble).await;
            if trouble.failure == Failure::Unauthorized || failures >= RENEW_CLIENT {
                return false;
            }
        }
    }

    async fn failed(&mut self, trouble: &Trouble) {
        self.stats.failed(trouble.failure);
        self.outage.failed(trouble);
        sleep(self.backoff.pause(trouble.pause)).await;
    }

    fn selector(&self) -> String {
        // What has come to its end has no processes; a pod that does so is told as deleted.
        format!(
            "spec.nodeName={},status.phase!=Succeeded,status.phase!=Failed",
            self.settings.node
        )
    }

    async fn list(&mut self, client: &Client) -> Result<(), End> {
        let api = Api::<PodObject>::all(client.clone());
        let params = ListParams::default().fields(&self.selector());
        let mut params = match self.seen {
            // Out of the server's cache, which knows pods by node; it has no pages there.
            Seen::Nothing => params.at("0").matching(VersionMatch::NotOlderThan),
            Seen::Forgotten | Seen::Version(_) => params.limit(PAGE),
        };
        let mut pods = Vec::new();
        for _ in 0..PAGES {
            let page = self.answer(api.list(&params)).await?;
            for object in &page.items {
                if let Some(pod) = Pod::of(object)
                    && pods.len() <= CAPACITY
                {
                    pods.push(self.complete(client, pod).await?);
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return self.listed(page.metadata.resource_version, pods).await,
            }
        }
        Err(Trouble::said(Failure::Malformed, "a list without an end").into())
    }

    async fn listed(&mut self, version: Option<String>, pods: Vec<Arc<Pod>>) -> Result<(), End> {
        let version = version.filter(|version| !version.is_empty());
        let Some(version) = version else {
            return Err(Trouble::said(Failure::Malformed, "a list without a version").into());
        };
        self.stats.told(Told::Listed);
        self.hand_over(Update::Listed(pods)).await?;
        self.seen = Seen::Version(version);
        Ok(())
    }

    async fn watch(&mut self, client: &Client, version: &str) -> Result<(), End> {
        let api = Api::<PodObject>::all(client.clone());
        // Ended by the server, not by all agents' watches at the same time.
        let seconds = rand::random_range(200..=280);
        let params = WatchParams::default()
            .fields(&self.selector())
            .timeout(seconds);
        let events = self.answer(api.watch(&params, version)).await?;
        let mut events = std::pin::pin!(events);
        self.stats.watching();
        self.outage.ended();
        let begun = Instant::now();
        let patience = Duration::from_secs(seconds.into()) + self.settings.patience;
        loop {
            match timeout(patience, events.next()).await {
                Err(_) => return Err(Trouble::said(Failure::Timeout, "a silent watch").into()),
                Ok(None) if begun.elapsed() < SHORT => {
                    let text = "a watch that ended as it began";
                    return Err(Trouble::said(Failure::Disconnected, text).into());
                }
                Ok(None) => {
                    self.backoff.reset();
                    return Ok(());
                }
                Ok(Some(event)) => self.event(client, event?).await?,
            }
            self.backoff.reset();
        }
    }

    async fn event(&mut self, client: &Client, event: WatchEvent<PodObject>) -> Result<(), End> {
        let version = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                match Pod::of(&object) {
                    Some(pod) => {
                        let pod = self.complete(client, pod).await?;
                        self.stats.told(Told::Applied);
                        self.hand_over(Update::Applied(pod)).await?;
                    }
                    None => self.deleted(&object).await?,
                }
                object.resource_version()
            }
            WatchEvent::Deleted(object) => {
                self.deleted(&object).await?;
                object.resource_version()
            }
            WatchEvent::Bookmark(bookmark) => {
                self.stats.told(Told::Bookmark);
                Some(bookmark.metadata.resource_version)
            }
            WatchEvent::Error(status) => return Err(Trouble::of_status(&status).into()),
        };
        if let Some(version) = version.filter(|version| !version.is_empty()) {
            self.seen = Seen::Version(version);
        }
        Ok(())
    }

    async fn deleted(&mut self, object: &PodObject) -> Result<(), End> {
        self.stats.told(Told::Deleted);
        match object.uid() {
            Some(uid) => self.hand_over(Update::Deleted(uid.into())).await,
            None => Ok(()),
        }
    }

    async fn complete(&mut self, client: &Client, mut pod: Pod) -> Result<Arc<Pod>, Trouble> {
        self.cron_jobs.complete(client, &mut pod).await?;
        Ok(Arc::new(pod))
    }

    /// What is asked for, if it comes in time.
    async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Trouble> {
        match timeout(self.settings.patience, asked).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Trouble::said(Failure::Timeout, "no answer in time")),
        }
    }

    /// Waits while the observer has much to take in; nothing is given up.
    async fn hand_over(&self, update: Update) -> Result<(), End> {
        let sent = self.updates.send(update).await;
        sent.map_err(|_| End::Stopped)
    }
}
