//! Secrets in real requests: nothing of them leaves the agent.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result};
use sonde_tests::{
    lab::Lab,
    otlp::{Attributes, Received, Receiver, attributes},
};

use crate::{
    otlp::await_received,
    support::{Nginx, ROUTE, SERVER, nginx},
};

/// A request's first line, further fields and body; each with a secret in it, which stands after.
const REQUESTS: &[(&str, &str, &str, &str)] = &[
    ("GET /search?q=quaintquery7", "", "", "quaintquery7"),
    ("GET /a#fancyfragment7", "", "", "fancyfragment7"),
    ("POST /form", "", "password=bodysecret77", "bodysecret77"),
    (
        "GET /b",
        "Authorization: Bearer bearersecret7",
        "",
        "bearersecret7",
    ),
    (
        "GET /b",
        "Proxy-Authorization: Basic basicsecret7",
        "",
        "basicsecret7",
    ),
    ("GET /b", "Cookie: sid=cookiesecret7", "", "cookiesecret7"),
    ("GET /b", "X-API-Key: apikeysecret7", "", "apikeysecret7"),
    ("GET /b", "X-Whatever: plainsecret7", "", "plainsecret7"),
    ("GET /login", "", "", "setcookiesecret7"),
    (
        "GET http://jane:userinfosecret7@h/c",
        "",
        "",
        "userinfosecret7",
    ),
    (
        "GET /proxy/http://jane:pathinfosecret7@h/c",
        "",
        "",
        "pathinfosecret7",
    ),
    (
        "GET /cart;jsessionid=matrixsecret7/x",
        "",
        "",
        "matrixsecret7",
    ),
    ("GET /mail/jane.roe%40example.org/inbox", "", "", "jane.roe"),
    ("GET /mail/john.doe@example.org", "", "", "john.doe"),
    ("GET /pay/4111111111111111/now", "", "", "4111111111111111"),
    ("GET /pay/card-5500-0055-5555-5559.pdf", "", "", "5500-0055"),
    ("GET /reset/hT8sKq2Lw9ZxP4vB7nMd", "", "", "hT8sKq2Lw9"),
    (
        "GET /reset/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "",
        "",
        "9f86d081884c",
    ),
    ("GET /key/AKIAIOSFODNN7EXAMPLE.txt", "", "", "AKIAIOSF"),
    ("GET /key/glpat-Zq3_xY7-pL0sVb2NcM9t", "", "", "Zq3_xY7"),
    (
        "GET /verify/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "",
        "",
        "eyJzdWIiOiIx",
    ),
    // What the server doesn't know, and what it can't read.
    ("GET /missing/hT8sKq2Lw9ZxP4vB7nMe", "", "", "B7nMe"),
    ("GET /bad bad/hT8sKq2Lw9ZxP4vB7nMf", "", "", "B7nMf"),
];

fn send(address: SocketAddr, (line, field, body, _): (&str, &str, &str, &str)) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let field = if field.is_empty() {
        String::new()
    } else {
        format!("{field}\r\n")
    };
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{field}\
         Content-Length: {length}\r\n\r\n{body}"
    )?;
    stream
        .read_to_end(&mut Vec::new())
        .context("no answer")
        .map(drop)
}

fn server(lab: &Lab) -> Result<Nginx> {
    let login = "location /login {
        add_header Set-Cookie 'sid=setcookiesecret7'; add_header X-Served-By me always;
        return 200 'setcookiesecret7 in a body';
    }";
    nginx(lab, login)
}

fn export_to(receiver: &Receiver) -> HashMap<&'static str, String> {
    HashMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
        ("OTEL_BLRP_SCHEDULE_DELAY", "200".to_owned()),
    ])
}

/// Attributes of the spans of a service, once there are as many.
fn spans(received: &Received, service: &str, count: usize) -> Option<Vec<Attributes>> {
    let spans = received.spans();
    let spans: Vec<_> = spans
        .filter(|(resource, _)| {
            resource
                .get("service.name")
                .is_some_and(|name| name == service)
        })
        .map(|(_, span)| attributes(&span.attributes))
        .collect();
    (spans.len() >= count).then_some(spans)
}

#[test]
fn secrets_of_requests_are_in_no_output() -> Result<()> {
    let lab = Lab::open()?;
    let receiver = Receiver::start()?;
    let flags = [
        "--log.level=trace",
        "--http.capture-request-headers=x-api-key",
        "--http.capture-request-headers=cookie",
        "--http.capture-response-headers=set-cookie",
    ];
    let agent = lab.agent_with(&flags, &export_to(&receiver))?;
    let nginx = server(&lab)?;
    for request in REQUESTS {
        send(nginx.address, *request)?;
    }
    let spans = await_received(&agent, &receiver, "spans", |received| {
        spans(received, &nginx.service, REQUESTS.len())
    })?;
    assert_eq!(spans.len(), REQUESTS.len());
    agent.two_snapshots()?;
    let openmetrics = "Accept: application/openmetrics-text; version=1.0.0\r\n";
    let outputs = [
        ("/metrics", agent.get("/metrics", "")?.body),
        ("OpenMetrics", agent.get("/metrics", openmetrics)?.body),
        ("OTLP", format!("{:?}", *receiver.received())),
        ("the log", agent.log()),
    ];
    for (name, output) in &outputs {
        for (line, field, _, secret) in REQUESTS {
            assert!(
                !output.contains(secret),
                "{secret} of {line:?} {field:?} is in {name}"
            );
        }
    }
    // They were seen all the same.
    let counted = agent.metrics()?.by(SERVER, &nginx.served(), &[ROUTE]);
    assert_eq!(counted.values().sum::<u64>(), REQUESTS.len() as u64);
    for route in [
        "/mail/{email}",
        "/pay/{id}/now",
        "/verify/{token}",
        "/reset/{hash}",
    ] {
        assert_eq!(
            counted.get(&vec![route.to_owned()]),
            Some(&1),
            "{counted:?}"
        );
    }
    Ok(())
}

#[test]
fn header_fields_are_told_by_name_and_credentials_masked() -> Result<()> {
    let lab = Lab::open()?;
    let receiver = Receiver::start()?;
    let flags = [
        "--http.capture-request-headers=X-Request-Id",
        "--http.capture-request-headers=authorization",
        "--http.capture-request-headers=x-mine",
        "--http.capture-response-headers=set-cookie",
        "--http.capture-response-headers=x-served-by",
        "--http.masked-headers=X-Mine",
        "--http.routes=/{page}",
    ];
    let agent = lab.agent_with(&flags, &export_to(&receiver))?;
    let nginx = server(&lab)?;
    let fields = "x-request-id: 7\r\nX-REQUEST-ID: 8\r\nAuthorization: Bearer secret7\r\n\
                  X-Mine: secret7\r\nX-Other: secret7";
    send(nginx.address, ("GET /login", fields, "", ""))?;
    let spans = await_received(&agent, &receiver, "a span", |received| {
        spans(received, &nginx.service, 1)
    })?;
    let [span] = &spans[..] else {
        anyhow::bail!("{spans:?}");
    };
    let told = span.iter().filter(|(key, _)| key.contains(".header."));
    let told: Vec<_> = told
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("http.request.header.authorization", "REDACTED"),
            ("http.request.header.x-mine", "REDACTED"),
            ("http.request.header.x-request-id", "7, 8"),
            ("http.response.header.set-cookie", "REDACTED"),
            ("http.response.header.x-served-by", "me"),
        ]
    );
    assert_eq!(span.get("http.route").map(String::as_str), Some("/{page}"));
    assert!(!format!("{:?}", *receiver.received()).contains("secret7"));
    Ok(())
}
