//! Which trace a span belongs to.

use super::*;

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
