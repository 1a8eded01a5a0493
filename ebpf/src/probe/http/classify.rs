//! What the first eight bytes of a stream or message say.

/// What a stream starts with.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A request line.
    Request,
    /// An HTTP/1.x status line.
    Response,
    /// Too few bytes to tell; what is there could be HTTP.
    Partial,
    /// A TLS handshake record.
    Tls,
    /// The HTTP/2 connection preface.
    Http2,
    /// Nothing that sonde knows.
    Other,
}

/// A start that is known by its bytes: the bytes and how many they are.
struct Known(u64, u32);

const fn known(text: &[u8]) -> Known {
    let mut value = 0u64;
    let mut index = 0;
    while index < text.len() {
        value |= (text[index] as u64) << (index * 8);
        index += 1;
    }
    Known(value, text.len() as u32)
}

const RESPONSE: Known = known(b"HTTP/1.");
const PREFACE: Known = known(b"PRI * HT");
/// Methods with the space that ends them, most frequent first.
const METHODS: [Known; 9] = [
    known(b"GET "),
    known(b"POST "),
    known(b"PUT "),
    known(b"DELETE "),
    known(b"HEAD "),
    known(b"PATCH "),
    known(b"OPTIONS "),
    known(b"CONNECT "),
    known(b"TRACE "),
];

#[inline(always)]
const fn mask(bytes: u32) -> u64 {
    if bytes >= 8 {
        u64::MAX
    } else {
        (1 << (bytes * 8)) - 1
    }
}

/// Classifies `length` (at most 8) bytes, the first in the lowest byte of `first`. What stands in the
/// others is of no matter.
#[inline(always)]
pub(super) fn classify(first: u64, length: u32) -> Class {
    let first = first & mask(length);
    if length >= 7 && first & mask(7) == RESPONSE.0 {
        return Class::Response;
    }
    if is_method(first, length) {
        return Class::Request;
    }
    uncommon(first, length)
}

/// Whether a message begins for sure with `length` (at most 8) bytes: with a registered method or the
/// name of the protocol, or what there is of that.
#[inline(always)]
pub(super) fn is_sure(first: u64, length: u32) -> bool {
    is_name(first, length) || is_method(first, length)
}

/// Whether these begin an answer: with the name of the protocol, or what there is of it.
#[inline(always)]
pub(super) const fn is_name(first: u64, length: u32) -> bool {
    let name = if length < 7 { length } else { 7 };
    first & mask(name) == RESPONSE.0 & mask(name)
}

/// Whether these begin a request: with a registered method and the space behind it.
#[inline(always)]
pub(super) fn is_method(first: u64, length: u32) -> bool {
    let mut index = 0;
    while index < METHODS.len() {
        let Known(method, size) = METHODS[index];
        if length >= size && first & mask(size) == method {
            return true;
        }
        index += 1;
    }
    false
}

#[inline(always)]
fn uncommon(first: u64, length: u32) -> Class {
    if first == PREFACE.0 && length >= 8 {
        return Class::Http2;
    }
    // ContentType handshake, major version 3: RFC 8446 section 5.1.
    if length >= 2 && first & 0xffff == 0x0316 {
        return Class::Tls;
    }
    if length < 7 && first == RESPONSE.0 & mask(length) {
        return Class::Partial;
    }
    // From the fifth byte on it has the form of a request of a method that isn't registered.
    if length < 8 && first == PREFACE.0 & mask(length) {
        return Class::Partial;
    }
    method_of_letters(first, length)
}

/// A method that isn't registered: letters, a space, and the start of a request target.
#[inline(always)]
fn method_of_letters(first: u64, length: u32) -> Class {
    let mut index = 0u32;
    while index < 8 {
        if index >= length {
            return Class::Partial;
        }
        let byte = (first >> (index * 8)) as u8;
        if byte == b' ' && index > 0 {
            if index + 1 >= length {
                return if index + 1 >= 8 {
                    Class::Request
                } else {
                    Class::Partial
                };
            }
            let target = (first >> ((index + 1) * 8)) as u8;
            return if target == b'/' || target == b'*' || target == b'h' {
                Class::Request
            } else {
                Class::Other
            };
        }
        let letter = byte | 0x20;
        if !letter.is_ascii_lowercase() && byte != b'-' && byte != b'_' {
            return Class::Other;
        }
        index += 1;
    }
    // Eight letters and no space yet, as in "PROPFIND": the agent reads on.
    Class::Request
}
