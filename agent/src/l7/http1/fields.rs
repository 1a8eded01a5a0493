//! The few header fields that are looked at, and what they say about a message's framing.

use crate::l7::{exchange::TraceParent, headers::Collector, traceparent};

/// What was found in a head. Values are borrowed from it; nothing else is kept, besides what was
/// asked for by name.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) host: Option<&'a [u8]>,
    pub(super) user_agent: Option<&'a [u8]>,
    pub(super) parent: Option<TraceParent>,
    /// `Upgrade: h2c`, RFC 7540 section 3.2.
    pub(super) h2c: bool,
    /// `Expect: 100-continue`, RFC 9110 section 10.1.1.
    pub(super) expects: bool,
    pub(super) length: ContentLength,
    pub(super) coding: Coding,
    /// There are credentials, or what stands for them: the head must not be remembered.
    pub(super) secret: bool,
    pub(super) kept: Collector<'a>,
}

/// `Content-Length`, RFC 9112 section 6.3 rules 5 and 6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ContentLength {
    #[default]
    Absent,
    Known(u64),
    /// No number, or several that differ.
    Invalid,
}

/// `Transfer-Encoding`, RFC 9112 section 6.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Coding {
    #[default]
    Absent,
    /// `chunked` is the last coding.
    Chunked,
    /// Another coding is the last: its end can't be told from the bytes.
    Other,
}

impl<'a> Fields<'a> {
    /// No field yet; those that were asked for go to `kept`.
    pub(super) fn new(kept: Collector<'a>) -> Self {
        Self {
            kept,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, name: &str, value: &'a [u8]) {
        self.secret |= self.kept.add(name.as_bytes(), value);
        // The length sorts nearly every other field out before letters are compared.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => {
                self.host.get_or_insert(value);
            }
            6 if name.eq_ignore_ascii_case("expect") => {
                self.expects |= value.eq_ignore_ascii_case(b"100-continue");
            }
            7 if name.eq_ignore_ascii_case("upgrade") => {
                let mut protocols = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                self.h2c |= protocols.any(|protocol| protocol.eq_ignore_ascii_case(b"h2c"));
            }
            10 if name.eq_ignore_ascii_case("user-agent") => {
                self.user_agent.get_or_insert(value);
            }
            11 if name.eq_ignore_ascii_case("traceparent") => {
                self.parent = self.parent.or_else(|| traceparent::parse(value));
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                self.length = self.length.and(value);
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                self.coding = self.coding.and(value);
            }
            _ => {}
        }
    }
}

impl ContentLength {
    /// A further value; a list of equal numbers counts as one (RFC 9110 section 8.6).
    fn and(self, value: &[u8]) -> Self {
        value
            .split(|byte| *byte == b',')
            .map(number)
            .fold(self, |sum, next| match (sum, next) {
                (Self::Absent, Some(next)) => Self::Known(next),
                (Self::Known(known), Some(next)) if known == next => sum,
                _ => Self::Invalid,
            })
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}

impl Coding {
    /// A further value: the last coding of the last field line decides.
    fn and(self, value: &[u8]) -> Self {
        let last = value
            .rsplit(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .find(|coding| !coding.is_empty());
        match last {
            None => self,
            Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => Self::Chunked,
            // Says nothing (RFC 2616 section 3.6; gone since RFC 7230).
            Some(coding) if coding.eq_ignore_ascii_case(b"identity") => self,
            Some(_) => Self::Other,
        }
    }
}

/// The parts of a request target, RFC 9112 section 3.2, without query and fragment.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::l7) struct Target<'a> {
    pub(in crate::l7) path: &'a [u8],
    pub(super) authority: Option<&'a [u8]>,
    /// The path ended before the target did, so that a cut target's path is whole.
    pub(super) path_ended: bool,
}

impl<'a> Target<'a> {
    pub(in crate::l7) fn parse(target: &'a [u8], connect: bool) -> Self {
        let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
        let path_ended = end.is_some();
        let target = target.get(..end.unwrap_or(target.len())).unwrap_or(target);
        if connect {
            return Self {
                path: b"",
                authority: Some(without_userinfo(target)),
                path_ended,
            };
        }
        let Some(rest) = after_scheme(target) else {
            return Self {
                path: target,
                authority: None,
                path_ended,
            };
        };
        let slash = rest.iter().position(|byte| *byte == b'/');
        let (authority, path) = rest.split_at(slash.unwrap_or(rest.len()));
        Self {
            path: if path.is_empty() { b"/" } else { path },
            authority: Some(without_userinfo(authority)),
            path_ended,
        }
    }
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"]
        .into_iter()
        .find_map(|scheme| {
            let (start, rest) = target.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        })
}

/// `user:password@` must never be kept.
pub(in crate::l7) fn without_userinfo(authority: &[u8]) -> &[u8] {
    authority
        .rsplit(|byte| *byte == b'@')
        .next()
        .unwrap_or_default()
}
