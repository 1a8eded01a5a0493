//! Heads that a strict parser refuses, but that servers answer all the same: control bytes or
//! spaces in the target, hundreds of fields, malformed field lines. The answer is often a 400,
//! and it must be counted.

use super::fields::Fields;
use crate::l7::headers::Collector;

/// Longest method that is taken for one (the longest registered one has 17 letters).
const METHOD_MAX: usize = 64;

/// What stands at the front of some bytes, read without strictness.
#[derive(Debug)]
pub(super) enum Lenient<T> {
    /// No whole line, or no blank line, yet.
    Partial,
    /// A head, and its length with the blank line.
    Head(T, usize),
    /// The first line is none of HTTP/1.
    NotHttp,
    /// A request line without a version, as HTTP/0.9 had it.
    Http09,
}

/// A request line's parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a [u8],
    pub(super) version: &'static str,
}

/// What became of a line that should be a request line.
#[derive(Debug)]
pub(super) enum Line<'a> {
    Request(RequestLine<'a>),
    Http09,
    NotHttp,
}

/// Field lines, and whether all of them were well-formed: if not, the framing is anyone's guess
/// (RFC 9112 sections 2.2 and 5.1).
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) fields: Fields<'a>,
    pub(super) malformed: bool,
}

/// The first line without its end, and the length with it.
pub(super) fn first_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = bytes.get(..end)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), end + 1))
}

/// The length of the field lines with the blank line.
fn blank_line(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some((line, length)) = first_line(bytes.get(at..)?) {
        at += length;
        if line.is_empty() {
            return Some(at);
        }
    }
    None
}

/// Whether bytes with no line end yet can still become a request line.
pub(super) fn may_become_request(bytes: &[u8]) -> bool {
    let method = bytes.iter().position(|byte| *byte == b' ');
    let token = bytes.get(..method.unwrap_or(bytes.len())).unwrap_or(bytes);
    token.len() <= METHOD_MAX && token.iter().all(|byte| is_token(*byte)) && method != Some(0)
}

/// Splits a request line at its first and last space.
pub(super) fn request_line(line: &[u8]) -> Line<'_> {
    let mut halves = line.splitn(2, |byte| *byte == b' ');
    let (Some(method), Some(rest)) = (halves.next(), halves.next()) else {
        return Line::NotHttp;
    };
    let is_method = (1..=METHOD_MAX).contains(&method.len()) && method.iter().all(|b| is_token(*b));
    let Some(method) = std::str::from_utf8(method).ok().filter(|_| is_method) else {
        return Line::NotHttp;
    };
    let rest = rest.trim_ascii();
    let Some(space) = rest.iter().rposition(|byte| *byte == b' ') else {
        // HTTP/0.9 knew GET only.
        let simple = method == "GET" && rest.first() == Some(&b'/');
        return if simple { Line::Http09 } else { Line::NotHttp };
    };
    let (target, version) = rest.split_at(space);
    let version = match version.trim_ascii() {
        b"HTTP/1.0" => "1.0",
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => "1.1",
        _ => return Line::NotHttp,
    };
    Line::Request(RequestLine {
        method,
        target: target.trim_ascii(),
        version,
    })
}

/// A whole request head.
pub(super) fn request<'a>(
    bytes: &'a [u8],
    kept: Collector<'a>,
) -> Lenient<(RequestLine<'a>, Section<'a>)> {
    let Some((line, start)) = first_line(bytes) else {
        return if may_become_request(bytes) {
            Lenient::Partial
        } else {
            Lenient::NotHttp
        };
    };
    match request_line(line) {
        Line::NotHttp => Lenient::NotHttp,
        Line::Http09 => Lenient::Http09,
        Line::Request(line) => match section(bytes, start, kept) {
            Some((section, length)) => Lenient::Head((line, section), length),
            None => Lenient::Partial,
        },
    }
}

/// The field lines after the first line, when their blank line is there.
pub(super) fn section<'a>(
    bytes: &'a [u8],
    start: usize,
    kept: Collector<'a>,
) -> Option<(Section<'a>, usize)> {
    let lines = bytes.get(start..)?;
    let length = blank_line(lines)?;
    Some((fields(lines.get(..length)?, kept), start + length))
}

/// As many whole field lines as there are.
pub(super) fn fields<'a>(mut lines: &'a [u8], kept: Collector<'a>) -> Section<'a> {
    let mut section = Section::new(kept);
    while let Some((line, length)) = first_line(lines) {
        if line.is_empty() {
            break;
        }
        section.add(line);
        lines = lines.get(length..).unwrap_or_default();
    }
    section
}

impl<'a> Section<'a> {
    pub(super) fn new(kept: Collector<'a>) -> Self {
        Self {
            fields: Fields::new(kept),
            malformed: false,
        }
    }

    fn add(&mut self, line: &'a [u8]) {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let name = halves
            .next()
            .and_then(|name| std::str::from_utf8(name).ok());
        match (name, halves.next()) {
            (Some(name), Some(value)) if !name.is_empty() && name.bytes().all(is_token) => {
                self.fields.add(name, value.trim_ascii());
            }
            _ => self.malformed = true,
        }
    }
}

/// `tchar` of RFC 9110 section 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}
