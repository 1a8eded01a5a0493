//! Headers that go with each request: tokens, tenant names.

use std::{fmt, str::FromStr};

use http::{HeaderMap, HeaderName, HeaderValue};

/// Header pairs. Their values may be secrets: `Debug` shows the names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

/// Not a list of headers. Says nothing of the text, which may be secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {}", Headers::EXPECTED)]
pub struct HeadersError;

impl Headers {
    pub(super) const EXPECTED: &str = "name=value pairs with commas between them, values percent-encoded where needed, names \
         other than those that the transport sets itself";

    /// What the transport owns; a user's value there would break the request's framing.
    const RESERVED: [&str; 8] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "grpc-encoding",
        "host",
        "te",
        "transfer-encoding",
    ];

    /// The pairs, values marked as sensitive.
    #[must_use]
    pub fn as_map(&self) -> &HeaderMap {
        &self.0
    }

    fn insert(&mut self, name: &str, value: &[u8]) -> Result<(), HeadersError> {
        let name: HeaderName = name.parse().map_err(|_| HeadersError)?;
        // gRPC's "-bin" values are base64 on the wire, which a plain pair can't say.
        if Self::RESERVED.contains(&name.as_str()) || name.as_str().ends_with("-bin") {
            return Err(HeadersError);
        }
        // gRPC's ASCII metadata allows no more than this; HTTP would, but the two shall agree.
        if !value.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            return Err(HeadersError);
        }
        let mut value = HeaderValue::from_bytes(value).map_err(|_| HeadersError)?;
        value.set_sensitive(true);
        self.0.insert(name, value);
        Ok(())
    }
}

impl FromStr for Headers {
    type Err = HeadersError;

    /// W3C Baggage without properties: `key1=value1,key2=value2`, values percent-encoded.
    fn from_str(text: &str) -> Result<Self, HeadersError> {
        let mut headers = Self::default();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(HeadersError)?;
            let value = percent_decode(value.trim()).ok_or(HeadersError)?;
            headers.insert(name.trim(), &value)?;
        }
        Ok(headers)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Headers")?;
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// RFC 3986 section 2.1. A `%` without two hex digits behind it is refused rather than sent as
/// it is: half a token is worse than an error.
fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(decoded)
}
