//! Log records.

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, any_value},
    logs::v1::LogRecord as ProtoLogRecord,
};

use super::{ByResource, attributes, nanoseconds};
use crate::{
    export::otlp::message::Group,
    signal::{LogRecord, Severity},
};

/// Log records by resource.
pub(in super::super) fn logs<'a>(
    records: impl IntoIterator<Item = &'a Arc<LogRecord>>,
) -> Vec<Group<ProtoLogRecord>> {
    let mut by_resource = ByResource::new();
    for record in records {
        by_resource.of(&record.resource).push(convert(record));
    }
    by_resource.into_groups()
}

fn convert(record: &LogRecord) -> ProtoLogRecord {
    let time = nanoseconds(record.time);
    let span = record.span.as_ref();
    ProtoLogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number: record.severity as i32,
        severity_text: match record.severity {
            Severity::Info => "INFO",
            Severity::Warn => "WARN",
            Severity::Error => "ERROR",
        }
        .to_owned(),
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue(record.body.clone())),
        }),
        attributes: attributes(&record.attributes),
        flags: span.map_or(0, |span| span.flags.into()),
        trace_id: span.map_or_else(Vec::new, |span| span.trace_id.to_vec()),
        span_id: span.map_or_else(Vec::new, |span| span.span_id.to_vec()),
        event_name: record.event_name.to_owned(),
        ..ProtoLogRecord::default()
    }
}
