//! What a path segment, or a piece of one, stands for.
//!
//! No dictionary, no locale: only shapes. Where a shape is ambiguous the more general placeholder
//! is taken, because a merged route is a nuisance and a leaked identifier is not repairable.

use std::net::Ipv4Addr;

use super::placeholder::Placeholder;

/// Whether a segment, or a piece of one, must not be kept even where the raw path is.
///
/// A card number is no placeholder of its own: one long number in ten has the right check digit,
/// and a route must not depend on that.
#[must_use]
pub(super) fn is_secret(text: &str) -> bool {
    is_card(text.as_bytes())
        || matches!(segment(text), Some(Placeholder::Email | Placeholder::Token))
}

/// What a whole segment stands for; `None` when it has to be looked at piece by piece.
#[must_use]
pub(super) fn segment(text: &str) -> Option<Placeholder> {
    let bytes = text.as_bytes();
    if is_date(bytes) {
        Some(Placeholder::Date)
    } else if is_number(bytes) {
        Some(Placeholder::Id)
    } else if is_uuid(bytes) {
        Some(Placeholder::Uuid)
    } else if text.parse::<Ipv4Addr>().is_ok() {
        Some(Placeholder::Ip)
    } else if is_email(text) {
        Some(Placeholder::Email)
    } else if is_jwt(text) || has_key_prefix(text) || is_base64(bytes) {
        Some(Placeholder::Token)
    } else {
        piece(text)
    }
}

/// What a piece of a segment, letters and digits only, stands for; `None` for a word.
#[must_use]
pub(super) fn piece(text: &str) -> Option<Placeholder> {
    let bytes = text.as_bytes();
    if is_date(bytes) {
        Some(Placeholder::Date)
    } else if is_number(bytes) {
        Some(Placeholder::Id)
    } else if is_hash(bytes) {
        Some(Placeholder::Hash)
    } else if is_ulid(bytes) {
        Some(Placeholder::Ulid)
    } else if is_random(bytes) {
        Some(Placeholder::Token)
    } else {
        None
    }
}

/// Digits, perhaps with a sign and one fraction.
fn is_number(bytes: &[u8]) -> bool {
    let signed = matches!(bytes.first(), Some(b'-' | b'+'));
    let unsigned = bytes.get(usize::from(signed)..).unwrap_or_default();
    let mut parts = unsigned.splitn(2, |byte| *byte == b'.');
    parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

/// 8-4-4-4-12 hexadecimal digits, perhaps with `urn:uuid:` before them.
fn is_uuid(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"urn:uuid:").unwrap_or(bytes);
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Seven or more hexadecimal digits, both letters and figures among them (or only letters when
/// too long for a word), perhaps after `0x`.
fn is_hash(bytes: &[u8]) -> bool {
    if let Some(rest) = bytes.strip_prefix(b"0x") {
        return !rest.is_empty() && rest.iter().all(u8::is_ascii_hexdigit);
    }
    bytes.len() >= 7
        && bytes.iter().all(u8::is_ascii_hexdigit)
        && (bytes.len() >= 16 || bytes.iter().any(u8::is_ascii_digit))
}

/// <https://github.com/ulid/spec>: 26 characters of Crockford's base 32, at most 2^128 - 1.
fn is_ulid(bytes: &[u8]) -> bool {
    let letters = |byte: &u8| {
        byte.is_ascii_digit()
            || (byte.is_ascii_alphabetic()
                && !matches!(byte.to_ascii_uppercase(), b'I' | b'L' | b'O' | b'U'))
    };
    bytes.len() == 26
        && matches!(bytes.first(), Some(b'0'..=b'7'))
        && bytes.iter().all(letters)
        && !(bytes.iter().any(u8::is_ascii_lowercase) && bytes.iter().any(u8::is_ascii_uppercase))
}

/// `YYYY-MM-DD`, perhaps followed by `T` and a time; `YYYYMMDD` only with one, for without it is
/// as well a number; `YYYY-MM`.
fn is_date(bytes: &[u8]) -> bool {
    let day = bytes
        .iter()
        .position(|byte| matches!(byte, b'T' | b't' | b'_'))
        .unwrap_or(bytes.len());
    let (day, time) = bytes.split_at(day);
    let time_is_right = match time {
        [] => true,
        [_, rest @ ..] => {
            rest.first().is_some_and(u8::is_ascii_digit)
                && rest.iter().all(|byte| {
                    byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'-' | b'+' | b'Z' | b'z')
                })
        }
    };
    let plausible = |year: &[u8], month: &[u8], of_month: &[u8]| {
        (1900..2200).contains(&decimal(year))
            && (1..=12).contains(&decimal(month))
            && (1..=31).contains(&decimal(of_month))
    };
    time_is_right
        && match day {
            [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] => {
                plausible(&[*y1, *y2, *y3, *y4], &[*m1, *m2], &[*d1, *d2])
            }
            [y1, y2, y3, y4, m1, m2, d1, d2] if !time.is_empty() => {
                plausible(&[*y1, *y2, *y3, *y4], &[*m1, *m2], &[*d1, *d2])
            }
            [y1, y2, y3, y4, b'-', m1, m2] if time.is_empty() => {
                plausible(&[*y1, *y2, *y3, *y4], &[*m1, *m2], b"01")
            }
            _ => false,
        }
}

/// The value of decimal digits; 0 when one of them is none.
fn decimal(digits: &[u8]) -> u32 {
    digits
        .iter()
        .try_fold(0_u32, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + u32::from(byte - b'0'))
        })
        .unwrap_or(0)
}

/// ISO/IEC 7812: 13 to 19 digits, perhaps grouped by `-`, of an issuer of payment cards (2 to 6),
/// whose Luhn check digit is right.
fn is_card(bytes: &[u8]) -> bool {
    if !matches!(bytes.first(), Some(b'2'..=b'6')) {
        return false;
    }
    if !bytes
        .iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b'-')
    {
        return false;
    }
    let digits = || bytes.iter().rev().filter(|byte| **byte != b'-');
    let luhn: u32 = digits()
        .enumerate()
        .map(|(index, byte)| {
            let doubled = u32::from(byte - b'0') << (index % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    (13..=19).contains(&digits().count()) && luhn.is_multiple_of(10)
}

/// A letter or figure before an `@`, and after it a domain with a label that begins with letters
/// behind its first: `vue@3.2.1` is none.
fn is_email(text: &str) -> bool {
    text.match_indices('@').any(|(at, _)| {
        let (before, after) = (text.get(..at), text.get(at + 1..).unwrap_or_default());
        let mut domain = after
            .split(|character: char| !(character.is_alphanumeric() || "-.".contains(character)));
        let mut labels = domain.next().unwrap_or_default().split('.').skip(1);
        before.is_some_and(|before| before.ends_with(|last: char| last.is_alphanumeric()))
            && labels.any(|label| label.chars().take_while(|c| c.is_alphabetic()).count() >= 2)
    })
}

/// RFC 7519: base64url parts joined by dots; the first begins with `{"`, which is `eyJ`.
fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.len() >= 20 && text.contains('.')
}

/// API keys that say what they are.
fn has_key_prefix(text: &str) -> bool {
    const PREFIXES: [&str; 14] = [
        "sk_live_",
        "sk_test_",
        "pk_live_",
        "pk_test_",
        "rk_live_",
        "whsec_",
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "AKIA",
    ];
    text.len() >= 16 && PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

/// Base64 or base64url of random bytes: within what `-`, `_` and `+` leave whole, letters and
/// figures change more often than in words, a word's first capital not counted.
fn is_base64(bytes: &[u8]) -> bool {
    let body = bytes.strip_suffix(b"=").unwrap_or(bytes);
    let body = body.strip_suffix(b"=").unwrap_or(body);
    let has = |kind: fn(&u8) -> bool| body.iter().any(kind);
    let pieces = || body.split(|byte| matches!(byte, b'-' | b'_' | b'+'));
    let pairs: usize = pieces().map(|piece| piece.len().saturating_sub(1)).sum();
    let changes: usize = pieces()
        .map(|piece| match piece {
            [b'A'..=b'Z', rest @ ..] if rest.first().is_some_and(u8::is_ascii_lowercase) => {
                changes(rest)
            }
            piece => changes(piece),
        })
        .sum();
    body.len() >= 20
        && pieces().flatten().all(u8::is_ascii_alphanumeric)
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && changes * 5 >= pairs * 2
}

/// Whether letters and digits are too mixed, or too long and unpronounceable, to be words.
fn is_random(bytes: &[u8]) -> bool {
    if !bytes.iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    let figures = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if figures >= 2 && bytes.len() >= 16 {
        return changes(bytes) * 5 >= bytes.len();
    }
    bytes.len() >= 20 && (changes(bytes) * 5 >= bytes.len() * 2 || longest_consonants(bytes) >= 7)
}

/// How often neighbours differ in kind: lower case, upper case, figure, other.
fn changes(bytes: &[u8]) -> usize {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    bytes
        .windows(2)
        .filter(|pair| matches!(pair, [left, right] if kind(*left) != kind(*right)))
        .count()
}

/// Length of the longest run of consonants. No common word has more than six.
fn longest_consonants(bytes: &[u8]) -> usize {
    bytes
        .split(|byte| {
            !byte.is_ascii_alphabetic()
                || matches!(
                    byte.to_ascii_lowercase(),
                    b'a' | b'e' | b'i' | b'o' | b'u' | b'y'
                )
        })
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0)
}
