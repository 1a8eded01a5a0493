//! Label sets of series.

use super::{name, text::escape_label};
use crate::metric::{AttributeValue, Attributes};

/// Writes `name="value",...` in the order of the label names, so that a set of labels has one
/// spelling only.
///
/// Where two attributes come to the same label, the label carries both values, `;` between, in the
/// order of the attributes' names.
#[derive(Debug, Default)]
pub(super) struct LabelWriter {
    /// The attributes that `columns` were laid out for: a family's points mostly have the same.
    keys: Vec<&'static str>,
    columns: Vec<Column>,
}

/// One label.
#[derive(Debug)]
struct Column {
    /// `name="`, with a comma before it unless it is the first.
    head: String,
    /// Which of the attributes are in it.
    sources: Vec<usize>,
}

impl LabelWriter {
    pub(super) fn write(&mut self, out: &mut Vec<u8>, identity: &Attributes, rest: &Attributes) {
        let pairs = || identity.iter().chain(rest.iter());
        if !pairs().map(|(key, _)| key).eq(&self.keys) {
            self.keys = pairs().map(|(key, _)| *key).collect();
            self.columns = lay_out(&self.keys);
        }
        for column in &self.columns {
            let mut values = column
                .sources
                .iter()
                .filter_map(|source| pairs().nth(*source));
            let first = values.next();
            out.extend_from_slice(column.head.as_bytes());
            if let Some((_, first)) = first {
                write_value(out, first);
            }
            for (_, value) in values.filter(|pair| first.is_none_or(|first| first.1 != pair.1)) {
                out.push(b';');
                write_value(out, value);
            }
            out.push(b'"');
        }
    }
}

fn lay_out(keys: &[&'static str]) -> Vec<Column> {
    let mut named: Vec<_> = keys
        .iter()
        .map(|key| name::label(key))
        .zip(keys)
        .zip(0..)
        .collect();
    named.sort();
    let mut columns: Vec<Column> = Vec::with_capacity(keys.len());
    for same in named.chunk_by(|left, right| left.0.0 == right.0.0) {
        let comma = if columns.is_empty() { "" } else { "," };
        columns.extend(same.first().map(|((label, _), _)| Column {
            head: format!("{comma}{label}=\""),
            sources: same.iter().map(|(_, source)| *source).collect(),
        }));
    }
    columns
}

fn write_value(out: &mut Vec<u8>, value: &AttributeValue) {
    match value {
        AttributeValue::Text(text) => escape_label(out, text),
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}
