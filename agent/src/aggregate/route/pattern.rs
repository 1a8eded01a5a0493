//! Routes that the configuration names.

use std::{borrow::Cow, collections::HashMap, fmt, sync::Arc};

use super::template::MAX_SEGMENTS;

/// Longest pattern that is taken, in bytes.
const LENGTH_MAX: usize = 200;

/// A route as the configuration writes it: `/users/{id}/orders/{order}`.
///
/// A segment is text, or text with one `{name}` in it, which stands for anything that is not
/// empty (`{file}.pdf`, `Users({key})`). A last segment `*` stands for one or more segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Arc<str>,
    segments: Vec<Part>,
}

/// A segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Text(Box<str>),
    /// What stands before and after the value.
    Value(Box<str>, Box<str>),
    Rest,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It doesn't begin with a slash.
    #[error("a route that begins with /, such as /users/{{id}}")]
    Relative,
    /// It is longer than 200 bytes or has more than 12 segments.
    #[error("a route of at most 200 bytes and 12 segments")]
    Long,
    /// There are characters that no path has unescaped, or a query.
    #[error("a route of printable ASCII without spaces, quotes, %, ?, #, ; or \\")]
    Character,
    /// An empty segment, `.` or `..`.
    #[error("a route without empty segments, . and ..")]
    Segment,
    /// A brace without its other one, two values in a segment, or a name that is none.
    #[error("at most one {{name}} in a segment, its name of letters, digits and _")]
    Braces,
    /// `*` is not the whole of the last segment.
    #[error("* as the last segment only")]
    Rest,
}

impl Pattern {
    /// The pattern that a text spells.
    ///
    /// # Errors
    ///
    /// When it spells none.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let path = text.strip_prefix('/').ok_or(PatternError::Relative)?;
        let is_wrong = |byte: u8| !byte.is_ascii_graphic() || b"\"'%?#;\\<>^`|".contains(&byte);
        if text.len() > LENGTH_MAX {
            return Err(PatternError::Long);
        }
        if text.bytes().any(is_wrong) {
            return Err(PatternError::Character);
        }
        let segments = match path {
            "" => Vec::new(),
            path => path.split('/').map(Part::parse).collect::<Result<_, _>>()?,
        };
        let rest = segments.iter().position(|part| *part == Part::Rest);
        if rest.is_some_and(|place| place + 1 < segments.len()) {
            return Err(PatternError::Rest);
        }
        if segments.len() > MAX_SEGMENTS {
            return Err(PatternError::Long);
        }
        Ok(Self {
            text: text.into(),
            segments,
        })
    }

    /// Whether it stands for exactly the same paths as another one.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.segments == other.segments
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Part {
    fn parse(segment: &str) -> Result<Self, PatternError> {
        match segment {
            "" | "." | ".." => return Err(PatternError::Segment),
            "*" => return Ok(Self::Rest),
            _ if segment.contains('*') => return Err(PatternError::Rest),
            _ => {}
        }
        let Some((before, rest)) = segment.split_once('{') else {
            let closed = segment.contains('}');
            return if closed {
                Err(PatternError::Braces)
            } else {
                Ok(Self::Text(segment.into()))
            };
        };
        let (name, after) = rest.split_once('}').ok_or(PatternError::Braces)?;
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name || [before, after].iter().any(|text| text.contains(['{', '}'])) {
            return Err(PatternError::Braces);
        }
        Ok(Self::Value(before.into(), after.into()))
    }
}

/// A pattern among those of [`Patterns`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PatternId(usize);

/// All patterns, as a tree that finds the most specific one.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    texts: Vec<Arc<str>>,
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    texts: HashMap<Box<str>, Self>,
    /// Those with most text about their value first.
    values: Vec<(Box<str>, Box<str>, Self)>,
    rest: Option<PatternId>,
    end: Option<PatternId>,
}

impl Patterns {
    /// Of several that stand for the same paths the first one is taken.
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let mut all = Self::default();
        for pattern in patterns {
            let id = PatternId(all.texts.len());
            all.texts.push(Arc::clone(&pattern.text));
            all.root.insert(&pattern.segments, id);
        }
        all
    }

    /// The most specific pattern of a path: from its first segment on, text goes before text
    /// with a value in it, the more of it the better, that before a value alone, and that before
    /// `*`.
    pub(super) fn find(&self, segments: &[Cow<'_, str>], cut: bool) -> Option<PatternId> {
        if self.texts.is_empty() {
            return None;
        }
        self.root.find(segments, cut)
    }

    pub(super) fn text(&self, id: PatternId) -> Option<&Arc<str>> {
        self.texts.get(id.0)
    }
}

impl Node {
    fn insert(&mut self, segments: &[Part], id: PatternId) {
        let Some((first, rest)) = segments.split_first() else {
            self.end.get_or_insert(id);
            return;
        };
        match first {
            Part::Text(text) => self.texts.entry(text.clone()).or_default().insert(rest, id),
            Part::Rest => {
                self.rest.get_or_insert(id);
            }
            Part::Value(before, after) => self.value(before, after).insert(rest, id),
        }
    }

    fn value(&mut self, before: &str, after: &str) -> &mut Self {
        let found = self
            .values
            .iter()
            .position(|(left, right, _)| **left == *before && **right == *after);
        let place = found.unwrap_or_else(|| {
            let text = before.len() + after.len();
            let place = self
                .values
                .partition_point(|(left, right, _)| left.len() + right.len() >= text);
            let entry = (before.into(), after.into(), Self::default());
            self.values.insert(place, entry);
            place
        });
        &mut self.values[place].2
    }

    fn find(&self, segments: &[Cow<'_, str>], cut: bool) -> Option<PatternId> {
        let Some((first, rest)) = segments.split_first() else {
            // What goes on beyond its known segments is below `*` only.
            return if cut { self.rest } else { self.end };
        };
        let text = self.texts.get(&**first);
        text.and_then(|node| node.find(rest, cut))
            .or_else(|| {
                let mut values = self.values.iter();
                values.find_map(|(before, after, node)| {
                    let value = first.strip_prefix(&**before)?.strip_suffix(&**after)?;
                    (!value.is_empty()).then(|| node.find(rest, cut)).flatten()
                })
            })
            .or(self.rest)
    }
}

#[cfg(test)]
mod tests;
