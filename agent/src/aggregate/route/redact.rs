//! What of a path is kept on a span.

use std::{borrow::Cow, fmt::Write as _};

use super::{
    path::{percent_decode, without_query},
    secret,
};
use crate::l7::headers::MASK;

/// Longest text without `@` that is too short for any secret.
const HARMLESS: usize = 12;

/// The path as a span keeps it: secrets replaced by [`MASK`], control characters and white
/// space percent-encoded. Everything else as sent. Says also whether it was cut at `limit` bytes.
#[must_use]
pub fn redacted(path: &str, limit: usize) -> (Cow<'_, str>, bool) {
    let path = without_query(path);
    if path.len() <= limit && path.split('/').all(is_harmless) {
        return (path.into(), false);
    }
    let mut kept = String::with_capacity(path.len().min(limit));
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            kept.push('/');
        }
        push_redacted(&mut kept, segment);
        if kept.len() > limit {
            let end = (0..=limit).rev().find(|end| kept.is_char_boundary(*end));
            kept.truncate(end.unwrap_or(0));
            return (kept.into(), true);
        }
    }
    (kept.into(), false)
}

/// Whether a segment can be kept at first sight, as most are.
fn is_harmless(segment: &str) -> bool {
    segment.len() <= HARMLESS
        && segment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

fn push_redacted(kept: &mut String, segment: &str) {
    let (name, parameters) = match segment.split_once(';') {
        Some((name, parameters)) => (name, Some(parameters)),
        None => (segment, None),
    };
    if has_secret(name) {
        kept.push_str(MASK);
    } else {
        name.chars()
            .for_each(|character| push_escaped(kept, character));
    }
    // Parameters carry session ids more often than anything else.
    if parameters.is_some_and(|parameters| !parameters.is_empty()) {
        kept.push(';');
        kept.push_str(MASK);
    }
}

/// Whether there is a secret in a segment, escaped or not, or escaped more than once.
fn has_secret(segment: &str) -> bool {
    /// More rounds are no mistake of a program any more.
    const ROUNDS: usize = 3;
    let mut text = Cow::Borrowed(segment);
    for _ in 0..ROUNDS {
        if secret::is_in(&text) {
            return true;
        }
        if !text.contains('%') {
            return false;
        }
        text = percent_decode(&text).into();
    }
    secret::is_in(&text)
}

fn push_escaped(kept: &mut String, character: char) {
    if character.is_control() || character.is_whitespace() {
        let mut buffer = [0; 4];
        for byte in character.encode_utf8(&mut buffer).bytes() {
            // Writing into a String doesn't fail.
            let _ = write!(kept, "%{byte:02X}");
        }
    } else {
        kept.push(character);
    }
}
