//! Response heads.

use std::mem::MaybeUninit;

use httparse::Status;

use super::{
    FIELDS, Framing, Head, Parsed, Reader,
    fields::{Coding, ContentLength},
    lenient::{self, Section},
};
use crate::l7::{
    counters::Rejection,
    exchange::Method,
    headers::{Headers, Message},
};

/// A response's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::l7) struct Response {
    pub(in crate::l7) status: u16,
    length: ContentLength,
    coding: Coding,
    h2c: bool,
    /// Not all field lines were seen or well-formed.
    uncertain: bool,
    pub(in crate::l7) truncated: bool,
    pub(in crate::l7) headers: Headers,
}

impl Head for Response {
    fn parse(bytes: &[u8], reader: &mut Reader) -> Parsed<Self> {
        if let Some((value, length)) = reader.responses.find(bytes) {
            return Parsed::Complete { value, length };
        }
        let mut headers = [const { MaybeUninit::uninit() }; FIELDS];
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        match config.parse_response_with_uninit_headers(&mut response, bytes, &mut headers) {
            Ok(Status::Complete(length)) => {
                let mut section = Section::new(reader.selection.collect(Message::Response));
                for header in response.headers.iter() {
                    section.fields.add(header.name, header.value);
                }
                let Some(value) = response.code.and_then(|code| Self::new(code, &section)) else {
                    return Parsed::Invalid(Rejection::NotHttp);
                };
                if !section.fields.secret {
                    reader.responses.remember(bytes, length, &value);
                }
                Parsed::Complete { value, length }
            }
            Ok(Status::Partial) => Parsed::Partial,
            Err(_) => Self::parse_lenient(bytes, reader),
        }
    }

    fn salvage(bytes: &[u8], reader: &mut Reader) -> Option<Self> {
        let (line, start) = lenient::first_line(bytes)?;
        let kept = reader.selection.collect(Message::Response);
        let section = lenient::fields(bytes.get(start..)?, kept);
        let mut response = Self::new(status(line)?, &section)?;
        response.uncertain = true;
        response.truncated = true;
        Some(response)
    }
}

impl Response {
    /// `None` when the code is below 100: no status code (RFC 9110 section 15).
    fn new(status: u16, section: &Section<'_>) -> Option<Self> {
        (status >= 100).then_some(Self {
            status,
            length: section.fields.length,
            coding: section.fields.coding,
            h2c: section.fields.h2c,
            uncertain: section.malformed,
            truncated: false,
            headers: section.fields.kept.finish(),
        })
    }

    fn parse_lenient(bytes: &[u8], reader: &Reader) -> Parsed<Self> {
        let Some((line, start)) = lenient::first_line(bytes) else {
            // The strict parser has seen a fault in the line already.
            return Parsed::Invalid(Rejection::NotHttp);
        };
        let Some(status) = status(line) else {
            return Parsed::Invalid(Rejection::NotHttp);
        };
        let kept = reader.selection.collect(Message::Response);
        match lenient::section(bytes, start, kept) {
            None => Parsed::Partial,
            Some((section, length)) => match Self::new(status, &section) {
                Some(value) => Parsed::Complete { value, length },
                None => Parsed::Invalid(Rejection::NotHttp),
            },
        }
    }

    /// Whether a final answer follows this one (RFC 9110 section 15.2).
    pub(in crate::l7) const fn is_interim(&self) -> bool {
        self.status / 100 == 1 && self.status != 101
    }

    /// Whether the connection goes on as HTTP/2, which answers the request (RFC 7540 section 3.2).
    pub(in crate::l7) const fn is_http2_upgrade(&self) -> bool {
        self.status == 101 && self.h2c
    }

    /// How the body ends, by the request's method when it is known.
    pub(in crate::l7) fn framing(&self, method: Option<Method>) -> Framing {
        let connected = method == Some(Method::Connect) && self.status / 100 == 2;
        if self.status == 101 || connected {
            return Framing::Tunnel;
        }
        if self.truncated {
            return Framing::Unknown;
        }
        if method == Some(Method::Head) || matches!(self.status, 100..=199 | 204 | 304) {
            return Framing::Length(0);
        }
        match (self.coding, self.length) {
            _ if self.uncertain => Framing::Unknown,
            (Coding::Chunked, _) => Framing::Chunked,
            (Coding::Other, _) | (Coding::Absent, ContentLength::Absent) => Framing::UntilClose,
            (Coding::Absent, ContentLength::Known(length)) => Framing::Length(length),
            (Coding::Absent, ContentLength::Invalid) => Framing::Unknown,
        }
    }
}

/// The code of a status line.
fn status(line: &[u8]) -> Option<u16> {
    match line.strip_prefix(b"HTTP/1.")? {
        [b'0'..=b'9', b' ', code @ ..] if matches!(code.get(3), None | Some(b' ')) => {
            std::str::from_utf8(code.get(..3)?).ok()?.parse().ok()
        }
        _ => None,
    }
}
