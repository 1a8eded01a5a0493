//! Label sets of series.

use std::borrow::Cow;

use super::{name, text::escape_label};
use crate::metric::{AttributeValue, Attributes};

/// Writes `name="value",...` in the order of the label names, so that a set of labels has one
/// spelling only.
///
/// Where two attributes come to the same label, the label carries both values, `;` between, in the
/// order of the attributes' names. A label without text is left out, since to Prometheus it is the
/// same as none.
#[derive(Debug, Default)]
pub(super) struct LabelWriter {
    /// The attributes that `columns` were laid out for: a family's points mostly have the same.
    keys: Vec<&'static str>,
    columns: Vec<Column>,
}

/// One label.
#[derive(Debug)]
struct Column {
    /// `name="`
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
        let start = out.len();
        for column in &self.columns {
            let label = out.len();
            if label > start {
                out.push(b',');
            }
            out.extend_from_slice(column.head.as_bytes());
            let empty = out.len();
            let pick = |source: &usize| pairs().nth(*source).map(|(_, value)| value);
            write_values(out, column.sources.iter().filter_map(pick));
            if out.len() == empty {
                out.truncate(label);
            } else {
                out.push(b'"');
            }
        }
    }
}

fn write_values<'a>(out: &mut Vec<u8>, mut values: impl Iterator<Item = &'a AttributeValue>) {
    let Some(first) = values.next() else { return };
    write_value(out, first);
    for value in values.filter(|value| *value != first) {
        out.push(b';');
        write_value(out, value);
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
    let same_label = named.chunk_by(|left, right| left.0.0 == right.0.0);
    let column = |same: &[((Cow<'_, str>, &&'static str), usize)]| Column {
        head: same
            .first()
            .map_or_else(String::new, |((label, _), _)| format!("{label}=\"")),
        sources: same.iter().map(|(_, source)| *source).collect(),
    };
    same_label.map(column).collect()
}

fn write_value(out: &mut Vec<u8>, value: &AttributeValue) {
    match value {
        AttributeValue::Text(text) => escape_label(out, text),
        AttributeValue::Texts(texts) => escape_label(out, &texts.join(", ")),
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}
