//! What a span says of its exchange.

use std::time::UNIX_EPOCH;

use sonde_common::event::tcp::Info;

use super::*;
use crate::l7::{
    exchange::Method,
    headers::{Message, Selection},
    rpc::{Rpc, RpcStatus},
    transport::Transport,
};

#[test]
fn a_server_span_has_the_conventions_attributes() {
    let mut request = exchange(Role::Server);
    request.host = Some("shop.example.org".into());
    request.user_agent = Some("curl/8".into());
    let span = span_of(&request);
    assert_eq!(&*span.name, "GET /users/{id}");
    assert!(!span.error);
    assert_eq!(
        span.end.duration_since(span.start).unwrap(),
        Duration::from_millis(3)
    );
    assert_eq!(
        attributes(&span),
        [
            "client.address=127.0.0.1",
            "http.request.body.size=0",
            "http.request.method=GET",
            "http.response.body.size=512",
            "http.response.status_code=200",
            "http.route=/users/{id}",
            "network.peer.address=127.0.0.1",
            "network.peer.port=40000",
            "network.protocol.version=1.1",
            "server.address=shop.example.org",
            "server.port=8080",
            "url.path=/users/42",
            "url.scheme=http",
            "user_agent.original=curl/8",
        ]
    );
}

#[test]
fn a_span_has_what_tcp_knew_and_how_long_its_request_was_queued() {
    let mut request = exchange(Role::Server);
    request.queued = Some(1_500);
    request.transport = Transport::begun(Some(Info {
        srtt: 0,
        retransmits: 7,
    }));
    request.transport.ended(Some(Info {
        srtt: 250,
        retransmits: 9,
    }));
    let told = attributes(&span_of(&request));
    for expected in [
        "http.server.request.queue.duration=0.0015",
        "tcp.retransmits=2",
        "tcp.rtt=0.00025",
    ] {
        let mut found = told.iter().filter(|attribute| *attribute == expected);
        assert!(found.next().is_some(), "{expected} in {told:?}");
    }
}

#[test]
fn a_client_span_names_the_url_and_no_route() {
    let span = span_of(&exchange(Role::Client));
    assert_eq!(&*span.name, "GET /users/{id}");
    assert_eq!(
        span.attributes.get("url.full"),
        Some(&"http://192.0.2.1:8080/users/42".into())
    );
    assert_eq!(span.attributes.get("http.route"), None);
    assert_eq!(span.attributes.get("client.address"), None);
}

#[test]
fn fault_02_an_unknown_method_is_told_on_the_span_only() {
    let mut request = exchange(Role::Server);
    request.method = Method::Other;
    request.method_original = Some("get".into());
    let span = span_of(&request);
    assert_eq!(&*span.name, "HTTP /users/{id}");
    let told = |name: &str| span.attributes.get(name).map(ToString::to_string);
    assert_eq!(told("http.request.method").as_deref(), Some("_OTHER"));
    assert_eq!(told("http.request.method_original").as_deref(), Some("get"));
}

#[test]
fn a_call_has_the_attributes_of_both_conventions() {
    let mut call = exchange(Role::Server);
    call.method = Method::Post;
    call.path = "/shop.Orders/Get".into();
    call.version = "2";
    call.rpc = Some(Rpc {
        status: Some(RpcStatus::Internal),
        requests: Some(1),
        responses: None,
    });
    let (span, log) = all("always_on", &call);
    let span = span.unwrap();
    assert_eq!(&*span.name, "shop.Orders/Get");
    assert!(span.error);
    let told = attributes(&span);
    for expected in [
        "error.type=INTERNAL",
        "http.request.method=POST",
        "http.response.status_code=200",
        "rpc.method=shop.Orders/Get",
        "rpc.response.status_code=INTERNAL",
        "rpc.system.name=grpc",
        "sonde.rpc.request.messages=1",
        "url.path=/shop.Orders/Get",
    ] {
        assert!(
            told.iter().any(|attribute| attribute == expected),
            "{expected} in {told:?}"
        );
    }
    assert_eq!(span.attributes.get("sonde.rpc.response.messages"), None);
    let log = log.unwrap();
    assert_eq!(log.event_name, "rpc.call.failed");
    assert_eq!(
        log.body,
        "server call shop.Orders/Get was answered with INTERNAL after 3.0ms"
    );
}

#[test]
fn what_is_hidden_is_absent() {
    let mut hidden = exchange(Role::Client);
    hidden.method = Method::Hidden;
    hidden.path = "".into();
    hidden.status = None;
    let span = span_of(&hidden);
    assert_eq!((&*span.name, span.error), ("HTTP", false));
    for name in [
        "http.request.method",
        "http.response.status_code",
        "url.path",
        "url.full",
    ] {
        assert_eq!(span.attributes.get(name), None, "{name}");
    }
}

#[test]
fn fault_11_truncation_is_flagged_only_where_there_is_any() {
    let mut request = exchange(Role::Server);
    assert_eq!(span_of(&request).attributes.get("sonde.truncated"), None);
    request.truncated = true;
    let flagged = Some(&true.into());
    assert_eq!(span_of(&request).attributes.get("sonde.truncated"), flagged);
    request.truncated = false;
    request.path = format!("/{}", "x/".repeat(5_000)).into();
    assert_eq!(span_of(&request).attributes.get("sonde.truncated"), flagged);
}

#[test]
fn fault_23_a_span_never_ends_before_it_starts() {
    let mut request = exchange(Role::Server);
    request.end = 0;
    let span = span_of(&request);
    assert_eq!(span.start, span.end);
    assert!(span.start > UNIX_EPOCH);
}

#[test]
fn fields_that_were_asked_for_are_attributes() {
    let selection = Selection::new(
        &["X-Request-Id", "Authorization", "referer"],
        &["location", "x-mine"],
        &["x-mine"],
    );
    let keep = |message, fields: &[(&str, &str)]| {
        let mut collector = selection.collect(message);
        for (name, value) in fields {
            collector.add(name.as_bytes(), value.as_bytes());
        }
        collector.finish()
    };
    let mut request = exchange(Role::Server);
    request.request_headers = keep(
        Message::Request,
        &[
            ("x-request-id", "7"),
            ("X-Request-ID", "8"),
            ("authorization", "Bearer secret"),
            ("referer", "http://a:b@h/x?secret"),
            ("accept", "*/*"),
        ],
    );
    let answer = [("location", "/login?secret"), ("x-mine", "secret")];
    request.response_headers = keep(Message::Response, &answer);
    let span = span_of(&request);
    let attributes = attributes(&span);
    let headers: Vec<_> = attributes
        .iter()
        .filter(|line| line.contains(".header."))
        .collect();
    assert_eq!(
        headers,
        [
            "http.request.header.authorization=REDACTED",
            "http.request.header.referer=http://h/x",
            "http.request.header.x-request-id=7, 8",
            "http.response.header.location=/login",
            "http.response.header.x-mine=REDACTED",
        ]
    );
    assert!(!format!("{span:?}").contains("secret"));
}
