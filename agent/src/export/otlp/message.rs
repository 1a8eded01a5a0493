//! Export requests: gathered by resource, split by size, encoded.
//!
//! The three services' requests have the same shape: resources, each with one scope, each with
//! records. [`Request`] is that shape; the rest of this file works on it alone.

mod request;

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse},
        metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
        trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    resource::v1::Resource,
};
use prost::{DecodeError, Message as _};

pub(super) use self::request::Request;
use super::signal::SignalKind;

/// Largest encoded request. Receivers built on gRPC refuse messages over 4 MiB; the margin is
/// for what a proxy may add.
pub(super) const MAX_MESSAGE_BYTES: usize = (4 << 20) - (64 << 10);

/// Tags and lengths of a resource's and its scope's messages, the scope and the schema URLs: an
/// upper bound.
const GROUP_OVERHEAD: usize = 256;
/// Tag and length of one record.
const RECORD_OVERHEAD: usize = 6;

/// An encoded export request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) signal: SignalKind,
    /// Spans, log records or data points in it.
    pub(super) items: u64,
    pub(super) bytes: Bytes,
}

/// The records of one resource.
#[derive(Debug)]
pub(super) struct Group<R> {
    pub(super) resource: Resource,
    pub(super) records: Vec<R>,
}

/// What became of some records.
#[derive(Debug, Default)]
pub(super) struct Assembled {
    pub(super) messages: Vec<Message>,
    /// Items of records that alone are larger than a message may be.
    pub(super) oversized: u64,
}

/// Puts `groups` into as few requests as `limit` (bytes per request) allows, in order.
pub(super) fn assemble<Q: Request>(groups: Vec<Group<Q::Record>>, limit: usize) -> Assembled {
    let mut assembled = Assembled::default();
    let mut current: Vec<Group<Q::Record>> = Vec::new();
    let mut size = 0;
    for group in groups {
        let group_size = group.resource.encoded_len() + GROUP_OVERHEAD;
        let mut is_open = false;
        // Last first: halves of a record that is too large go back onto it in order.
        let mut records: Vec<_> = group.records.into_iter().rev().collect();
        while let Some(record) = records.pop() {
            let record_size = record.encoded_len() + RECORD_OVERHEAD;
            if group_size + record_size > limit {
                let items = Q::items(&record);
                match Q::halve(record) {
                    Some((first, second)) => records.extend([second, first]),
                    None => assembled.oversized += items,
                }
                continue;
            }
            let added = record_size + if is_open { 0 } else { group_size };
            if size + added > limit {
                assembled
                    .messages
                    .extend(encode::<Q>(std::mem::take(&mut current)));
                size = 0;
                is_open = false;
            }
            if !is_open {
                current.push(Group {
                    resource: group.resource.clone(),
                    records: Vec::new(),
                });
                size += group_size;
                is_open = true;
            }
            if let Some(open) = current.last_mut() {
                open.records.push(record);
            }
            size += record_size;
        }
    }
    assembled.messages.extend(encode::<Q>(current));
    assembled
}

/// `None` for nothing.
fn encode<Q: Request>(groups: Vec<Group<Q::Record>>) -> Option<Message> {
    let items = groups
        .iter()
        .flat_map(|group| &group.records)
        .map(Q::items)
        .sum();
    (items > 0).then(|| Message {
        signal: Q::SIGNAL,
        items,
        bytes: Q::from_groups(groups).encode_to_vec().into(),
    })
}

impl Message {
    /// The same records in two messages; `None` when there is only one.
    pub(super) fn halve(&self) -> Option<[Self; 2]> {
        match self.signal {
            SignalKind::Traces => halve::<ExportTraceServiceRequest>(&self.bytes),
            SignalKind::Metrics => halve::<ExportMetricsServiceRequest>(&self.bytes),
            SignalKind::Logs => halve::<ExportLogsServiceRequest>(&self.bytes),
        }
    }
}

fn halve<Q: Request>(bytes: &Bytes) -> Option<[Message; 2]> {
    let groups = Q::decode(bytes.clone()).ok()?.into_groups();
    let mut rest = groups
        .iter()
        .map(|group| group.records.len())
        .sum::<usize>()
        .div_ceil(2);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for Group {
        resource,
        mut records,
    } in groups
    {
        let behind = records.split_off(rest.min(records.len()));
        rest -= records.len();
        first.push(Group {
            resource: resource.clone(),
            records,
        });
        second.push(Group {
            resource,
            records: behind,
        });
    }
    // A single record went to the first half, whole; a metric may have points to share.
    if second.iter().all(|group| group.records.is_empty()) {
        let group = first
            .iter_mut()
            .zip(&mut second)
            .find(|(first, _)| !first.records.is_empty());
        let (one, other) = group?;
        let (left, right) = Q::halve(one.records.pop()?)?;
        one.records.push(left);
        other.records.push(right);
    }
    for half in [&mut first, &mut second] {
        half.retain(|group| !group.records.is_empty());
    }
    Some([encode::<Q>(first)?, encode::<Q>(second)?])
}

/// What a successful answer says besides "yes".
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PartialSuccess {
    /// Items that the receiver didn't take.
    pub(super) rejected: u64,
    /// Why, or a warning when none was rejected.
    pub(super) message: String,
}

impl PartialSuccess {
    /// Reads the answer to a message of `signal`.
    pub(super) fn decode(signal: SignalKind, answer: Bytes) -> Result<Self, DecodeError> {
        let partial = match signal {
            SignalKind::Traces => ExportTraceServiceResponse::decode(answer)?
                .partial_success
                .map(|partial| (partial.rejected_spans, partial.error_message)),
            SignalKind::Metrics => ExportMetricsServiceResponse::decode(answer)?
                .partial_success
                .map(|partial| (partial.rejected_data_points, partial.error_message)),
            SignalKind::Logs => ExportLogsServiceResponse::decode(answer)?
                .partial_success
                .map(|partial| (partial.rejected_log_records, partial.error_message)),
        };
        let (rejected, message) = partial.unwrap_or_default();
        Ok(Self {
            // A negative count means nothing.
            rejected: u64::try_from(rejected).unwrap_or(0),
            message,
        })
    }
}

#[cfg(test)]
mod tests;
