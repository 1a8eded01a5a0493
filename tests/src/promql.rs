//! Which series a `PromQL` expression names, and by which labels: as much of the language as
//! dashboards and alert rules use. Whether an expression is valid is for promtool to say.

use std::collections::{BTreeMap, BTreeSet};

/// What an expression asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// Name of the series, with its suffix (`_count`, `_bucket`).
    pub series: String,
    /// Labels in its matchers, and those that aggregations around it keep (`by`).
    pub labels: BTreeSet<String>,
    /// What it asks of labels: those that are to be one of these texts (`=`, and `=~` with nothing in
    /// it but `|`).
    pub values: BTreeMap<String, BTreeSet<String>>,
}

/// Words before a list of labels.
const CLAUSES: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// Words that look like the name of a series.
const WORDS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "inf", "nan"];

/// The selectors of an expression, from left to right.
#[must_use]
pub fn selectors(expression: &str) -> Vec<Selector> {
    let tokens = tokens(expression);
    let mut found = Vec::new();
    // Labels kept by the aggregation around each open parenthesis.
    let mut around: Vec<BTreeSet<String>> = Vec::new();
    let mut kept = BTreeSet::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let next = tokens.get(at + 1).copied();
        match *token {
            "(" => around.push(std::mem::take(&mut kept)),
            ")" => drop(around.pop()),
            "[" => at = closing(&tokens, at, "]"),
            clause if CLAUSES.contains(&clause) && next == Some("(") => {
                let end = closing(&tokens, at, ")");
                if clause == "by" {
                    kept = words(tokens.get(at..end).unwrap_or_default().iter().skip(1));
                }
                at = end;
            }
            name if is_series(name, next) => {
                let mut labels: BTreeSet<_> = around.iter().flatten().cloned().collect();
                let mut values = BTreeMap::new();
                if next == Some("{") {
                    let end = closing(&tokens, at, "}");
                    let matchers = tokens.get(at + 2..end).unwrap_or_default();
                    labels.extend(words(matchers.iter()));
                    values = matchers
                        .split(|token| *token == ",")
                        .filter_map(value)
                        .collect();
                    at = end;
                }
                found.push(Selector {
                    series: name.to_owned(),
                    labels,
                    values,
                });
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn is_series(name: &str, next: Option<&str>) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && !WORDS.contains(&name)
        && !CLAUSES.contains(&name)
        && !matches!(next, Some("(" | "by" | "without"))
}

/// The label of a matcher, and the texts of which it is to be one.
fn value(matcher: &[&str]) -> Option<(String, BTreeSet<String>)> {
    let (label, texts): (_, Vec<&str>) = match matcher {
        [label, "=", text] => (label, vec![text.strip_prefix('"')?]),
        [label, "=", "~", text] => (label, text.strip_prefix('"')?.split('|').collect()),
        _ => return None,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    texts.iter().all(|text| text.chars().all(plain)).then(|| {
        let texts = texts.into_iter().map(str::to_owned).collect();
        ((*label).to_owned(), texts)
    })
}

/// The labels that a legend (`{{label}}`) or an annotation (`{{ $labels.label }}`) names.
#[must_use]
pub fn named(template: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for inside in template.split("{{").skip(1) {
        let inside = inside.split("}}").next().unwrap_or_default();
        let word = |text: &str| -> String {
            let end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
            text.split(end).next().unwrap_or_default().to_owned()
        };
        match inside.split_once("$labels.") {
            Some((_, rest)) => named.extend(rest.split("$labels.").map(word)),
            None if word(inside) == inside => drop(named.insert(word(inside))),
            None => {}
        }
    }
    named
}

/// The identifiers among the tokens.
fn words<'a>(tokens: impl Iterator<Item = &'a &'a str>) -> BTreeSet<String> {
    tokens
        .filter(|token| token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
        .map(|token| (*token).to_owned())
        .collect()
}

/// Where the next `close` stands.
fn closing(tokens: &[&str], from: usize, close: &str) -> usize {
    let rest = tokens.iter().skip(from);
    from + rest.take_while(|token| **token != close).count()
}

/// Words, numbers and signs; of quoted texts what is within, after one quote.
fn tokens(expression: &str) -> Vec<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
    let mut tokens = Vec::new();
    let mut start = 0;
    for (index, part) in expression.split('"').enumerate() {
        let end = start + part.len();
        let is_quoted = index % 2 == 1;
        if is_quoted {
            tokens.extend(expression.get(start - 1..end));
        }
        start = end + 1;
        let mut rest = if is_quoted { "" } else { part };
        while let Some(first) = rest.chars().next() {
            let length = match rest.find(|c| !word(c)) {
                Some(0) => first.len_utf8(),
                Some(end) => end,
                None => rest.len(),
            };
            let (token, after) = rest.split_at(length);
            if !token.trim().is_empty() {
                tokens.push(token);
            }
            rest = after;
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_taken_apart() {
        for (expression, expected) in [
            ("up == 0", &[("up", &[][..])][..]),
            (
                r#"sum by (a, le) (rate(x_total{b="c{d}", e=~"f"}[5m])) / y > 0.05"#,
                &[("x_total", &["a", "b", "e", "le"]), ("y", &[])],
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(h_bucket[5m])))",
                &[("h_bucket", &["le"])],
            ),
            (
                "topk(10, sum(z) without (q)) or a unless b",
                &[("z", &[]), ("a", &[]), ("b", &[])],
            ),
            (
                "a * on (i) group_left (j) b offset 5m",
                &[("a", &[]), ("b", &[])],
            ),
            ("a * on (i) group_left b", &[("a", &[]), ("b", &[])]),
            (
                "max by (m) (sum by (m, n) (p) / q{r!=\"\"}) + s",
                &[("p", &["m", "n"]), ("q", &["m", "r"]), ("s", &[])],
            ),
        ] {
            let found = selectors(expression);
            let found: Vec<_> = found
                .iter()
                .map(|selector| {
                    let labels = selector.labels.iter().map(String::as_str);
                    (selector.series.as_str(), labels.collect::<Vec<_>>())
                })
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(series, labels)| (*series, labels.to_vec()))
                .collect();
            assert_eq!(found, expected, "{expression}");
        }
    }

    #[test]
    fn values_that_a_label_must_have_are_known() {
        let expression = r#"a{b="c", d=~"e|f", g!="h", i=~"j.*", k="x, y} z"} + l{m=""}"#;
        let found = selectors(expression);
        let values: Vec<_> = found.iter().map(|selector| &selector.values).collect();
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let first = BTreeMap::from([
            ("b".to_owned(), set(&["c"])),
            ("d".to_owned(), set(&["e", "f"])),
        ]);
        let second = BTreeMap::from([("m".to_owned(), set(&[""]))]);
        assert_eq!(values, [&first, &second]);
    }

    #[test]
    fn templates_name_labels() {
        for (template, expected) in [
            ("p99", &[][..]),
            ("{{a}} {{b_c}} used", &["a", "b_c"]),
            ("{{ $labels.a }} is {{ $value | humanize }}", &["a"]),
            (
                "{{ or $labels.a $labels.b }}{{ if $labels.c }}d{{ else }}e{{ end }}",
                &["a", "b", "c"],
            ),
        ] {
            let found = named(template);
            let found: Vec<_> = found.iter().map(String::as_str).collect();
            assert_eq!(found, expected, "{template}");
        }
    }
}
