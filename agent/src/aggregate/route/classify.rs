//! What a path segment, or a piece of one, stands for.
//!
//! No dictionary, no locale: only shapes. Where a shape is ambiguous the more general placeholder
//! is taken, because a merged route is a nuisance and a leaked identifier is not repairable.

use std::net::Ipv4Addr;

use super::{
    placeholder::Placeholder,
    secret::{has_key_prefix, is_base64, is_email, is_jwt, is_random, is_userinfo},
};

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
    } else if is_jwt(text) || has_key_prefix(text) || is_userinfo(text) || is_base64(bytes) {
        Some(Placeholder::Token)
    } else if is_locale(bytes) {
        Some(Placeholder::Locale)
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

/// A language tag (RFC 5646) with a region or script, as paths have it: `en-US`, `pt_BR`,
/// `zh-Hans`, `zh-Hant-TW`, `es-419`. In small letters throughout only where language and region
/// are known ones: `to-do` is one by chance. A language alone is a name: `id`, `is`, `me` and `my`
/// are words, and there are not many.
fn is_locale(bytes: &[u8]) -> bool {
    let mut parts = bytes.split(|byte| matches!(byte, b'-' | b'_'));
    let (Some(language), Some(second), third, None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_language =
        matches!(language.len(), 2 | 3) && language.iter().all(u8::is_ascii_lowercase);
    let is_region = |part: &[u8]| match part.len() {
        2 => part.iter().all(u8::is_ascii_uppercase),
        3 => part.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let is_script = |part: &[u8]| match part {
        [first, rest @ ..] => {
            rest.len() == 3 && first.is_ascii_uppercase() && rest.iter().all(u8::is_ascii_lowercase)
        }
        [] => false,
    };
    is_language
        && match third {
            Some(third) => is_script(second) && is_region(third),
            None => is_script(second) || is_region(second) || is_known(language, second),
        }
}

/// Whether a language (ISO 639-1) and region (ISO 3166-1) in small letters are among those that
/// sites are translated for.
fn is_known(language: &[u8], region: &[u8]) -> bool {
    const LANGUAGES: &str = "ar bg bn bs ca cs cy da de el en es et fa fi fr ga gl gu he hi hr hu \
        id it ja ka kk kn ko lt lv mk ml mr ms mt nb nl nn no pa pl pt ro ru sk sl sq sr sv ta te \
        th tl tr uk ur uz vi zh";
    const REGIONS: &str = "ae ar at au ba bd be bg bo br by ca ch cl cn co cr cy cz de dk do dz ec \
        ee eg es fi fr gb ge gr gt hk hr hu id ie il in ir is it jo jp ke kr kw kz lb lt lu lv ma \
        me mk mt mx my ng ni nl no nz om pa pe ph pk pl pr pt py qa ro rs ru sa se sg si sk sv th \
        tn tr tw ua uk us uy uz ve vn za";
    let among = |list: &str, code: &[u8]| list.split(' ').any(|known| known.as_bytes() == code);
    among(LANGUAGES, language) && among(REGIONS, region)
}
