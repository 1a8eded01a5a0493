//! A path as servers see it: its segments, with what means the same made the same.

use std::borrow::Cow;

use super::{placeholder::Placeholder, template::MAX_SEGMENTS};

/// The segments of a path, and whether it goes on after them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segments<'a> {
    /// At most [`MAX_SEGMENTS`].
    pub(super) all: Vec<Cow<'a, str>>,
    /// There are more.
    pub(super) cut: bool,
}

/// Splits a path at its slashes. Left out are query and fragment, empty segments (so a trailing
/// slash as well) and path parameters (`;jsessionid=...`, RFC 3986 section 3.3). Escaped characters
/// that need no escape are decoded (section 6.2.2.2), `.` and `..` are followed (section 5.2.4).
pub(super) fn segments(path: &str) -> Segments<'_> {
    let path = without_query(path);
    let mut all: Vec<Cow<'_, str>> = Vec::new();
    for raw in path.split('/') {
        let raw = raw.split(';').next().unwrap_or_default();
        let segment = unescaped(raw);
        match &*segment {
            "" | "." => {}
            ".." => {
                all.pop();
            }
            _ if all.len() == MAX_SEGMENTS => return Segments { all, cut: true },
            _ => all.push(segment),
        }
    }
    Segments { all, cut: false }
}

/// A request's target up to its query.
pub(super) fn without_query(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

/// The segment decoded where all of it may stand unescaped, else as it is.
fn unescaped(raw: &str) -> Cow<'_, str> {
    if !raw.contains('%') {
        return raw.into();
    }
    let decoded = percent_decode(raw);
    if is_plain(&decoded) {
        decoded.into()
    } else {
        raw.into()
    }
}

/// Whether a segment holds only what RFC 3986 allows in one unescaped, besides placeholders.
pub(super) fn is_plain(raw: &str) -> bool {
    let mut rest = raw;
    while let Some(first) = rest.chars().next() {
        let length = match Placeholder::prefix_of(rest) {
            Some(placeholder) => placeholder.as_str().len(),
            None if first.is_ascii_alphanumeric() => 1,
            None if "-._~!$&'()*+,=:@".contains(first) => 1,
            None => return false,
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    true
}

/// RFC 3986 section 2.1; bytes that make no UTF-8 become U+FFFD.
pub(super) fn percent_decode(raw: &str) -> String {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let hex = |byte: u8| char::from(byte).to_digit(16);
        let escape = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escape.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
