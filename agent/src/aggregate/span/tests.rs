use std::time::UNIX_EPOCH;

use proptest::prelude::*;
use sonde_common::event::tcp::Info;

use super::*;
use crate::{
    aggregate::{
        fixture::{clock, exchange, resource},
        route,
    },
    l7::{
        exchange::{Failure, Method, TraceParent},
        headers::{Message, Selection},
        rpc::{Rpc, RpcStatus},
        transport::Transport,
    },
};

const PARENT: TraceParent = TraceParent {
    trace_id: [7; 16],
    span_id: [8; 8],
    flags: 0x03,
};

fn all(sampler: &str, exchange: &Exchange) -> (Option<Arc<Span>>, Option<Arc<LogRecord>>) {
    let mut tracer = Tracer::with_seed(Sampler::parse(sampler, None).unwrap(), 1);
    let context = tracer.context(exchange);
    let route: Arc<str> = route::route(&exchange.path).into();
    let (mut span, mut log) = (None, None);
    let method: Option<Arc<str>> = exchange.rpc.map(|_| "shop.Orders/Get".into());
    let operation = Operation {
        route: &route,
        method: method.as_ref(),
    };
    for signal in tracer.signals(exchange, operation, &resource("shop"), context, &clock()) {
        match signal {
            Signal::Span(one) => assert_eq!(span.replace(one), None),
            Signal::Log(one) => assert_eq!(log.replace(one), None),
        }
    }
    (span, log)
}

fn span_of(exchange: &Exchange) -> Arc<Span> {
    all("parentbased_always_on", exchange).0.unwrap()
}

fn attributes(span: &Span) -> Vec<String> {
    let pairs = span.attributes.iter();
    pairs
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

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
fn fault_03_a_bad_status_line_has_no_status() {
    let mut request = exchange(Role::Server);
    request.status = None;
    request.failure = Some(Failure::InvalidResponse);
    let (span, log) = all("always_on", &request);
    let span = span.unwrap();
    assert!(span.error);
    assert_eq!(span.attributes.get("http.response.status_code"), None);
    assert_eq!(
        span.attributes.get("error.type"),
        Some(&"invalid_response".into())
    );
    assert_eq!(log.unwrap().severity, Severity::Error);
}

#[test]
fn fault_04_control_bytes_of_the_peer_never_reach_an_attribute() {
    let mut request = exchange(Role::Server);
    request.path = "/a\n\0\"\\\u{fffd}".into();
    request.user_agent = Some("x\r\ny\u{0}".into());
    request.method = Method::Other;
    request.method_original = Some("\u{1b}[31m".into());
    let span = span_of(&request);
    for (name, value) in span.attributes.iter() {
        assert!(!value.to_string().contains(char::is_control), "{name}");
    }
    assert_eq!(
        span.attributes.get("url.path"),
        Some(&"/a%0A%00\"\\\u{fffd}".into())
    );
}

#[test]
fn secrets_are_not_kept() {
    let mut request = exchange(Role::Client);
    request.path = "/reset/hT8sKq2Lw9ZxP4vB7nMd".into();
    let span = span_of(&request);
    assert!(!format!("{span:?}").contains("hT8sKq2Lw9"));
}

#[test]
fn the_requests_trace_goes_on() {
    let mut request = exchange(Role::Server);
    request.parent = Some(PARENT);
    let span = span_of(&request);
    assert_eq!(span.context.trace_id, PARENT.trace_id);
    assert_ne!(span.context.span_id, PARENT.span_id);
    assert_eq!(span.context.flags, PARENT.flags);
    assert_eq!(span.parent, Some(PARENT));
}

#[test]
fn a_request_is_an_example_of_its_callers_span_when_that_is_kept() {
    let mut request = exchange(Role::Server);
    assert_eq!(remote(&request), None);
    request.parent = Some(TraceParent { flags: 0, ..PARENT });
    assert_eq!(remote(&request), None, "nobody keeps it");
    request.parent = Some(PARENT);
    let ids = remote(&request).map(|context| (context.trace_id, context.span_id));
    assert_eq!(ids, Some((PARENT.trace_id, PARENT.span_id)));
}

#[test]
fn a_request_without_parent_begins_a_trace() {
    let mut tracer = Tracer::new(Sampler::default());
    let contexts: std::collections::HashSet<_> = (0..1_000)
        .map(|_| tracer.context(&exchange(Role::Server)))
        .collect();
    let trace_ids: std::collections::HashSet<_> =
        contexts.iter().map(|context| context.trace_id).collect();
    assert_eq!((contexts.len(), trace_ids.len()), (1_000, 1_000));
    assert!(contexts.iter().all(|context| context.flags == SAMPLED));
    assert!(!trace_ids.contains(&[0; 16]));
}

#[test]
fn an_unsampled_request_has_no_span_but_its_failure_is_logged() {
    let mut request = exchange(Role::Server);
    request.parent = Some(TraceParent { flags: 0, ..PARENT });
    assert_eq!(all("parentbased_always_on", &request), (None, None));
    request.status = Some(503);
    let (span, log) = all("parentbased_always_on", &request);
    assert_eq!(span, None);
    let log = log.unwrap();
    assert_eq!(
        log.body,
        "server request GET /users/{id} was answered with 503 after 3.0ms"
    );
    let context = log.span.unwrap();
    assert_eq!((context.trace_id, context.flags), (PARENT.trace_id, 0));
}

#[test]
fn client_errors_fail_the_client_and_not_the_server() {
    let mut request = exchange(Role::Server);
    request.status = Some(404);
    let (span, log) = all("always_on", &request);
    assert_eq!((span.unwrap().error, log), (false, None));
    let mut request = exchange(Role::Client);
    request.status = Some(404);
    let (span, log) = all("always_on", &request);
    assert!(span.unwrap().error);
    let log = log.unwrap();
    assert_eq!(log.severity, Severity::Warn);
    assert_eq!(log.event_name, "http.request.failed");
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

proptest! {
    /// Whatever secret a path holds, wherever it holds it: neither name nor attributes do.
    #[test]
    fn no_secret_of_a_path_is_on_a_span(
        secret in route::fixture::secret(), place in 0..7_usize, is_server: bool, status in 100..600_u16,
    ) {
        let mut request = exchange(if is_server { Role::Server } else { Role::Client });
        request.path = route::fixture::surrounded(&secret, place).into();
        request.status = Some(status);
        let (span, log) = all("always_on", &request);
        for told in [format!("{span:?}"), format!("{log:?}")] {
            prop_assert!(!route::fixture::leaks(&told, &secret), "{} in {}", secret, told);
        }
    }

    #[test]
    fn any_text_of_a_peer_makes_a_bounded_printable_span(
        path in ".{0,300}", host in proptest::option::of(".{0,40}"),
        agent in proptest::option::of(".{0,400}"), is_server: bool,
    ) {
        let mut request = exchange(if is_server { Role::Server } else { Role::Client });
        request.path = path.into();
        request.host = host.map(Into::into);
        request.user_agent = agent.map(Into::into);
        let span = span_of(&request);
        prop_assert!(!span.name.contains(char::is_control));
        for (name, value) in span.attributes.iter() {
            let value = value.to_string();
            prop_assert!(!value.contains(char::is_control), "{}", name);
            prop_assert!(value.len() <= 2_400, "{}", name);
        }
    }
}
