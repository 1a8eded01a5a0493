//! From the agent's model to OTLP's messages.

pub mod exponential;
mod log;
pub(super) mod metric;
mod span;
mod succession;
mod temporality;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, KeyValue, any_value},
    resource::v1::Resource as ProtoResource,
};

pub(super) use self::{log::logs, span::spans};
use super::message::Group;
use crate::metric::{AttributeValue, Attributes, Resource};

/// Gathers records under their resources, in the order in which these appear.
struct ByResource<R> {
    groups: Vec<(Arc<Resource>, Vec<R>)>,
    /// Nearly always the same `Arc` comes again, and an address is cheaper to hash than a
    /// resource. Only addresses that `groups` keeps alive are here, so none is used twice.
    by_address: HashMap<usize, usize>,
    by_value: HashMap<Arc<Resource>, usize>,
}

impl<R> ByResource<R> {
    fn new() -> Self {
        Self {
            groups: Vec::new(),
            by_address: HashMap::new(),
            by_value: HashMap::new(),
        }
    }

    /// The records of `resource`.
    fn of(&mut self, resource: &Arc<Resource>) -> &mut Vec<R> {
        let address = Arc::as_ptr(resource).addr();
        let known = self.by_address.get(&address).copied();
        let index = known.unwrap_or_else(|| {
            let next = self.groups.len();
            let index = *self.by_value.entry(Arc::clone(resource)).or_insert(next);
            if index == next {
                self.groups.push((Arc::clone(resource), Vec::new()));
                self.by_address.insert(address, index);
            }
            index
        });
        &mut self.groups[index].1
    }

    fn into_groups(self) -> Vec<Group<R>> {
        let groups = self.groups.into_iter().map(|(resource, records)| Group {
            resource: ProtoResource {
                attributes: attributes(&resource.attributes),
                ..ProtoResource::default()
            },
            records,
        });
        groups.collect()
    }
}

fn attributes(from: &Attributes) -> Vec<KeyValue> {
    let pairs = from.iter().map(|(key, value)| KeyValue {
        key: (*key).to_owned(),
        value: Some(any_value(value)),
        ..KeyValue::default()
    });
    pairs.collect()
}

fn any_value(value: &AttributeValue) -> AnyValue {
    AnyValue {
        value: Some(match value {
            AttributeValue::Text(text) => any_value::Value::StringValue(text.to_string()),
            AttributeValue::Integer(number) => any_value::Value::IntValue(*number),
            AttributeValue::Boolean(truth) => any_value::Value::BoolValue(*truth),
            AttributeValue::Duration(time) => any_value::Value::DoubleValue(time.as_secs_f64()),
            AttributeValue::Texts(texts) => any_value::Value::ArrayValue(array(texts)),
        }),
    }
}

fn array(texts: &[Arc<str>]) -> ArrayValue {
    let text = |text: &Arc<str>| AnyValue {
        value: Some(any_value::Value::StringValue(text.to_string())),
    };
    ArrayValue {
        values: texts.iter().map(text).collect(),
    }
}

/// Nanoseconds since 1970; 0, OTLP's "unknown", for what is before it or after 2554.
fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

/// Memory that attributes take, about.
pub(super) fn attributes_bytes(attributes: &Attributes) -> usize {
    let bytes = attributes.iter().map(|(_, value)| {
        let text = match value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Texts(texts) => {
                let text = |text: &Arc<str>| size_of::<AnyValue>() + text.len();
                texts.iter().map(text).sum()
            }
            AttributeValue::Integer(_)
            | AttributeValue::Boolean(_)
            | AttributeValue::Duration(_) => 0,
        };
        size_of::<(&str, AttributeValue)>() + text
    });
    bytes.sum()
}

#[cfg(test)]
mod tests;
