//! The only module that knows the order of the stages:
//!
//! kernel hook -> ring buffer / map -> decode -> enrich -> aggregate -> snapshot -> export
//!
//! Three threads: the main one runs the exporters (tokio, on this thread alone), `observer` owns
//! everything from the ring to the snapshot, `sampler` reads /proc and /sys and gives the beat:
//! whenever it has read them the observer makes a snapshot.

use std::{
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

mod check;
mod control;
mod counts;
mod disk;
mod drops;
mod hooks;
mod kubernetes;
mod observer;
mod parts;
mod paths;
mod retention;
mod run;
mod sampler;
mod sink;
pub mod snapshot;
mod start;
mod trace;

use self::{control::Control, sink::Sink, start::Started};
use crate::{
    cli,
    config::{Config, Sources},
    export::{
        otlp::{Otlp, config::OtlpConfig},
        web::{Limits, Readiness, Server, Source, WebStats},
    },
    metric::{Collector, Snapshot},
    telemetry::Telemetry,
};

pub use self::{check::check, trace::trace};

/// Time in which everything is drained and flushed after a signal to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The part of it that is left to the web server and the agent's own log.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Runs the agent until a signal; `sources` are for reloads.
pub fn run(config: Config, sources: &Sources) -> anyhow::Result<ExitCode> {
    let telemetry = Telemetry::start(config.log.level.into(), config.log.format)?;
    for (variable, hint) in sources.misspelt_variables() {
        tracing::warn!(variable, "{hint}");
    }
    // Current-thread: what the agent sends and serves is little, and threads that don't exist
    // hold no capabilities.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the runtime")?;
    let result = runtime.block_on(serve(config, sources, telemetry));
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn serve(
    config: Config,
    sources: &Sources,
    mut telemetry: Telemetry,
) -> anyhow::Result<ExitCode> {
    let (snapshots, readiness) = (watch::Sender::new(None), watch::Sender::new(not_ready()));
    let stats = Arc::new(WebStats::default());
    let source = Source {
        snapshot: snapshots.subscribe(),
        readiness: readiness.subscribe(),
        stats: Arc::clone(&stats),
    };
    let addresses: Vec<_> = config
        .web
        .listen_addresses
        .iter()
        .map(|address| address.get())
        .collect();
    let server = Server::bind(&addresses, source, Limits::default()).await?;
    let mut otlp_config =
        OtlpConfig::from_env(&|name| config.otlp.variable(name, |name| std::env::var(name).ok()))?;
    otlp_config.queue_bytes = Some(usize::try_from(config.otlp.queue_size.bytes())?);
    // The kernel side comes before threads and exporters: what it needs can be dropped then.
    let ports: Vec<u16> = server.addresses().map(|address| address.port()).collect();
    let started = Started::begin(&config, &ports)?;
    for address in server.addresses() {
        tracing::info!("metrics stand at http://{address}/metrics");
    }
    telemetry.export(&otlp_config, &tokio::runtime::Handle::current())?;
    let otlp = Arc::new(Otlp::start(
        &otlp_config,
        &tokio::runtime::Handle::current(),
    )?);
    let running = observe(
        started,
        &config,
        sink(&otlp),
        Arc::clone(&otlp),
        stats,
        snapshots,
        &readiness,
    )?;
    let stop = CancellationToken::new();
    let web = tokio::spawn(server.run(stop.clone()));
    until_stopped(config, sources, &telemetry, &running.control).await?;
    readiness.send_replace(Readiness::NotReady("stopping".into()));
    let deadline = Instant::now() + STOP_WITHIN;
    finish(running, otlp, deadline).await;
    stop.cancel();
    let _ = tokio::time::timeout_at(deadline.into(), web).await;
    tracing::info!("stopped");
    telemetry.shutdown(deadline).await;
    Ok(ExitCode::SUCCESS)
}

fn not_ready() -> Readiness {
    Readiness::NotReady("no snapshot yet".into())
}

/// Spans and log records go to OTLP where it takes any.
fn sink(otlp: &Arc<Otlp>) -> Sink {
    use crate::export::otlp::SignalKind::{Logs, Traces};
    if otlp.is_on(Traces) || otlp.is_on(Logs) {
        let otlp = Arc::clone(otlp);
        Sink::To(Box::new(move |signal| otlp.signal(signal)))
    } else {
        Sink::None
    }
}

/// The threads that observe.
struct Running {
    control: control::Sender,
    observer: thread::JoinHandle<()>,
}

/// Starts the observer and the sampler.
fn observe(
    started: Started,
    config: &Config,
    sink: Sink,
    otlp: Arc<Otlp>,
    stats: Arc<WebStats>,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    readiness: &watch::Sender<Readiness>,
) -> anyhow::Result<Running> {
    let (control, commands) = control::channel().context("can't make an eventfd")?;
    let attached = started.is_attached();
    let exported = Arc::clone(&otlp);
    let extra = move |collector: &mut Collector| {
        exported.collect(collector);
        stats.collect(collector);
    };
    let ready = readiness.clone();
    let publish = move |snapshot: Snapshot| {
        let snapshot = Arc::new(snapshot);
        otlp.metrics(Arc::clone(&snapshot));
        snapshots.send_replace(Some(snapshot));
        ready.send_if_modified(|state| {
            let now = if attached {
                Readiness::Ready
            } else {
                Readiness::NotReady("no probe is attached; `sonde check` says why".into())
            };
            let changed = *state != now;
            *state = now;
            changed
        });
    };
    let worker = run::Worker::new(started, config, sink, Box::new(extra), Box::new(publish));
    sampler::spawn(config, worker.host(), worker.census(), control.clone())?;
    let observer = thread::Builder::new()
        .name("observer".to_owned())
        .spawn(move || worker.run(&commands))
        .context("can't start the observer thread")?;
    Ok(Running { control, observer })
}

/// Waits for SIGTERM or SIGINT; reloads on SIGHUP.
async fn until_stopped(
    mut config: Config,
    sources: &Sources,
    telemetry: &Telemetry,
    control: &control::Sender,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => reload(&mut config, sources, telemetry, control),
        }
    }
}

/// A configuration that can't be used leaves the old one as it is.
fn reload(
    config: &mut Config,
    sources: &Sources,
    telemetry: &Telemetry,
    control: &control::Sender,
) {
    match sources.reload(config) {
        Ok(reloaded) => {
            for setting in &reloaded.needs_restart {
                tracing::warn!(setting, "changed, but needs a restart");
            }
            tracing::info!(changed = ?reloaded.changed, "configuration reloaded");
            telemetry.set_level(reloaded.config.log.level.into());
            *config = reloaded.config.clone();
            // Fails only when the observer has ended, and then the agent stops anyway.
            let _ = control.send(Control::Reload(Box::new(reloaded.config)));
        }
        Err(error) => {
            for problem in cli::problems(&error) {
                tracing::error!("configuration not reloaded, the old one stays: {problem}");
            }
        }
    }
}

/// Detaches, drains, makes the last snapshot and sends what waits, within the time that is left.
async fn finish(running: Running, otlp: Arc<Otlp>, deadline: Instant) {
    let _ = running.control.send(Control::Stop);
    let joined = tokio::task::spawn_blocking(move || running.observer.join());
    match tokio::time::timeout_at(deadline.into(), joined).await {
        Ok(Ok(Ok(()))) => {}
        Ok(_) => tracing::error!("the observer thread has failed"),
        Err(_) => tracing::error!("the observer thread doesn't end in time"),
    }
    // The observer held the other references.
    if let Ok(otlp) = Arc::try_unwrap(otlp) {
        otlp.shutdown(deadline.checked_sub(LAST_WORDS).unwrap_or(deadline))
            .await;
    } else {
        tracing::error!("OTLP is not flushed: the observer still uses it");
    }
}

/// Moment at which cumulative values begin.
fn beginning() -> SystemTime {
    SystemTime::now()
}
