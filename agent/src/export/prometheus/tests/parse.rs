//! A strict reader of both formats: panics at whatever a scraper would refuse.

use std::collections::{BTreeMap, HashSet};

use crate::export::prometheus::Format;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Family {
    pub(super) help: String,
    pub(super) kind: String,
    pub(super) unit: Option<String>,
    pub(super) samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
    pub(super) exemplar: Option<(BTreeMap<String, String>, f64, Option<f64>)>,
    /// The text up to the end of the value.
    pub(super) head: String,
    /// The rest of the line.
    pub(super) tail: String,
}

/// Families by name, after all rules were checked.
pub(super) fn parse(body: &[u8], format: Format) -> BTreeMap<String, Family> {
    let text = std::str::from_utf8(body).expect("UTF-8");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut series = HashSet::new();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "last line without end"
    );
    let mut lines = text.split_terminator('\n');
    for line in lines.by_ref() {
        if line == "# EOF" {
            assert_eq!(format, Format::OpenMetrics);
            break;
        }
        if let Some(metadata) = line.strip_prefix("# ") {
            let (keyword, rest) = metadata.split_once(' ').expect("keyword");
            let (name, rest) = rest.split_once(' ').expect("name");
            assert_eq!(
                keyword == "HELP",
                name != current,
                "HELP first, and once: {line}"
            );
            name.clone_into(&mut current);
            let family = families.entry(current.clone()).or_default();
            assert!(family.samples.is_empty(), "family in pieces: {line}");
            match keyword {
                "HELP" => family.help = unescape(rest, format == Format::OpenMetrics),
                "TYPE" => rest.clone_into(&mut family.kind),
                "UNIT" => {
                    assert_eq!(format, Format::OpenMetrics);
                    assert!(current.ends_with(&format!("_{rest}")));
                    family.unit = Some(rest.to_owned());
                }
                _ => panic!("unknown keyword: {line}"),
            }
            continue;
        }
        let sample = sample(line, format);
        let family = families.get_mut(&current).expect("sample before metadata");
        assert!(
            belongs(&sample.name, &current, &family.kind, format),
            "{line} in {current}"
        );
        assert!(
            series.insert((sample.name.clone(), sample.labels.clone())),
            "twice: {line}"
        );
        family.samples.push(sample);
    }
    assert_eq!(lines.next(), None, "text after the end");
    assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics);
    for family in families
        .values()
        .filter(|family| family.kind == "histogram")
    {
        check_histogram(family);
    }
    families
}

fn belongs(sample: &str, family: &str, kind: &str, format: Format) -> bool {
    let suffix = sample.strip_prefix(family);
    match (kind, format) {
        ("histogram", _) => matches!(suffix, Some("_bucket" | "_sum" | "_count")),
        ("counter", Format::OpenMetrics) => suffix == Some("_total"),
        ("counter", Format::Text) => suffix == Some("") && family.ends_with("_total"),
        ("info", Format::OpenMetrics) => suffix == Some("_info"),
        ("gauge", _) | ("untyped", Format::Text) | ("unknown", Format::OpenMetrics) => {
            suffix == Some("")
        }
        _ => false,
    }
}

/// Buckets ascend, end with +Inf, and agree with the count.
fn check_histogram(family: &Family) {
    let mut previous: Option<(&Sample, f64)> = None;
    for sample in &family.samples {
        let le = sample.labels.get("le").map(|le| number(le));
        if let (Some(le), Some((before, bound))) = (le, previous)
            && bound < f64::INFINITY
        {
            assert!(bound < le && before.value <= sample.value, "{sample:?}");
        }
        if sample.name.ends_with("_count") {
            let infinite = previous.expect("buckets before the count");
            assert_eq!(
                (infinite.0.value, infinite.1),
                (sample.value, f64::INFINITY)
            );
        }
        previous = le.map(|le| (sample, le)).or(previous);
    }
}

fn sample(line: &str, format: Format) -> Sample {
    let end = line.find(['{', ' ']).expect("end of the name");
    let (name, rest) = line.split_at(end);
    assert!(is_name(name, ":_"), "{line}");
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest),
        None => (BTreeMap::new(), rest),
    };
    let rest = rest.strip_prefix(' ').expect("space before the value");
    let (value, tail) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
    let exemplar = tail.strip_prefix(" # {").map(|rest| {
        assert_eq!(format, Format::OpenMetrics);
        let (labels, rest) = self::labels(rest);
        let length: usize = labels
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        assert!(length <= 128, "OpenMetrics caps an exemplar's labels");
        let mut parts = rest.strip_prefix(' ').expect("space").split(' ');
        let value = number(parts.next().expect("value of the exemplar"));
        let time = parts.next().map(number);
        assert_eq!(parts.next(), None);
        (labels, value, time)
    });
    assert!(tail.is_empty() || exemplar.is_some(), "{line}");
    Sample {
        name: name.to_owned(),
        labels,
        value: number(value),
        exemplar,
        head: line[..line.len() - tail.len()].to_owned(),
        tail: tail.to_owned(),
    }
}

/// Labels up to `}`, and what follows.
fn labels(mut text: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    loop {
        let (name, rest) = text.split_once("=\"").expect("label");
        assert!(is_name(name, "_"), "{name}");
        let mut escaped = false;
        let end = rest.find(|character| {
            let end = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            end
        });
        let (value, rest) = rest.split_at(end.expect("closing quote"));
        assert!(
            labels
                .insert(name.to_owned(), unescape(value, true))
                .is_none(),
            "{name} twice"
        );
        match rest.as_bytes() {
            [b'"', b',', ..] => text = &rest[2..],
            [b'"', b'}', ..] => return (labels, &rest[2..]),
            _ => panic!("after a label: {rest}"),
        }
    }
}

fn unescape(text: &str, quotes: bool) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        assert!(character != '"' || !quotes, "unescaped quote: {text}");
        plain.push(match character {
            '\\' => match characters.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') if quotes => '"',
                other => panic!("unknown escape {other:?}: {text}"),
            },
            other => other,
        });
    }
    plain
}

fn is_name(name: &str, more: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        other => {
            assert!(
                other.ends_with(|last: char| last.is_ascii_digit()),
                "{other}"
            );
            other.parse().expect("number")
        }
    }
}
