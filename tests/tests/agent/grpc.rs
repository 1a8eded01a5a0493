//! gRPC by the libraries that most use: its C core, which Python's is, and grpc-go. Each as server and
//! as client of both, in clear text and inside TLS: every call once, with method, status and messages.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use sonde_tests::{
    agent::Agent,
    exposition::{Counts, Metrics},
    lab::{Lab, free_address},
    otlp::{Receiver, attributes},
    packages::GO_FOR_MODULES,
    process::Process,
};

use crate::{
    otlp,
    support::{CLIENT, SERVER, SERVICE, assert_counts, counts, go_build, named, python},
    tls::Certificate,
};

const SERVER_CALLS: &str = "rpc_server_call_duration_seconds_count";
const CLIENT_CALLS: &str = "rpc_client_call_duration_seconds_count";

/// How often a client does everything that it does; once more it sends a long message.
const TIMES: u64 = 5;
/// Calls of a client.
const CALLS: u64 = 8 * TIMES + 1;
/// Time that a client may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What one client has called for, by method and status.
const CALLED: &[([&str; 2], u64)] = &[
    (["lab.Calls/Say", "OK"], TIMES + 1),
    (["lab.Calls/List", "OK"], TIMES),
    (["lab.Calls/Collect", "OK"], TIMES),
    (["lab.Calls/Chat", "OK"], TIMES),
    (["lab.Calls/Missing", "NOT_FOUND"], TIMES),
    // Nobody knows whether such a method exists.
    (["_OTHER", "UNIMPLEMENTED"], TIMES),
    // The client has had enough.
    (["lab.Calls/Endless", ""], TIMES),
    (["lab.Calls/Wait", LATE], TIMES),
];

/// Stands for the status of a call whose time is over. Either side may say so first, by a status or
/// by resetting the stream.
const LATE: &str = "DEADLINE_EXCEEDED or none";

/// Messages of the request and of the answer, where they are always as many. Of an answer that hasn't
/// begun it isn't known.
const MESSAGES: &[(&str, &str, &str)] = &[
    ("lab.Calls/Say", "1", "1"),
    ("lab.Calls/List", "1", "5"),
    ("lab.Calls/Collect", "4", "1"),
    ("lab.Calls/Chat", "3", "3"),
    ("lab.Calls/Missing", "1", "0"),
];

/// By whose library a program speaks.
#[derive(Clone, Copy)]
enum Language {
    Python,
    Go,
}

/// Both languages' programs.
struct Programs<'a> {
    lab: &'a Lab,
    script: PathBuf,
    program: PathBuf,
}

impl<'a> Programs<'a> {
    fn build(lab: &'a Lab) -> Result<Self> {
        let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent/programs/calls");
        Ok(Self {
            lab,
            script: lab.write("calls.py", include_str!("programs/calls.py"))?,
            program: go_build(lab, GO_FOR_MODULES, &module, &[], "calls")?,
        })
    }

    fn command(&self, language: Language, service: &str) -> Result<Command> {
        match language {
            Language::Python => {
                let mut command = python(self.lab, service)?;
                command.arg(&self.script);
                Ok(command)
            }
            Language::Go => {
                let mut command = self.lab.command(&self.program);
                command.env("OTEL_SERVICE_NAME", named(self.lab, service));
                Ok(command)
            }
        }
    }

    /// A server on an address of its own; the files of a certificate make it one inside TLS.
    fn serve(
        &self,
        language: Language,
        service: &str,
        files: &[String],
    ) -> Result<(Process, SocketAddr)> {
        let address = free_address()?;
        let mut command = self.command(language, service)?;
        command.arg("serve").arg(address.to_string()).args(files);
        Ok((self.lab.serve(&mut command, address)?, address))
    }

    fn ask(
        &self,
        language: Language,
        service: &str,
        server: SocketAddr,
        more: &[String],
    ) -> Result<Process> {
        let mut command = self.command(language, service)?;
        command.arg("ask").arg(server.to_string());
        self.lab
            .start(command.arg(TIMES.to_string()).args(more), false)
    }
}

fn end(clients: impl IntoIterator<Item = Process>) -> Result<()> {
    for mut client in clients {
        let status = client.end_within(PATIENCE)?;
        ensure!(status.success(), "{status}\n{}", client.log());
    }
    Ok(())
}

/// Calls by method and status.
fn calls(metrics: &Metrics, metric: &str, labels: &[(&str, &str)]) -> Counts {
    let by = ["rpc_method", "rpc_response_status_code"];
    let mut calls = Counts::new();
    for (mut key, count) in metrics.by(metric, labels, &by) {
        if key[0].ends_with("/Wait") && ["", "DEADLINE_EXCEEDED", "CANCELLED"].contains(&&*key[1]) {
            LATE.clone_into(&mut key[1]);
        }
        *calls.entry(key).or_default() += count;
    }
    calls
}

/// Requires that a service has answered or made the calls of so many clients, each an HTTP request.
fn assert_calls(lab: &Lab, agent: &Agent, metric: &str, service: &str, clients: u64) -> Result<()> {
    let service = named(lab, service);
    let labels = [(SERVICE, &*service)];
    let called = CALLED.iter().map(|(key, count)| (*key, clients * count));
    let expected = counts(&called.collect::<Vec<_>>());
    let found = agent.settled(&expected, |metrics| calls(metrics, metric, &labels))?;
    assert_eq!(found, expected, "{metric} of {service}\n{}", agent.log());
    let requests = if metric == SERVER_CALLS {
        SERVER
    } else {
        CLIENT
    };
    let requests = agent.metrics()?.sum(requests, &labels);
    let expected = clients * CALLS;
    assert_eq!(
        requests.map(|sum| sum.to_string()),
        Some(expected.to_string())
    );
    Ok(())
}

#[test]
fn python_and_go_in_clear_text() -> Result<()> {
    let lab = Lab::open()?;
    let programs = Programs::build(&lab)?;
    let receiver = Receiver::start()?;
    let agent = otlp::start(&lab, &receiver)?;
    let (_one, python) = programs.serve(Language::Python, "python-serves", &[])?;
    let (_two, go) = programs.serve(Language::Go, "go-serves", &[])?;
    let ask = |language, service, server| programs.ask(language, service, server, &[]);
    end([
        ask(Language::Python, "python-asks-python", python)?,
        ask(Language::Python, "python-asks-go", go)?,
        ask(Language::Go, "go-asks-python", python)?,
        ask(Language::Go, "go-asks-go", go)?,
    ])?;
    for server in ["python", "go"] {
        assert_calls(&lab, &agent, SERVER_CALLS, &format!("{server}-serves"), 2)?;
        for client in ["python", "go"] {
            let service = format!("{client}-asks-{server}");
            assert_calls(&lab, &agent, CLIENT_CALLS, &service, 1)?;
        }
    }
    assert_eq!(agent.dropped()?, Counts::new());
    assert_messages(&lab, &agent, &receiver)
}

/// The numbers of messages that spans tell, by method and kind.
fn assert_messages(lab: &Lab, agent: &Agent, receiver: &Receiver) -> Result<()> {
    let spans = |received: &sonde_tests::otlp::Received| {
        let spans = received.spans().filter(|(resource, span)| {
            let ours = resource.get("service.namespace").map(String::as_str);
            ours == Some(lab.namespace()) && span.kind() != SpanKind::Internal
        });
        let spans: Vec<_> = spans
            .map(|(_, span)| (span.kind(), attributes(&span.attributes)))
            .collect();
        Some(spans).filter(|spans| spans.len() as u64 >= 8 * CALLS)
    };
    let spans = otlp::await_received(agent, receiver, "a span for each call and end", spans)?;
    assert_eq!(spans.len() as u64, 8 * CALLS);
    let mut found: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for (_, span) in spans {
        let text = |name: &str| span.get(name).cloned().unwrap_or_default();
        assert_eq!(text("rpc.system.name"), "grpc", "{span:?}");
        let messages = (
            text("sonde.rpc.request.messages"),
            text("sonde.rpc.response.messages"),
        );
        found
            .entry(text("rpc.method"))
            .or_default()
            .insert(messages);
    }
    for (method, requests, responses) in MESSAGES {
        let expected = BTreeSet::from([((*requests).to_owned(), (*responses).to_owned())]);
        assert_eq!(found.get(*method), Some(&expected), "{method}");
    }
    Ok(())
}

/// Go's library is seen into. Python's has a `BoringSSL` within that has no symbols: that is told, by
/// its name, though Python has OpenSSL loaded as well.
#[test]
fn python_and_go_inside_tls() -> Result<()> {
    let lab = Lab::open()?;
    let programs = Programs::build(&lab)?;
    let agent = lab.agent(&[])?;
    let files = Certificate::new(&lab)?.paths();
    let (_one, python) = programs.serve(Language::Python, "python-serves", &files)?;
    let (_two, go) = programs.serve(Language::Go, "go-serves", &files)?;
    // Until the programs are known: see the README's limits.
    std::thread::sleep(Duration::from_millis(1_200));
    let ask = |language, service, server| programs.ask(language, service, server, &files[..1]);
    end([
        ask(Language::Python, "python-asks-python", python)?,
        ask(Language::Python, "python-asks-go", go)?,
        ask(Language::Go, "go-asks-go", go)?,
    ])?;
    assert_calls(&lab, &agent, SERVER_CALLS, "go-serves", 2)?;
    assert_calls(&lab, &agent, CLIENT_CALLS, "go-asks-go", 1)?;
    for service in ["python-serves", "python-asks-python", "python-asks-go"] {
        let service = named(&lab, service);
        let uncovered = "sonde_uncovered_connections_total";
        let expected = counts(&[(["tls", "boringssl_stripped"], 1)]);
        let by = ["reason", "tls_library"];
        assert_counts(&agent, uncovered, &[(SERVICE, &service)], &by, &expected)?;
    }
    assert_eq!(agent.dropped()?, Counts::new());
    Ok(())
}
