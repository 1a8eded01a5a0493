//! What in a path must not be kept: credentials, and what identifies a person or a card.

#[cfg(test)]
pub(crate) mod fixture;

use super::{classify, placeholder::Placeholder};

/// What API keys of services begin with that make them so that they are found when they leak.
const KEY_PREFIXES: [&str; 44] = [
    "AGE-SECRET-KEY-",
    "AIza",
    "AKIA",
    "ASIA",
    "ATATT3",
    "EAACEdEose0cBA",
    "GOCSPX-",
    "PMAK-",
    "SG.",
    "SK.",
    "dckr_pat_",
    "dop_v1_",
    "doo_v1_",
    "dor_v1_",
    "figd_",
    "gh1_",
    "gho_",
    "ghp_",
    "ghr_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "glrt-",
    "gsk_",
    "hf_",
    "hvs.",
    "lin_api_",
    "npm_",
    "nvapi-",
    "pk_live_",
    "pk_test_",
    "pypi-",
    "rk_live_",
    "rk_test_",
    "rubygems_",
    "shpat_",
    "sk-",
    "sk_live_",
    "sk_test_",
    "sq0atp-",
    "whsec_",
    "xox",
    "ya29.",
];

/// Fewest hexadecimal digits that may be a key: 128 bits.
const HEX_KEY: usize = 32;

/// Whether a text holds something that must not be kept even where the raw path is: an email
/// address, a card number, a credential, or a long random token. Identifiers (numbers, UUIDs,
/// ULIDs, short hashes) are none.
///
/// A card number is no placeholder of its own: one long number in ten has the right check digit,
/// and a route must not depend on that.
pub(super) fn is_in(text: &str) -> bool {
    let mut pieces = text.split(|character: char| !character.is_alphanumeric());
    is_hidden_in(text)
        || has_card(text)
        || pieces.any(|piece| {
            classify::piece(piece) == Some(Placeholder::Token) || is_hex_key(piece.as_bytes())
        })
}

/// Whether a text that is no value as a whole holds a credential or an address that a look at its
/// letters and figures alone doesn't find.
pub(super) fn is_hidden_in(text: &str) -> bool {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let mut words = text.split(|character: char| !is_part(character));
    is_email(text)
        || is_userinfo(text)
        || is_jwt(text)
        || has_key_prefix(text)
        || words.any(|word| has_key_prefix(word) || is_base64(word.as_bytes()))
}

fn is_hex_key(piece: &[u8]) -> bool {
    piece.len() >= HEX_KEY && piece.iter().all(u8::is_ascii_hexdigit)
}

/// Whether groups of digits with single signs between them make a card number.
fn has_card(text: &str) -> bool {
    let is_of_card = |character: char| character.is_ascii_digit() || "-_ .+".contains(character);
    let runs = text.split(|character: char| !is_of_card(character));
    runs.filter(|run| run.len() >= CARD_DIGITS.0).any(|run| {
        let groups: Vec<_> = run.split(['-', '_', ' ', '.', '+']).collect();
        let from = |start: usize| groups.get(start..).unwrap_or_default();
        (0..groups.len()).any(|start| {
            let mut digits = String::new();
            from(start).iter().any(|group| {
                digits.push_str(group);
                is_card(digits.as_bytes())
            })
        })
    })
}

/// Fewest and most digits of a card number.
const CARD_DIGITS: (usize, usize) = (13, 19);

/// ISO/IEC 7812: 13 to 19 digits of an issuer of payment cards (2 to 6) whose Luhn check digit is
/// right.
fn is_card(digits: &[u8]) -> bool {
    let (fewest, most) = CARD_DIGITS;
    if !(fewest..=most).contains(&digits.len()) || !matches!(digits.first(), Some(b'2'..=b'6')) {
        return false;
    }
    let luhn: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, byte)| {
            let doubled = u32::from(byte.saturating_sub(b'0')) << (index % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    luhn.is_multiple_of(10)
}

/// A letter or figure before an `@`, and after it a domain with a label that begins with letters
/// behind its first: `vue@3.2.1` is none.
pub(super) fn is_email(text: &str) -> bool {
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
pub(super) fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.len() >= 20 && text.contains('.')
}

/// API keys that say what they are.
pub(super) fn has_key_prefix(text: &str) -> bool {
    let has_figure = || text.bytes().any(|byte| byte.is_ascii_digit());
    text.len() >= 16 && KEY_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) && has_figure()
}

/// `user:password@host`, RFC 3986 section 3.2.1, as a part of a path that is a URL.
pub(super) fn is_userinfo(text: &str) -> bool {
    text.split_once('@').is_some_and(|(user, host)| {
        !host.is_empty()
            && user
                .split_once(':')
                .is_some_and(|(_, password)| !password.is_empty())
    })
}

/// Base64 or base64url of random bytes: within what `-`, `_` and `+` leave whole, letters and
/// figures change more often than in words, a word's first capital not counted.
pub(super) fn is_base64(bytes: &[u8]) -> bool {
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
pub(super) fn is_random(bytes: &[u8]) -> bool {
    if !bytes.iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    let figures = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if figures >= 2 && bytes.len() >= 16 {
        return changes(bytes) * 5 >= bytes.len();
    }
    bytes.len() >= 20
        && (changes(bytes) * 5 >= bytes.len() * 2
            || humps(bytes) * 5 >= bytes.len()
            || longest_consonants(bytes) >= 7)
}

/// How often a capital follows a small letter: in words joined so, no oftener than words begin.
fn humps(bytes: &[u8]) -> usize {
    let pairs = bytes.windows(2);
    pairs
        .filter(|pair| {
            matches!(pair, [left, right] if left.is_ascii_lowercase() && right.is_ascii_uppercase())
        })
        .count()
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
