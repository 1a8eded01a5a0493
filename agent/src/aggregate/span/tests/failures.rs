//! What failed, for whom, and what is logged of it.

use super::*;
use crate::l7::exchange::Failure;

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
