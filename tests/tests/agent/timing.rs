//! What is a request's time and what isn't: idle connections, time to think, handshakes, accept queues
//! and connecting, of programs in clear text and with OpenSSL.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use sonde_tests::{
    agent::{Agent, PATIENCE},
    lab::{Lab, finish, free_address},
    otlp::Receiver,
    span::{Seen, Side, seen},
};

use crate::{support::SERVICE, tls::Certificate};

const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/agent/programs/timing.py"
);
/// For how long the programs do nothing, in places.
const LONG: Duration = Duration::from_millis(300);
/// What the kernel's ticks leave uncertain.
const ROUGH: Duration = Duration::from_millis(25);
/// Two connections: what is asked for on them.
const PATHS: [&str; 5] = [
    "/after-thought",
    "/first",
    "/pre-opened",
    "/then-busy",
    "/waits",
];

/// The programs' spans by side and path, and the agent.
struct Told {
    spans: BTreeMap<(Side, String), Seen>,
    agent: Agent,
    address: SocketAddr,
    service: String,
    client: String,
    _lab: Lab,
}

impl Told {
    /// Runs both programs.
    fn of(inside_tls: bool) -> Result<Self> {
        let lab = Lab::open()?;
        let receiver = Receiver::start()?;
        let variables = HashMap::from([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ]);
        let agent = lab.agent_with(&[], &variables)?;
        let address = free_address()?;
        let port = address.port().to_string();
        let (service, client) = (
            format!("server-{}", lab.namespace()),
            format!("client-{}", lab.namespace()),
        );
        let mut server = lab.command("python3");
        server.env("OTEL_SERVICE_NAME", &service);
        server.args([PROGRAM, "serve", &port]);
        if inside_tls {
            server.args(Certificate::new(&lab)?.paths());
        }
        let _server = lab.serve(&mut server, address)?;
        // The library of a program that has just started is found within a second.
        thread::sleep(Duration::from_secs(2));
        let mut asking = lab.command("python3");
        asking.env("OTEL_SERVICE_NAME", &client);
        finish(asking.args([
            PROGRAM,
            "ask",
            &port,
            if inside_tls { "tls" } else { "clear" },
        ]))?;
        let deadline = Instant::now() + PATIENCE;
        let spans = loop {
            let spans = spans_of(&receiver, &[&service, &client]);
            if spans.len() >= 2 * PATHS.len() || Instant::now() > deadline {
                break spans;
            }
            thread::sleep(Duration::from_millis(50));
        };
        Ok(Self {
            spans,
            agent,
            address,
            service,
            client,
            _lab: lab,
        })
    }

    fn span(&self, side: Side, path: &str) -> Result<&Seen> {
        let found = self.spans.get(&(side, path.to_owned()));
        found.with_context(|| format!("{side:?} {path} among {:?}", self.spans.keys()))
    }

    /// The span took as long as is said: no time, or [`LONG`].
    fn takes(&self, side: Side, path: &str, long: bool) -> Result<()> {
        let took = self.span(side, path)?.duration;
        let range = if long {
            LONG..LONG * 2
        } else {
            Duration::ZERO..LONG / 2
        };
        assert!(range.contains(&took), "{side:?} {path} took {took:?}");
        Ok(())
    }

    /// The server's request lay there for no time, or for [`LONG`].
    fn waited(&self, path: &str, long: bool) -> Result<()> {
        let waited = self.span(Side::Server, path)?.queued;
        let waited = waited.with_context(|| format!("not known for {path}"))?;
        let range = if long {
            LONG.saturating_sub(ROUGH)..LONG * 2
        } else {
            Duration::ZERO..LONG / 2
        };
        assert!(range.contains(&waited), "{path} waited {waited:?}");
        Ok(())
    }

    /// What holds in clear text and inside TLS alike.
    fn check(&self) -> Result<()> {
        for path in PATHS {
            self.takes(Side::Server, path, false)?;
        }
        for path in ["/after-thought", "/pre-opened", "/then-busy"] {
            self.takes(Side::Client, path, false)?;
            self.waited(path, false)?;
        }
        self.takes(Side::Client, "/waits", true)?;
        self.waited("/waits", true)?;
        for path in PATHS {
            let client = self.span(Side::Client, path)?;
            assert_eq!(
                (client.queued, client.retransmits),
                (None, Some(0)),
                "{path}"
            );
            let server = self.span(Side::Server, path)?;
            for span in [client, server] {
                let rtt = span.rtt.with_context(|| format!("no tcp.rtt: {span:?}"))?;
                assert!(rtt > Duration::ZERO && rtt < LONG, "{path} {rtt:?}");
            }
        }
        self.check_metrics()
    }

    /// The service's metrics say the same as the spans.
    fn check_metrics(&self) -> Result<()> {
        let of_server = [(SERVICE, &*self.service)];
        let port = self.address.port().to_string();
        let of_client = [(SERVICE, &*self.client), ("server_port", &*port)];
        let queue = self.agent.eventually("queue durations", |metrics| {
            let name = "http_server_request_queue_duration_seconds";
            let count = metrics.sum(&format!("{name}_count"), &of_server)?;
            let sum = metrics.sum(&format!("{name}_sum"), &of_server)?;
            (count >= PATHS.len() as f64).then_some((count, sum))
        })?;
        let told: Duration = PATHS
            .iter()
            .filter_map(|path| self.span(Side::Server, path).ok()?.queued)
            .sum();
        assert!((queue.0 - PATHS.len() as f64).abs() < 0.5, "{queue:?}");
        assert!(
            (queue.1 - told.as_secs_f64()).abs() < 1e-4,
            "{queue:?} {told:?}"
        );
        // Connecting is told on its own, and was quick: the kernel does it.
        let connects = self.agent.eventually("connect durations", |metrics| {
            let name = "tcp_connect_duration_seconds";
            let count = metrics.sum(&format!("{name}_count"), &of_client)?;
            let sum = metrics.sum(&format!("{name}_sum"), &of_client)?;
            (count >= 2.0).then_some((count, sum))
        })?;
        assert!((connects.0 - 2.0).abs() < 0.5, "{connects:?}");
        assert!(connects.1 < LONG.as_secs_f64(), "{connects:?}");
        Ok(())
    }
}

fn spans_of(receiver: &Receiver, services: &[&str]) -> BTreeMap<(Side, String), Seen> {
    let told = receiver.received();
    let all = told.traces.iter().flat_map(seen);
    all.filter(|span| services.contains(&&*span.service))
        .map(|span| ((span.side, span.path.clone()), span))
        .collect()
}

/// The first request lay in the accept queue.
#[test]
fn what_is_latency_in_clear_text() -> Result<()> {
    let told = Told::of(false)?;
    told.check()?;
    told.takes(Side::Client, "/first", true)?;
    told.waited("/first", true)
}

/// A handshake, which waited in the accept queue and then for the server, is nobody's request.
#[test]
fn what_is_latency_inside_tls() -> Result<()> {
    let told = Told::of(true)?;
    told.check()?;
    told.takes(Side::Client, "/first", false)?;
    told.waited("/first", false)
}
