//! What tells series and resources apart.

use std::{sync::Arc, time::Duration};

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttributeValue {
    /// Text.
    Text(Arc<str>),
    /// A whole number, as the conventions ask for status codes and ports.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
    /// A time, told in seconds. On spans and log records only.
    Duration(Duration),
    /// Several texts. On spans and log records only: no series is told apart by one.
    Texts(Arc<[Arc<str>]>),
}

impl From<&str> for AttributeValue {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for AttributeValue {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<Arc<str>> for AttributeValue {
    fn from(value: Arc<str>) -> Self {
        Self::Text(value)
    }
}

impl From<Arc<[Arc<str>]>> for AttributeValue {
    fn from(value: Arc<[Arc<str>]>) -> Self {
        Self::Texts(value)
    }
}

impl From<i64> for AttributeValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u16> for AttributeValue {
    fn from(value: u16) -> Self {
        Self::Integer(value.into())
    }
}

impl From<Duration> for AttributeValue {
    fn from(value: Duration) -> Self {
        Self::Duration(value)
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl std::fmt::Display for AttributeValue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Integer(number) => number.fmt(formatter),
            Self::Boolean(truth) => truth.fmt(formatter),
            Self::Duration(duration) => duration.as_secs_f64().fmt(formatter),
            Self::Texts(texts) => formatter.write_str(&texts.join(", ")),
        }
    }
}

/// Attributes in the order of their (dotted, OpenTelemetry) names, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attributes(Arc<[(&'static str, AttributeValue)]>);

impl Attributes {
    /// No attributes.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Pairs in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(&'static str, AttributeValue)> {
        self.0.iter()
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.0
            .binary_search_by(|(key, _)| (*key).cmp(name))
            .ok()
            .map(|index| &self.0[index].1)
    }
}

impl FromIterator<(&'static str, AttributeValue)> for Attributes {
    /// The last of two pairs with the same name stands.
    fn from_iter<I: IntoIterator<Item = (&'static str, AttributeValue)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by(|left, right| left.0.cmp(right.0));
        pairs.reverse();
        pairs.dedup_by(|later, earlier| later.0 == earlier.0);
        pairs.reverse();
        Self(pairs.into())
    }
}

impl<const N: usize> From<[(&'static str, AttributeValue); N]> for Attributes {
    fn from(pairs: [(&'static str, AttributeValue); N]) -> Self {
        pairs.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_sorted_and_the_last_of_a_name_stands() {
        let attributes =
            Attributes::from([("b", "1".into()), ("a", 2_i64.into()), ("b", "3".into())]);
        let pairs: Vec<_> = attributes
            .iter()
            .map(|(k, v)| (*k, v.to_string()))
            .collect();
        assert_eq!(pairs, [("a", "2".to_owned()), ("b", "3".to_owned())]);
        assert_eq!(attributes.get("b"), Some(&"3".into()));
        assert_eq!(attributes.get("c"), None);
    }
}
