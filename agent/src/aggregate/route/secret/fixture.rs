//! Secrets, for tests that none is told.

use proptest::prelude::*;

/// Secrets as they stand in URLs, by kind. Digits are in all of those that are random: a text of
/// letters only may be a word.
pub(crate) fn secret() -> impl Strategy<Value = String> {
    let base64url = |length: std::ops::Range<usize>| {
        prop::collection::vec(prop::sample::select(ALPHABET.to_vec()), length)
            .prop_map(|bytes| String::from_utf8(bytes).unwrap())
    };
    prop_oneof![
        // JSON Web Tokens.
        (base64url(20..60), base64url(20..60), base64url(43..44)).prop_map(
            |(header, payload, signature)| format!("eyJ{header}.eyJ{payload}.{signature}")
        ),
        // Random tokens, hexadecimal and base 36 or 62.
        "[0-9a-f]{32}",
        "[0-9a-f]{64}",
        "([A-Z][a-z][0-9][a-z]){6}[A-Za-z0-9]{0,20}",
        "([a-z]{2}[0-9]){8}[a-z0-9]{0,20}",
        // Keys that say what they are.
        "AKIA[A-Z2-7]{14}[0-9]{2}",
        "gh[pousr]_[A-Za-z0-9]{30}[0-9]{6}",
        "sk_(live|test)_[A-Za-z0-9]{20}[0-9]{4}",
        "glpat-[A-Za-z0-9_-]{16}[0-9]{4}",
        "xox[bp]-[0-9]{11}-[0-9]{11}-[A-Za-z0-9]{24}",
        "AIza[0-9][A-Za-z0-9_-]{34}",
        // Addresses.
        "[a-z]{1,9}(\\.[a-z]{1,9})?(\\+[a-z]{1,5})?@[a-z]{1,9}\\.(com|org|co\\.uk)",
        "[a-z]{1,9}%40[a-z]{1,9}\\.(com|org)",
        "[a-z]{1,9}:[a-z0-9]{4,9}@[a-z]{1,9}",
        cards(),
    ]
}

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Card numbers with a right check digit, whole and in groups of four.
fn cards() -> impl Strategy<Value = String> {
    (
        "[3-6][0-9]{14}",
        prop::sample::select(vec!["", "-", "%20", "_"]),
    )
        .prop_map(|(digits, separator)| {
            let sum: u32 = digits
                .bytes()
                .rev()
                .enumerate()
                .map(|(place, digit)| {
                    let doubled = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
                    doubled / 10 + doubled % 10
                })
                .sum();
            let card = format!("{digits}{}", (10 - sum % 10) % 10);
            let groups: Vec<_> = card
                .as_bytes()
                .chunks(4)
                .map(String::from_utf8_lossy)
                .collect();
            groups.join(separator)
        })
}

/// Where a secret may stand in a path.
pub(crate) fn surrounded(secret: &str, place: usize) -> String {
    match place % 7 {
        0 => format!("/{secret}"),
        1 => format!("/reset/{secret}/confirm"),
        2 => format!("/files/{secret}.txt"),
        3 => format!("/odata/Users('{secret}')"),
        4 => format!("/key={secret}"),
        5 => format!("/a;session={secret}/b"),
        _ => format!("/a?token={secret}#{secret}"),
    }
}

/// What of a secret must not be seen: all of it, and any good part of what is random in it.
pub(crate) fn leaks(text: &str, secret: &str) -> bool {
    let parts = secret.split(|character: char| !character.is_ascii_alphanumeric());
    let mut parts = parts.filter(|part| part.len() >= 10);
    text.contains(secret) || parts.any(|part| text.contains(part))
}
