//! The oracle: a load generator that knows exactly what it sent, real servers that answer it, and
//! the agent, whose every span is compared with what was sent.
//!
//! Every request has a path of its own, which comes back on its span. So there must be exactly one
//! span for each, with its own method, route, status, `error.type` and sizes, and the counts in
//! `/metrics` follow from them. What is asked for is random ([`planner`]): methods, statuses, sizes
//! and framing of bodies, how a request is cut into writes, how fast an answer is read, pauses,
//! pipelines, how long a connection is used, and where it breaks off.
//!
//! | the client breaks off | told by both ends |
//! |---|---|
//! | within the head, by a reset | nothing: it never was a request |
//! | within the body, by a reset | no status, `connection_reset`, no sizes |
//! | within the body, by a close | no status, `connection_closed`, no sizes |
//! | before the answer, by a reset | no status, `connection_reset`, the request's size |
//! | within the answer, by a reset | its status, `connection_reset`, the request's size |
//!
//! In HTTP/2 it is the stream that is reset, within the body, before or within the answer: `CANCEL`
//! instead of `connection_reset`.
//!
//! The generator's duration of an exchange begins with the first byte that it writes. The kernel stamps
//! what comes back ([`clock`]): a server's span is compared with the time until the last byte came to
//! the generator's socket, a client's with the time until that was read. Of the random load prompt
//! exchanges alone are compared: a slow reader keeps the server waiting, and a pipelined request waits
//! for those before it. A second load ([`alone`]) has one request after the other, on two CPUs that
//! nobody else waits for.

mod alone;
mod case;
mod clock;
mod durations;
mod frames;
mod http1;
mod http2;
mod message;
pub mod plan;
mod planner;
mod report;
mod sent;
mod server;
mod splitting;
mod stream;
mod told;
mod verdict;
mod wire;

use std::{collections::HashMap, net::SocketAddr, sync::Arc, thread, time::Duration};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustls::ClientConfig;

pub use self::{
    case::{Case, Server, Transport, Version},
    durations::Durations,
    report::{Outcome, document, tables},
    verdict::{Verdict, Wrong},
};
use self::{
    planner::Planner,
    sent::Sent,
    server::Running,
    told::{Listener, Wanted},
};
use crate::{
    agent::Agent,
    exposition::{Counts, Metrics},
    lab::Lab,
    otlp::Receiver,
    span::Side,
};

const DURATION: [&str; 2] = [
    "http_server_request_duration_seconds_count",
    "http_client_request_duration_seconds_count",
];
const LABELS: [&str; 4] = [
    "http_request_method",
    "http_route",
    "http_response_status_code",
    "error_type",
];

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests, broken off ones included.
    pub exchanges: u64,
    /// Connections at once.
    pub workers: u64,
    /// Requests one after the other, whose durations are compared.
    pub alone: u64,
}

/// Tries one case: starts the server and the agent, sends, compares.
pub fn run(case: Case, load: Load) -> Result<Outcome> {
    let lab = Lab::open()?;
    let server = server::start(&lab, case)?;
    let receiver = Arc::new(Receiver::start()?);
    let agent = agent(&lab, &receiver)?;
    let wanted = Wanted {
        service: server.service.clone(),
        port: server.address.port(),
    };
    let listener = Listener::start(Arc::clone(&receiver), wanted.clone());
    let mut sent = send(case, load, &server).with_context(|| case.to_string())?;
    sent.extend(alone::send(&lab, case, load, &server).with_context(|| case.to_string())?);
    ensure!(
        sent.len() as u64 == load.exchanges + load.alone,
        "{} sent",
        sent.len()
    );
    // What the other ends still do.
    thread::sleep(Duration::from_millis(500));
    let seen = listener.finish()?;
    agent.two_snapshots()?;

    let metrics = agent.metrics()?;
    let sides = [Side::Server, Side::Client].map(|side| {
        let verdict = Verdict::of(case, side, &sent, &seen);
        let counted = counted(&metrics, side, &wanted);
        (verdict, counted)
    });
    let [server, client] = sides;
    Ok(Outcome {
        case,
        exchanges: load.exchanges,
        server,
        client: case.observes_client().then_some(client),
        dropped: agent.dropped()?,
        conserved: conserved(&metrics),
        log: agent.log(),
    })
}

fn agent(lab: &Lab, receiver: &Receiver) -> Result<Agent> {
    let variables = HashMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ]);
    lab.agent_with(&[], &variables)
}

/// The random load, spread over workers with a connection each.
fn send(case: Case, load: Load, server: &Running) -> Result<Vec<Sent>> {
    let target = Target::of(case, server)?;
    let each = load.exchanges.div_ceil(load.workers);
    let workers: Vec<_> = (0..load.workers)
        .map(|worker| {
            let numbers = worker * each..((worker + 1) * each).min(load.exchanges);
            let (target, planner) = (target.clone(), Planner::random(case, numbers));
            thread::spawn(move || target.ask(planner))
        })
        .collect();
    let mut sent = Vec::new();
    for worker in workers {
        let worker = worker.join().map_err(|_| anyhow!("a worker has failed"))?;
        sent.extend(worker?);
    }
    Ok(sent)
}

/// Whom to ask, and how.
#[derive(Clone, Debug)]
struct Target {
    address: SocketAddr,
    version: Version,
    tls: Option<Arc<ClientConfig>>,
}

impl Target {
    fn of(case: Case, server: &Running) -> Result<Self> {
        let protocol = match case.version {
            Version::Http1 => "http/1.1",
            Version::Http2 => "h2",
        };
        let tls = server.certificate.as_deref();
        let tls = tls.map(|certificate| stream::tls(certificate, protocol));
        Ok(Self {
            address: server.address,
            version: case.version,
            tls: tls.transpose()?,
        })
    }

    /// Asks for everything that is planned, on one connection after another.
    fn ask(self, planner: Planner) -> Result<Vec<Sent>> {
        match self.version {
            Version::Http1 => http1::Client {
                target: self,
                planner,
            }
            .run(),
            Version::Http2 => http2::Client {
                target: self,
                planner,
            }
            .run(),
        }
    }
}

/// What `/metrics` counts, by method, route, status and `error.type`.
fn counted(metrics: &Metrics, side: Side, wanted: &Wanted) -> Counts {
    match side {
        Side::Server => {
            let labels = [("service_name", &*wanted.service)];
            metrics.by(DURATION[0], &labels, &LABELS)
        }
        Side::Client => {
            let labels = [("server_port", &*wanted.port.to_string())];
            metrics.by(DURATION[1], &labels, &LABELS)
        }
    }
}

/// `http_request = http_exchange + sum(dropped{stage="http"}) + http_in_flight`, as ARCHITECTURE.md
/// has it.
fn conserved(metrics: &Metrics) -> bool {
    let passed = |stage: &str| metrics.sum("sonde_events_total", &[("stage", stage)]);
    let dropped = metrics.sum("sonde_dropped_total", &[("stage", "http")]);
    let in_flight = metrics.sum("sonde_table_entries", &[("table", "http_in_flight")]);
    let parts = [passed("http_exchange"), dropped, in_flight];
    let whole: Option<f64> = parts.into_iter().sum();
    whole.is_some() && passed("http_request") == whole
}
