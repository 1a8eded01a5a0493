//! HTTP/1.x message heads (RFC 9112): bytes to what an exchange keeps of them.
//!
//! httparse reads what is well-formed; what it refuses goes through [`lenient`] before it is
//! rejected; what repeats is read once ([`memo`]). Of the header fields only `Host`, `User-Agent`,
//! `traceparent` and those that were asked for by name are kept, of the target everything but the
//! query.

mod fields;
mod lenient;
mod memo;
mod response;
#[cfg(test)]
mod tests;

use std::{mem::MaybeUninit, sync::Arc};

use httparse::Status;

use self::{
    fields::{Coding, ContentLength, Fields},
    lenient::{Lenient, Line, RequestLine},
    memo::Memo,
};
pub(super) use self::{
    fields::{Target, without_userinfo},
    response::Response,
};
use super::{
    counters::Rejection,
    exchange::{Method, TraceParent},
    headers::{Headers, Message, Selection},
    text::Interner,
};

/// Longest path that is kept, in bytes.
pub(super) const PATH_MAX: usize = 4096;
/// Longest host, user agent and unknown method that are kept, in bytes.
pub(super) const TEXT_MAX: usize = 256;
/// Header fields that the fast way has room for.
const FIELDS: usize = 64;

/// What stands at the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed<T> {
    /// A whole head of this many bytes.
    Complete { value: T, length: usize },
    /// The beginning of one.
    Partial,
    /// None.
    Invalid(Rejection),
}

/// What reading heads leaves behind for the next ones.
pub(super) struct Reader {
    pub(super) texts: Interner,
    requests: Memo<Request>,
    responses: Memo<Response>,
    pub(super) selection: Selection,
}

impl Reader {
    /// A reader that keeps the fields of `selection`.
    pub(super) fn new(selection: Selection) -> Self {
        Self {
            selection,
            texts: Interner::new(),
            requests: Memo::new(),
            responses: Memo::new(),
        }
    }
}

/// A message head that can be read from the front of some bytes.
pub(super) trait Head: Sized {
    /// Reads a whole head.
    fn parse(bytes: &[u8], reader: &mut Reader) -> Parsed<Self>;

    /// Reads what can be read of a head whose end is not there. `None` when that is too little
    /// to say that it is one.
    fn salvage(bytes: &[u8], reader: &mut Reader) -> Option<Self>;
}

/// How the end of a body is found, RFC 9112 section 6.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the last chunk and its trailers.
    Chunked,
    /// With the connection.
    UntilClose,
    /// No message follows on this connection: an upgrade, or a tunnel.
    Tunnel,
    /// The head doesn't tell, or not all of it was seen.
    Unknown,
}

/// A request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) method_original: Option<Arc<str>>,
    pub(super) path: Arc<str>,
    pub(super) host: Option<Arc<str>>,
    pub(super) user_agent: Option<Arc<str>>,
    pub(super) version: &'static str,
    pub(super) parent: Option<TraceParent>,
    pub(super) headers: Headers,
    pub(super) framing: Framing,
    /// The body comes only if the server asks for it, or if the client doesn't wait.
    pub(super) offers: bool,
    pub(super) truncated: bool,
}

impl Head for Request {
    fn parse(bytes: &[u8], reader: &mut Reader) -> Parsed<Self> {
        if let Some((value, length)) = reader.requests.find(bytes) {
            return Parsed::Complete { value, length };
        }
        let mut headers = [const { MaybeUninit::uninit() }; FIELDS];
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, &mut headers) {
            Ok(Status::Complete(length)) => {
                let line = RequestLine {
                    method: request.method.unwrap_or_default(),
                    target: request.path.unwrap_or_default().as_bytes(),
                    version: version(request.version),
                };
                let mut fields = Fields::new(reader.selection.collect(Message::Request));
                for header in request.headers.iter() {
                    fields.add(header.name, header.value);
                }
                let value = Self::new(line, &fields, &mut reader.texts);
                if !(fields.secret || line.target.contains(&b'?')) {
                    reader.requests.remember(bytes, length, &value);
                }
                Parsed::Complete { value, length }
            }
            Ok(Status::Partial) if lenient::may_become_request(bytes) => Parsed::Partial,
            Ok(Status::Partial) | Err(_) => Self::parse_lenient(bytes, reader),
        }
    }

    fn salvage(bytes: &[u8], reader: &mut Reader) -> Option<Self> {
        let mut request = match lenient::first_line(bytes) {
            Some((line, start)) => {
                let Line::Request(line) = lenient::request_line(line) else {
                    return None;
                };
                let kept = reader.selection.collect(Message::Request);
                let section = lenient::fields(bytes.get(start..).unwrap_or_default(), kept);
                Self::new(line, &section.fields, &mut reader.texts)
            }
            None => Self::from_cut_line(bytes, &mut reader.texts)?,
        };
        request.truncated = true;
        request.framing = Framing::Unknown;
        Some(request)
    }
}

impl Request {
    fn new(line: RequestLine<'_>, fields: &Fields<'_>, texts: &mut Interner) -> Self {
        let method = Method::parse(line.method);
        let target = Target::parse(line.target, method == Method::Connect);
        let host = target.authority.or(fields.host.map(without_userinfo));
        let (path, cut) = texts.text(target.path, PATH_MAX);
        let mut keep = |bytes: &[u8]| texts.text(bytes, TEXT_MAX).0;
        Self {
            method,
            method_original: (method == Method::Other).then(|| keep(line.method.as_bytes())),
            path,
            host: host.filter(|host| !host.is_empty()).map(&mut keep),
            user_agent: fields.user_agent.map(&mut keep),
            version: line.version,
            parent: fields.parent,
            headers: fields.kept.finish(),
            framing: match (fields.coding, fields.length) {
                (Coding::Chunked, _) => Framing::Chunked,
                (Coding::Absent, ContentLength::Absent) => Framing::Length(0),
                (Coding::Absent, ContentLength::Known(length)) => Framing::Length(length),
                (Coding::Other, _) | (_, ContentLength::Invalid) => Framing::Unknown,
            },
            offers: fields.expects,
            truncated: cut,
        }
    }

    fn parse_lenient(bytes: &[u8], reader: &mut Reader) -> Parsed<Self> {
        match lenient::request(bytes, reader.selection.collect(Message::Request)) {
            Lenient::Partial => Parsed::Partial,
            Lenient::NotHttp => Parsed::Invalid(rejection(bytes)),
            Lenient::Http09 => Parsed::Invalid(Rejection::Http09),
            Lenient::Head((line, section), length) => {
                let mut value = Self::new(line, &section.fields, &mut reader.texts);
                if section.malformed {
                    value.framing = Framing::Unknown;
                }
                Parsed::Complete { value, length }
            }
        }
    }

    /// From a request line that goes on after the captured bytes. Only a known method and an
    /// origin-form or absolute target are certain enough; the path is known when the query began.
    fn from_cut_line(bytes: &[u8], texts: &mut Interner) -> Option<Self> {
        let mut words = bytes.splitn(3, |byte| *byte == b' ');
        let method = std::str::from_utf8(words.next()?).ok()?;
        let target = words.next()?;
        let certain = Method::parse(method) != Method::Other
            && (target.starts_with(b"/") || target.starts_with(b"http"));
        if !certain {
            return None;
        }
        let line_goes_on = words.next().is_none();
        let line = RequestLine {
            method,
            target,
            version: "1.1",
        };
        let mut request = Self::new(line, &Fields::default(), texts);
        let parts = Target::parse(target, request.method == Method::Connect);
        if line_goes_on && !parts.path_ended {
            request.path = texts.text(b"", PATH_MAX).0;
            request.host = None;
        }
        Some(request)
    }
}

/// Whether a request with a known method begins with `bytes`. No more than its first bytes are
/// needed: too few say no.
pub(super) fn begins_request(bytes: &[u8]) -> bool {
    let mut words = bytes.splitn(2, |byte| *byte == b' ');
    let method = words.next().and_then(|word| std::str::from_utf8(word).ok());
    let target = words.next().and_then(<[u8]>::first);
    method.is_some_and(|method| Method::parse(method) != Method::Other)
        && matches!(target, Some(b'/' | b'*' | b'h'))
}

/// Whether `bytes` are the first ones of a known method, and too few to tell more.
pub(super) fn may_become_request(bytes: &[u8]) -> bool {
    let begins = |method: &str| method.as_bytes().starts_with(bytes);
    !bytes.is_empty()
        && Method::KNOWN
            .iter()
            .filter_map(|it| it.as_str())
            .any(begins)
}

const fn version(minor: Option<u8>) -> &'static str {
    match minor {
        Some(0) => "1.0",
        _ => "1.1",
    }
}

/// What bytes that are no request are.
fn rejection(bytes: &[u8]) -> Rejection {
    if matches!(bytes, [0x16, 0x03, ..]) {
        // ContentType handshake, legacy version 3.x: RFC 8446 section 5.1.
        Rejection::Tls
    } else {
        Rejection::NotHttp
    }
}
