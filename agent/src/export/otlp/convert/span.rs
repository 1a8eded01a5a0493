//! Spans.

use std::sync::Arc;

use opentelemetry_proto::tonic::trace::v1::{Span as ProtoSpan, Status, span::SpanKind, status};

use super::{ByResource, attributes, nanoseconds};
use crate::{export::otlp::message::Group, l7::exchange::Role, signal::Span};

/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK` and `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK` of
/// trace.proto: the parent is known to be in another process.
const PARENT_IS_REMOTE: u32 = 0x100 | 0x200;

/// Spans by resource.
pub(in super::super) fn spans<'a>(
    spans: impl IntoIterator<Item = &'a Arc<Span>>,
) -> Vec<Group<ProtoSpan>> {
    let mut by_resource = ByResource::new();
    for span in spans {
        by_resource.of(&span.resource).push(convert(span));
    }
    by_resource.into_groups()
}

fn convert(span: &Span) -> ProtoSpan {
    let parent = span.parent.as_ref();
    ProtoSpan {
        trace_id: span.context.trace_id.to_vec(),
        span_id: span.context.span_id.to_vec(),
        parent_span_id: parent.map_or_else(Vec::new, |parent| parent.span_id.to_vec()),
        flags: u32::from(span.context.flags) | parent.map_or(0, |_| PARENT_IS_REMOTE),
        name: span.name.to_string(),
        kind: match span.role {
            Role::Server => SpanKind::Server,
            Role::Client => SpanKind::Client,
        }
        .into(),
        start_time_unix_nano: nanoseconds(span.start),
        end_time_unix_nano: nanoseconds(span.end),
        attributes: attributes(&span.attributes),
        status: span.error.then(|| Status {
            message: String::new(),
            code: status::StatusCode::Error.into(),
        }),
        ..ProtoSpan::default()
    }
}
