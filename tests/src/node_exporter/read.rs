//! One moment as both tell it: a scrape of theirs, one of ours, and another of theirs.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    agent::{Agent, PATIENCE},
    exposition::Metrics,
    http,
    lab::{Lab, free_address},
    process::Process,
};

/// Between two looks at our page.
const PAUSE: Duration = Duration::from_millis(5);

/// A running `node_exporter` with its default collectors; killed when dropped.
#[derive(Debug)]
pub struct NodeExporter {
    address: SocketAddr,
    _process: Process,
}

impl NodeExporter {
    /// Starts Debian's on a free port.
    pub fn start(lab: &Lab) -> Result<Self> {
        let address = free_address()?;
        let mut command = lab.command("prometheus-node-exporter");
        command.arg(format!("--web.listen-address={address}"));
        Ok(Self {
            address,
            _process: lab.serve(&mut command, address)?,
        })
    }

    /// Scrapes it.
    pub fn metrics(&self) -> Result<Metrics> {
        let response = http::get(self.address, "/metrics", "")?;
        ensure!(response.status == 200, "{}", response.head);
        Metrics::parse(&response.body)
    }
}

/// A scrape of theirs; they read while they are asked.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) began: f64,
    pub(super) ended: f64,
    pub(super) metrics: Metrics,
}

impl Scrape {
    fn take(exporter: &NodeExporter) -> Result<Self> {
        let began = unix_time()?;
        let metrics = exporter.metrics()?;
        Ok(Self {
            began,
            ended: unix_time()?,
            metrics,
        })
    }
}

/// What both tell of one moment: what sonde has read lies between two readings of theirs.
#[derive(Debug)]
pub struct Moment {
    pub(super) before: Scrape,
    pub(super) ours: Metrics,
    pub(super) after: Scrape,
}

impl Moment {
    /// Scrapes them, waits for a snapshot that was begun after that, and scrapes them again.
    pub fn read(exporter: &NodeExporter, agent: &Agent) -> Result<Self> {
        let before = Scrape::take(exporter)?;
        let deadline = Instant::now() + PATIENCE;
        let ours = loop {
            let ours = agent.metrics()?;
            if begun(&ours)? > before.ended {
                break ours;
            }
            ensure!(Instant::now() < deadline, "no snapshot within {PATIENCE:?}");
            thread::sleep(PAUSE);
        };
        Ok(Self {
            before,
            ours,
            after: Scrape::take(exporter)?,
        })
    }

    /// When sonde had read a resource, as a part of the time from their first reading to their
    /// second.
    pub(super) fn part(&self, resource: &str) -> Option<f64> {
        let theirs = |scrape: &Scrape| f64::midpoint(scrape.began, scrape.ended);
        let (before, after) = (theirs(&self.before), theirs(&self.after));
        let (began, ended) = window(&self.ours, resource)?;
        let ours = f64::midpoint(began, ended);
        Some(((ours - before) / (after - before)).clamp(0.0, 1.0))
    }

    /// Seconds from the begin of their first scrape to the end of their second.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.after.ended - self.before.began
    }
}

const RESOURCE: &str = "resource";
const LAST_READ: &str = "sonde_resource_last_read_timestamp_seconds";

/// From when to when sonde read a resource.
fn window(ours: &Metrics, resource: &str) -> Option<(f64, f64)> {
    let labels = [(RESOURCE, resource)];
    let ended = ours.sum(LAST_READ, &labels)?;
    let duration = ours.sum("sonde_resource_duration_seconds", &labels)?;
    Some((ended - duration, ended))
}

/// When sonde began to read for this snapshot.
fn begun(ours: &Metrics) -> Result<f64> {
    ours.of(LAST_READ, &[])
        .filter_map(|sample| window(ours, sample.labels.get(RESOURCE)?))
        .map(|(began, _)| began)
        .min_by(f64::total_cmp)
        .with_context(|| format!("{LAST_READ} is missing"))
}

fn unix_time() -> Result<f64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(now.as_secs_f64())
}
