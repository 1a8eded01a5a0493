//! A configuration as YAML that resolves to the same configuration.

use std::borrow::Cow;

use super::{
    Config,
    file::SWITCH_KEY,
    setting::{self, Setting, Shape},
};

/// Stands in the place of secrets.
const REDACTED: &str = "REDACTED";

/// The whole configuration as a file would say it; secrets are redacted, what is unset is left
/// out.
#[must_use]
pub fn to_yaml(config: &Config) -> String {
    let mut settings: Vec<_> = setting::all()
        .iter()
        .map(|setting| (path(setting), setting))
        .collect();
    settings.sort_by(|left, right| left.0.cmp(&right.0));
    let mut text = String::new();
    let mut open: Vec<&str> = Vec::new();
    for (path, setting) in settings {
        let words = setting.get(config);
        let Some((key, sections)) = path.split_last().filter(|_| !words.is_empty()) else {
            continue;
        };
        let shared = open
            .iter()
            .zip(sections)
            .take_while(|(left, right)| left == right);
        open.truncate(shared.count());
        for section in &sections[open.len()..] {
            line(&mut text, open.len(), &format!("{section}:"));
            open.push(section);
        }
        line(
            &mut text,
            open.len(),
            &format!("{key}: {}", value(setting, &words)),
        );
    }
    text
}

/// The keys that lead to a setting in the file.
fn path(setting: &Setting) -> Vec<&'static str> {
    let mut path: Vec<_> = setting.name.split('.').collect();
    let below = format!("{}.", setting.name);
    if setting::all()
        .iter()
        .any(|other| other.name.starts_with(&below))
    {
        path.push(SWITCH_KEY);
    }
    path
}

fn line(text: &mut String, depth: usize, content: &str) {
    text.push_str(&"  ".repeat(depth));
    text.push_str(content);
    text.push('\n');
}

fn value(setting: &Setting, words: &[String]) -> String {
    if setting.secret {
        return REDACTED.to_owned();
    }
    let words: Vec<_> = words
        .iter()
        .map(|word| quoted(&without_password(word)))
        .collect();
    match setting.shape {
        Shape::Many => format!("[{}]", words.join(", ")),
        Shape::One | Shape::Switch => words.join(""),
    }
}

/// A scalar, quoted unless any reader takes it as text or number as it stands. JSON strings are
/// YAML (YAML 1.2.2, section 1.3).
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let reserved = ["", "~", "null", "Null", "NULL", "-", "---", "..."];
    let starts_plain = word.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    if starts_plain && word.chars().all(plain) && !reserved.contains(&word) {
        word.to_owned()
    } else {
        serde_json::Value::from(word).to_string()
    }
}

/// A URL without its user and password (RFC 3986, section 3.2.1); other texts as they are.
fn without_password(word: &str) -> Cow<'_, str> {
    let authority = word.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let at = rest.get(..end)?.rfind('@')?;
        Some((scheme, rest.get(at..)?))
    });
    authority.map_or(word.into(), |(scheme, rest)| {
        format!("{scheme}://{REDACTED}{rest}").into()
    })
}
