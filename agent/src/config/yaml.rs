//! A YAML document as a tree of texts, each with its place.
//!
//! Scalars stay texts: what they mean is the setting's business, so that `off` is the word off and
//! not false. Of YAML's features a configuration file needs mappings, sequences and scalars;
//! aliases, several documents and mappings as keys are refused with their place.

use std::fmt;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span};

/// Nesting beyond which a file is refused: the deepest setting is at 4.
const DEPTH_MAX: usize = 16;

/// A place in a file, both counted from 1; columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Position {
    /// Where a file starts.
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

impl From<&Marker> for Position {
    fn from(marker: &Marker) -> Self {
        Self {
            line: marker.line().max(1),
            column: marker.col() + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// Text that is not YAML, or more of YAML than is taken here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) position: Position,
    pub(super) message: String,
}

/// A value with its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) position: Position,
    pub(super) content: Content,
}

/// What a node holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing, `~` or `null`.
    Null,
    /// Any other scalar.
    Scalar(String),
    /// `- a` or `[a]`.
    Sequence(Vec<Node>),
    /// `key: value`, in the file's order; a key may stand twice.
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) key: String,
    pub(super) value: Node,
}

/// The only document of `text`; null when there is none.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
    };
    let mut document = None;
    loop {
        let (event, position) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            _ if document.is_some() => return Err(refuse(position, "a second document")),
            event => document = Some(reader.node(event, position, 0)?),
        }
    }
    Ok(document.unwrap_or(Node {
        position: Position::START,
        content: Content::Null,
    }))
}

fn refuse(position: Position, what: &str) -> SyntaxError {
    SyntaxError {
        position,
        message: format!("{what} is not taken here"),
    }
}

struct Reader<'input> {
    parser: Parser<'input, granit_parser::StrInput<'input>>,
}

impl<'input> Reader<'input> {
    fn next(&mut self) -> Result<(Event<'input>, Position), SyntaxError> {
        let end = || Ok((Event::StreamEnd, Span::empty(Marker::new(0, 1, 0))));
        let is_comment =
            |event: &Result<(Event<'_>, Span), _>| matches!(event, Ok((Event::Comment(..), _)));
        let event = self.parser.by_ref().find(|event| !is_comment(event));
        match event.unwrap_or_else(end) {
            Ok((event, span)) => Ok((event, Position::from(&span.start))),
            Err(error) => Err(SyntaxError {
                position: error.marker().into(),
                message: error.info().clone(),
            }),
        }
    }

    fn node(
        &mut self,
        event: Event<'input>,
        position: Position,
        depth: usize,
    ) -> Result<Node, SyntaxError> {
        if depth > DEPTH_MAX {
            return Err(refuse(position, "nesting this deep"));
        }
        let content = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => Content::Null,
            Event::Scalar(text, ..) => Content::Scalar(text.into_owned()),
            Event::SequenceStart(..) => self.sequence(depth)?,
            Event::MappingStart(..) => self.mapping(depth)?,
            Event::Alias(..) => return Err(refuse(position, "an alias")),
            _ => return Err(refuse(position, "this")),
        };
        Ok(Node { position, content })
    }

    fn sequence(&mut self, depth: usize) -> Result<Content, SyntaxError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::Sequence(items)),
                (event, position) => items.push(self.node(event, position, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Content, SyntaxError> {
        let mut entries = Vec::new();
        loop {
            let (key, position) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Content::Mapping(entries)),
                (Event::Scalar(key, ..), position) => (key.into_owned(), position),
                (_, position) => return Err(refuse(position, "a key that is no plain text")),
            };
            let (event, place) = self.next()?;
            let value = self.node(event, place, depth + 1)?;
            entries.push(Entry {
                position,
                key,
                value,
            });
        }
    }
}

/// Null of the YAML core schema (YAML 1.2.2, section 10.3.2).
fn is_null(plain: &str) -> bool {
    matches!(plain, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(line: usize, column: usize) -> Position {
        Position { line, column }
    }

    #[test]
    fn places_are_those_an_editor_shows() {
        let Content::Mapping(entries) = parse("a: 1\nb:\n  c: [x, off]\n").unwrap().content else {
            panic!("not a mapping");
        };
        assert_eq!(entries[0].value.position, at(1, 4));
        assert_eq!(
            (entries[1].position, entries[1].key.as_str()),
            (at(2, 1), "b")
        );
        let Content::Mapping(inner) = &entries[1].value.content else {
            panic!("not a mapping");
        };
        let Content::Sequence(items) = &inner[0].value.content else {
            panic!("not a sequence");
        };
        assert_eq!(items[1].position, at(3, 10));
        assert_eq!(items[1].content, Content::Scalar("off".into()));
    }

    #[test]
    fn nothing_and_null_are_null_but_quoted_null_is_text() {
        for text in ["", "# only a comment\n", "---\n", "~", "null"] {
            assert_eq!(parse(text).unwrap().content, Content::Null, "{text:?}");
        }
        assert_eq!(
            parse("'null'").unwrap().content,
            Content::Scalar("null".into())
        );
    }

    #[test]
    fn what_a_configuration_does_not_need_is_refused_with_its_place() {
        let place = |text| parse(text).unwrap_err().position;
        assert_eq!(place("a: &x 1\nb: *x\n"), at(2, 4));
        assert_eq!(place("a: 1\n---\nb: 2\n").line, 3);
        assert_eq!(place("[a]: 1\n"), at(1, 1));
        assert_eq!(
            place(&format!("{}{}", "[".repeat(100), "]".repeat(100))),
            at(1, 18)
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a-z0-9:\\[\\]{},&*#'\"|>%!? \n\t\u{0}]{0,200}") {
            let _ = parse(&text);
        }
    }
}
