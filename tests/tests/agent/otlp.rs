//! What leaves by OTLP: spans, metrics and logs, one resource per service.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use sonde_tests::{
    agent::{Agent, PATIENCE},
    lab::Lab,
    otlp::{Received, Receiver, attributes, of_resource},
};

use crate::support::{curl, nginx};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

pub(crate) fn start(lab: &Lab, receiver: &Receiver) -> Result<Agent> {
    let variables = HashMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
        ("OTEL_BLRP_SCHEDULE_DELAY", "200".to_owned()),
    ]);
    lab.agent_with(&[], &variables)
}

/// Waits until something has come.
pub(crate) fn await_received<T>(
    agent: &Agent,
    receiver: &Receiver,
    what: &str,
    mut found: impl FnMut(&Received) -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found(&receiver.received()) {
            return Ok(found);
        }
        ensure!(
            Instant::now() < deadline,
            "{what} hasn't come:\n{}",
            agent.log()
        );
        thread::sleep(Duration::from_millis(50));
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A span, as far as the tests look at it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    service: String,
    name: String,
    trace: String,
    id: String,
    parent: String,
    attributes: BTreeMap<String, String>,
    nanoseconds: u64,
}

fn seen(received: &Received, kind: SpanKind, port: u16) -> Vec<Seen> {
    let port = port.to_string();
    let spans = received.spans().filter(|(_, span)| span.kind() == kind);
    let spans = spans.map(|(resource, span)| Seen {
        service: resource.get("service.name").cloned().unwrap_or_default(),
        name: span.name.clone(),
        trace: hexadecimal(&span.trace_id),
        id: hexadecimal(&span.span_id),
        parent: hexadecimal(&span.parent_span_id),
        attributes: attributes(&span.attributes),
        nanoseconds: span
            .end_time_unix_nano
            .wrapping_sub(span.start_time_unix_nano),
    });
    spans
        .filter(|span| span.attributes.get("server.port") == Some(&port))
        .collect()
}

#[test]
fn spans_take_up_the_trace_that_a_request_carries() -> Result<()> {
    let lab = Lab::open()?;
    let receiver = Receiver::start()?;
    let agent = start(&lab, &receiver)?;
    let nginx = nginx(&lab, "")?;
    let port = nginx.address.port();
    let field = format!("traceparent: 00-{TRACE}-{PARENT}-01");
    curl(&lab, &["-H", &field, &nginx.url("/made?secret=1")])?;
    let server = await_received(&agent, &receiver, "the server's span", |received| {
        seen(received, SpanKind::Server, port).pop()
    })?;
    println!("{server:#?}");
    assert_eq!(server.trace, TRACE);
    assert_eq!(server.parent, PARENT);
    assert_eq!(server.service, nginx.service);
    assert_eq!(server.name, "GET /made");
    let is = |key: &str, value: &str| {
        assert_eq!(
            server.attributes.get(key).map(String::as_str),
            Some(value),
            "{key}"
        );
    };
    is("http.request.method", "GET");
    is("http.response.status_code", "201");
    is("http.route", "/made");
    is("url.path", "/made");
    is("url.scheme", "http");
    is("network.protocol.version", "1.1");
    assert!(
        !format!("{server:?}").contains("secret"),
        "query strings aren't kept"
    );
    assert!(server.nanoseconds < 5_000_000_000, "{}", server.nanoseconds);

    // The client's span is in the same trace.
    let client = await_received(&agent, &receiver, "the client's span", |received| {
        seen(received, SpanKind::Client, port).pop()
    })?;
    println!("{client:#?}");
    assert_eq!((&*client.trace, &*client.service), (TRACE, "curl"));

    // Without the field, and with one that is wrong, ids are new.
    for wrong in [
        "x-other: 1".to_owned(),
        format!("traceparent: 00-{}-{PARENT}-01", "0".repeat(32)),
    ] {
        let before = seen(&receiver.received(), SpanKind::Server, port).len();
        curl(&lab, &["-H", &wrong, &nginx.url("/made")])?;
        let span = await_received(&agent, &receiver, "another span", |received| {
            let spans = seen(received, SpanKind::Server, port);
            (spans.len() > before).then(|| spans.last().cloned())?
        })?;
        assert_ne!(span.trace, TRACE);
        assert_ne!(span.trace, "0".repeat(32));
        assert_eq!(span.parent, "");
    }
    Ok(())
}

#[test]
fn metrics_and_logs_come_with_one_resource_per_service() -> Result<()> {
    let lab = Lab::open()?;
    let receiver = Receiver::start()?;
    let agent = start(&lab, &receiver)?;
    let nginx = nginx(&lab, "location /broken { return 500; }")?;
    for _ in 0..3 {
        curl(&lab, &[&nginx.url("/broken")])?;
    }
    await_received(&agent, &receiver, "the duration histogram", |received| {
        let of_nginx = received.metrics.iter().filter(|metrics| {
            of_resource(metrics.resource.as_ref()).get("service.name") == Some(&nginx.service)
        });
        let mut names = of_nginx
            .flat_map(|metrics| &metrics.scope_metrics)
            .flat_map(|scope| &scope.metrics)
            .map(|metric| metric.name.as_str());
        names
            .any(|name| name == "http.server.request.duration")
            .then_some(())
    })?;
    // The failed requests are told, within their traces.
    let count = await_received(&agent, &receiver, "the log records", |received| {
        let of_nginx = received.logs.iter().filter(|logs| {
            of_resource(logs.resource.as_ref()).get("service.name") == Some(&nginx.service)
        });
        let records: Vec<_> = of_nginx
            .flat_map(|logs| &logs.scope_logs)
            .flat_map(|scope| &scope.log_records)
            .filter(|record| record.trace_id.len() == 16 && record.span_id.len() == 8)
            .collect();
        (records.len() >= 3).then_some(records.len())
    })?;
    assert_eq!(count, 3);
    let all = receiver.received();
    let mut hosts = HashSet::new();
    for metrics in &all.metrics {
        let resource = of_resource(metrics.resource.as_ref());
        assert!(resource.contains_key("host.name"), "{resource:?}");
        let names = metrics
            .scope_metrics
            .iter()
            .flat_map(|scope| &scope.metrics);
        let is_host = names.clone().any(|metric| metric.name == "use.utilization");
        if is_host {
            hosts.insert(resource);
        }
    }
    assert_eq!(hosts.len(), 1, "one resource is the host's: {hosts:?}");
    Ok(())
}

#[test]
fn sigterm_flushes_what_has_just_been_seen() -> Result<()> {
    let lab = Lab::open()?;
    let receiver = Receiver::start()?;
    let mut agent = start(&lab, &receiver)?;
    let nginx = nginx(&lab, "")?;
    for _ in 0..20 {
        curl(&lab, &[&nginx.url("/")])?;
    }
    let (status, took) = agent.stop()?;
    assert!(status.success(), "{status}\n{}", agent.log());
    assert!(took < Duration::from_secs(5), "{took:?}");
    let spans = seen(&receiver.received(), SpanKind::Server, nginx.address.port());
    println!("stopped and flushed within {took:?}");
    assert_eq!(spans.len(), 20, "{}", agent.log());
    Ok(())
}
