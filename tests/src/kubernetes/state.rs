//! What the server knows, and whom it tells.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
};

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::selector::Selector;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A list of pods.
    List,
    /// A watch on pods.
    Watch,
    /// A Job.
    Job,
}

/// What goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status, with `metav1.Status` as its body; the seconds are what 429 asks to wait.
    Status(u16, u32),
    /// A body that is no JSON.
    Garbage,
    /// No answer.
    Hang,
    /// A watch that ends as soon as it begins.
    EndAtOnce,
    /// A watch that tells of the forgotten version by an event.
    GoneEvent,
}

/// Lines of one watch; an error breaks the connection off.
type Lines = mpsc::UnboundedSender<io::Result<Bytes>>;

#[derive(Debug)]
struct Watch {
    selector: Selector,
    bookmarks: bool,
    lines: Lines,
}

/// An event as it happened: the version it made, the pod before and after.
#[derive(Clone, Debug)]
struct Change {
    version: u64,
    before: Option<Value>,
    after: Option<Value>,
}

/// The state of the server.
#[derive(Debug)]
pub(super) struct State {
    version: u64,
    /// Events of versions up to this one are forgotten.
    forgotten: u64,
    pods: BTreeMap<String, Value>,
    changes: Vec<Change>,
    watches: Vec<Watch>,
    pub(super) jobs: Vec<Value>,
    pub(super) token: String,
    pub(super) faults: VecDeque<(Asked, Fault)>,
    pub(super) requests: Vec<(Asked, String)>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: 1000,
            forgotten: 0,
            pods: BTreeMap::new(),
            changes: Vec::new(),
            watches: Vec::new(),
            jobs: Vec::new(),
            token: String::new(),
            faults: VecDeque::new(),
            requests: Vec::new(),
        }
    }
}

fn uid(pod: &Value) -> String {
    let uid = pod["metadata"]["uid"].as_str();
    uid.expect("a pod has a uid").to_owned()
}

fn set_version(pod: &mut Value, version: u64) {
    pod["metadata"]["resourceVersion"] = json!(version.to_string());
}

impl State {
    pub(super) fn apply(&mut self, mut pod: Value) {
        self.version += 1;
        set_version(&mut pod, self.version);
        let before = self.pods.insert(uid(&pod), pod.clone());
        self.changed(before, Some(pod));
    }

    pub(super) fn delete(&mut self, uid: &str) {
        if let Some(mut pod) = self.pods.remove(uid) {
            self.version += 1;
            set_version(&mut pod, self.version);
            self.changed(Some(pod), None);
        }
    }

    fn changed(&mut self, before: Option<Value>, after: Option<Value>) {
        let change = Change {
            version: self.version,
            before,
            after,
        };
        self.watches.retain(|watch| {
            let line = change.line(&watch.selector);
            line.is_none_or(|line| watch.lines.send(Ok(line)).is_ok())
        });
        self.changes.push(change);
    }

    pub(super) fn bookmark(&mut self) {
        // What happens elsewhere in the cluster moves the version on.
        self.version += 10;
        let line = line(&json!({"type": "BOOKMARK", "object": {
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {"resourceVersion": self.version.to_string(), "creationTimestamp": null},
            "spec": {"containers": null}, "status": {}
        }}));
        for watch in self.watches.iter().filter(|watch| watch.bookmarks) {
            let _ = watch.lines.send(Ok(line.clone()));
        }
    }

    pub(super) fn forget(&mut self) {
        self.forgotten = self.version;
        self.changes.clear();
    }

    pub(super) fn cut_watches(&mut self) {
        for watch in self.watches.drain(..) {
            let half = Bytes::from_static(b"{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"Po");
            let _ = watch.lines.send(Ok(half));
            let _ = watch.lines.send(Err(io::Error::other("cut")));
        }
    }

    pub(super) fn end_watches(&mut self) {
        self.watches.clear();
    }

    /// The next fault that is meant for this request.
    pub(super) fn fault(&mut self, asked: Asked) -> Option<Fault> {
        let place = self.faults.iter().position(|(about, _)| *about == asked)?;
        self.faults.remove(place).map(|(_, fault)| fault)
    }

    /// Whether a watch can go on from `version`, or a list that began then be continued.
    pub(super) fn remembers(&self, version: u64) -> bool {
        version >= self.forgotten
    }

    /// Begins a watch: what has happened since `version` is told at once.
    pub(super) fn watch(
        &mut self,
        selector: Selector,
        bookmarks: bool,
        version: u64,
        lines: Lines,
    ) {
        let missed = self
            .changes
            .iter()
            .filter(|change| change.version > version);
        for line in missed.filter_map(|change| change.line(&selector)) {
            let _ = lines.send(Ok(line));
        }
        self.watches.push(Watch {
            selector,
            bookmarks,
            lines,
        });
    }

    /// One page of a list, by the number of its first pod.
    pub(super) fn page(&self, selector: &Selector, first: usize, limit: usize) -> Value {
        let selected = self.pods.values().filter(|pod| selector.selects(pod));
        let all: Vec<&Value> = selected.collect();
        let end = first.saturating_add(limit).min(all.len());
        let items: Vec<Value> = all
            .get(first..end)
            .unwrap_or_default()
            .iter()
            .copied()
            .map(item)
            .collect();
        let version = self.version.to_string();
        let mut metadata = json!({"resourceVersion": version});
        if end < all.len() {
            metadata["continue"] = json!(format!("{version}.{end}"));
            metadata["remainingItemCount"] = json!(all.len() - end);
        }
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items})
    }
}

/// An object within a list goes without its type.
fn item(pod: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(object) = pod.as_object_mut() {
        object.remove("kind");
        object.remove("apiVersion");
    }
    pod
}

impl Change {
    /// What it is to a watch: a pod may begin or cease to be selected.
    fn line(&self, selector: &Selector) -> Option<Bytes> {
        let selects = |pod: &Option<Value>| pod.as_ref().is_some_and(|pod| selector.selects(pod));
        let (kind, pod) = match (selects(&self.before), selects(&self.after)) {
            (false, true) => ("ADDED", self.after.clone()),
            (true, true) => ("MODIFIED", self.after.clone()),
            (true, false) => ("DELETED", self.before.clone()),
            (false, false) => return None,
        };
        let mut pod = pod?;
        set_version(&mut pod, self.version);
        Some(line(&json!({"type": kind, "object": pod})))
    }
}

pub(super) fn line(event: &Value) -> Bytes {
    format!("{event}\n").into()
}
