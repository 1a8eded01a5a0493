//! The shapes in a request's path: what is a value at first sight.

use super::{
    classify,
    path::{self, Segments, is_plain, percent_decode},
    placeholder::Placeholder,
    secret,
};

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
/// The route of a path as far as shapes tell: values become placeholders such as `{id}`.
///
/// Always printable ASCII, at most [`MAX_LENGTH`] + 7 bytes, and a route is its own route. Empty
/// when the path is (CONNECT); `*` stays (RFC 9112 section 3.2.4).
#[must_use]
pub fn route(path: &str) -> String {
    match path::without_query(path) {
        whole @ ("" | "*") => whole.to_owned(),
        path => of(&path::segments(path)),
    }
}

/// The route of a path with these segments.
pub(super) fn of(segments: &Segments<'_>) -> String {
    let mut route = String::new();
    for segment in &segments.all {
        let before = route.len();
        route.push('/');
        push_segment(&mut route, segment);
        let rest = route.get(before + 1..) == Some(Placeholder::Rest.as_str());
        if rest || route.len() > MAX_LENGTH {
            route.truncate(before);
            return route + "/" + Placeholder::Rest.as_str();
        }
    }
    if segments.cut {
        route.push('/');
        route.push_str(Placeholder::Rest.as_str());
    } else if route.is_empty() {
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
    if secret::is_hidden_in(raw) {
        route.push_str(Placeholder::Token.as_str());
        return;
    }
    for part in Parts(raw) {
        match part {
            Part::Placeholder(placeholder) => route.push_str(placeholder.as_str()),
            Part::Separator(byte) => route.push(byte),
            Part::Piece(piece) => push_piece(route, piece),
        }
    }
    let made = route.get(start..).unwrap_or_default();
    // With values out of the way, what is left may look otherwise.
    let placeholder = if secret::is_hidden_in(made) {
        Placeholder::Token
    } else if made.len() > MAX_SEGMENT {
        Placeholder::Text
    } else {
        return;
    };
    route.truncate(start);
    route.push_str(placeholder.as_str());
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
