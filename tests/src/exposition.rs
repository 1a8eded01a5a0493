//! What `/metrics` says, as numbers: the text format 0.0.4.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// Counts by the values of the labels that were asked for.
pub type Counts = BTreeMap<Vec<String>, u64>;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// With the suffix (`_count`, `_bucket`).
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

impl Sample {
    fn has(&self, wanted: &[(&str, &str)]) -> bool {
        wanted
            .iter()
            .all(|(name, value)| self.labels.get(*name).is_some_and(|held| held == value))
    }
}

/// All lines of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: Vec<Sample>,
}

impl Metrics {
    /// Reads a scrape. Every line must be a comment or a sample.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines
            .map(|line| sample(line).with_context(|| format!("not a sample: {line}")))
            .collect::<Result<_>>()?;
        Ok(Self { samples })
    }

    /// The samples of a name that have these labels.
    pub fn of<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.name == name && sample.has(labels))
    }

    /// Their sum; `None` when there are none, which isn't 0.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.of(name, labels)
            .map(|sample| sample.value)
            .reduce(|a, b| a + b)
    }

    /// Their sum, told apart by the labels in `by`; an absent label is an empty text.
    #[must_use]
    pub fn by(&self, name: &str, labels: &[(&str, &str)], by: &[&str]) -> Counts {
        let mut counts = Counts::new();
        for sample in self.of(name, labels) {
            let key = by
                .iter()
                .map(|label| sample.labels.get(*label).cloned().unwrap_or_default());
            *counts.entry(key.collect()).or_default() += whole(sample.value);
        }
        counts
    }

    /// All samples.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }
}

/// A count: anything else shows in the comparison as the largest number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be whole and in range"
)]
fn whole(value: f64) -> u64 {
    if value.fract() == 0.0 && (0.0..9e15).contains(&value) {
        value as u64
    } else {
        u64::MAX
    }
}

fn sample(line: &str) -> Result<Sample> {
    let name_end = line
        .find(['{', ' '])
        .context("neither labels nor a value")?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Labels::new(), rest),
    };
    let value = rest.split_whitespace().next().context("no value")?;
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value: value.parse()?,
    })
}

/// The labels, and what follows the closing brace.
fn labels(mut rest: &str) -> Result<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, value) = rest.split_once("=\"").context("a label without a value")?;
        let (value, after) = quoted(value)?;
        if labels.insert(name.to_owned(), value).is_some() {
            bail!("label {name} stands there twice");
        }
        rest = after;
    }
}

/// A label's value up to its closing quote, and what follows.
fn quoted(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                _ => bail!("a backslash that escapes nothing"),
            },
            plain => value.push(plain),
        }
    }
    bail!("a label's value that doesn't end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let text = "# TYPE a counter\na{x=\"1\",y=\"q\\\"\\\\\\n}\"} 3\na{x=\"2\"} 4\nb 0.5\n";
        let metrics = Metrics::parse(text).unwrap();
        assert_eq!(metrics.sum("a", &[]), Some(7.0));
        assert_eq!(metrics.sum("a", &[("y", "q\"\\\n}")]), Some(3.0));
        assert_eq!(metrics.sum("a", &[("x", "3")]), None);
        assert_eq!(metrics.sum("b", &[]), Some(0.5));
        let by_x = Counts::from([(vec!["1".into()], 3), (vec!["2".into()], 4)]);
        assert_eq!(metrics.by("a", &[], &["x"]), by_x);
    }

    #[test]
    fn anything_else_is_an_error() {
        for wrong in [
            "a",
            "a{x=\"1\"",
            "a{x=1} 2",
            "a{x=\"\\q\"} 1",
            "a one",
            "a{x=\"1\",x=\"2\"} 1",
        ] {
            assert!(Metrics::parse(wrong).is_err(), "{wrong}");
        }
    }
}
