//! A request's path to its route template, and to what of it may be kept on a span.

use std::{borrow::Cow, fmt::Write as _};

use super::{classify, placeholder::Placeholder};

/// Longest route in bytes, without a trailing `/{rest}`.
pub const MAX_LENGTH: usize = 200;
/// Most segments of a route, without a trailing `{rest}`.
pub const MAX_SEGMENTS: usize = 12;
/// Longest segment that is taken for a name.
const MAX_SEGMENT: usize = 64;
/// Longest run of letters before figures that is taken for a name with a number (`user1234`).
const MAX_STEM: usize = 16;
/// Fewest figures after a name that are taken for a number, so that `oauth2` and `http2` stay.
const MIN_SUFFIX: usize = 3;
/// What stands in a kept path for what must not be kept.
pub const REDACTED: &str = "REDACTED";

/// The route of a path: values become placeholders such as `{id}`.
///
/// Always printable ASCII, at most [`MAX_LENGTH`] + 7 bytes, and a route is its own route.
/// Empty segments, a trailing slash and path parameters (`;jsessionid=...`, RFC 3986 section 3.3)
/// are left out. Empty when the path is (CONNECT); `*` stays (RFC 9112 section 3.2.4).
#[must_use]
pub fn route(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() || path == "*" {
        return path.to_owned();
    }
    let mut route = String::with_capacity(path.len().min(MAX_LENGTH) + 8);
    let mut segments = 0;
    for raw in path.split('/') {
        let raw = raw.split(';').next().unwrap_or_default();
        if raw.is_empty() {
            continue;
        }
        let before = route.len();
        route.push('/');
        push_segment(&mut route, raw);
        segments += 1;
        let full = segments > MAX_SEGMENTS || route.len() > MAX_LENGTH;
        if full || route.get(before + 1..) == Some(Placeholder::Rest.as_str()) {
            route.truncate(before + 1);
            route.push_str(Placeholder::Rest.as_str());
            break;
        }
    }
    if route.is_empty() {
        route.push('/');
    }
    route
}

/// Adds a segment's part of the route.
fn push_segment(route: &mut String, raw: &str) {
    let start = route.len();
    if raw.len() > MAX_SEGMENT && classify::segment(raw).is_none() || !is_plain(raw) {
        let decoded = classify::segment(&percent_decode(raw));
        let email = decoded.filter(|placeholder| *placeholder == Placeholder::Email);
        route.push_str(email.unwrap_or(Placeholder::Text).as_str());
        return;
    }
    if let Some(placeholder) = classify::segment(raw) {
        route.push_str(placeholder.as_str());
        return;
    }
    for part in Parts(raw) {
        match part {
            Part::Placeholder(placeholder) => route.push_str(placeholder.as_str()),
            Part::Separator(byte) => route.push(byte),
            Part::Piece(piece) => push_piece(route, piece),
        }
    }
    if route.len() - start > MAX_SEGMENT {
        route.truncate(start);
        route.push_str(Placeholder::Text.as_str());
    }
}

fn push_piece(route: &mut String, piece: &str) {
    if let Some(placeholder) = classify::piece(piece) {
        route.push_str(placeholder.as_str());
        return;
    }
    let stem = piece.trim_end_matches(|character: char| character.is_ascii_digit());
    let is_name = stem.len() <= MAX_STEM && stem.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_name && piece.len() - stem.len() >= MIN_SUFFIX {
        route.push_str(stem);
        route.push_str(Placeholder::Id.as_str());
    } else {
        route.push_str(piece);
    }
}

/// Part of a segment.
enum Part<'a> {
    Placeholder(Placeholder),
    Separator(char),
    Piece(&'a str),
}

/// Splits a segment at everything that is neither letter nor figure.
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let first = self.0.chars().next()?;
        if let Some(placeholder) = Placeholder::prefix_of(self.0) {
            self.0 = self.0.strip_prefix(placeholder.as_str())?;
            return Some(Part::Placeholder(placeholder));
        }
        let end = self
            .0
            .find(|character: char| !character.is_alphanumeric())
            .unwrap_or(self.0.len());
        if end == 0 {
            self.0 = self.0.strip_prefix(first)?;
            return Some(Part::Separator(first));
        }
        let (piece, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(Part::Piece(piece))
    }
}

/// Whether a segment holds only what RFC 3986 allows in one unescaped, besides placeholders.
fn is_plain(raw: &str) -> bool {
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
fn percent_decode(raw: &str) -> String {
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

/// Longest text without `@` that is too short for any secret.
const HARMLESS: usize = 12;

/// The path as a span keeps it: secrets replaced by [`REDACTED`], control characters and white
/// space percent-encoded. Everything else as sent. Says also whether it was cut at `limit` bytes.
#[must_use]
pub fn redacted(path: &str, limit: usize) -> (Cow<'_, str>, bool) {
    let path = path.split(['?', '#']).next().unwrap_or_default();
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
    if classify::is_secret(name) || classify::is_secret(&percent_decode(name)) {
        kept.push_str(REDACTED);
    } else {
        for part in Parts(name) {
            match part {
                Part::Piece(piece) if classify::is_secret(piece) => kept.push_str(REDACTED),
                Part::Piece(text) => kept.push_str(text),
                Part::Placeholder(placeholder) => kept.push_str(placeholder.as_str()),
                Part::Separator(character) => push_escaped(kept, character),
            }
        }
    }
    // Parameters carry session ids more often than anything else.
    if parameters.is_some_and(|parameters| !parameters.is_empty()) {
        kept.push(';');
        kept.push_str(REDACTED);
    }
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
