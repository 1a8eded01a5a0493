//! With which Go a program was built: `debug/buildinfo` of the Go distribution.

use super::super::elf::{Error, Image};

/// `\xff Go buildinf:`, which begins the section `.go.buildinfo`.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Bytes of the header; a version that is written in place follows it (since 1.18).
const HEADER: usize = 32;
/// Flag of the header: what follows is written in place.
const INLINE: u8 = 2;
/// Flag of the header: big-endian pointers.
const BIG_ENDIAN: u8 = 1;
/// Longest version that is read: `devel go1.27-0123456789 Sun Nov 22 ...`.
const LENGTH: usize = 128;

/// Version of the Go distribution, its first two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::tls) struct Version {
    pub(in crate::tls) major: u32,
    pub(in crate::tls) minor: u32,
}

impl Version {
    /// Since then arguments are passed in registers, on x86-64; on arm64 since 1.18.
    pub(in crate::tls) const REGISTERS: Self = Self {
        major: 1,
        minor: if cfg!(target_arch = "aarch64") {
            18
        } else {
            17
        },
    };
    /// What a version that isn't a number is taken for: it is of Go's own development.
    const DEVELOPMENT: Self = Self {
        major: u32::MAX,
        minor: 0,
    };

    /// Of `go1.26.8`, `go1.27rc1`, `go1.26.1 X:boringcrypto`, `devel go1.27-12345`.
    fn parse(text: &str) -> Self {
        let numbers = text
            .split_whitespace()
            .find_map(|word| word.strip_prefix("go"));
        let parse = |numbers: &str| {
            let (major, rest) = numbers.split_once('.')?;
            let end = rest
                .find(|letter: char| !letter.is_ascii_digit())
                .unwrap_or(rest.len());
            Some(Self {
                major: major.parse().ok()?,
                minor: rest[..end].parse().ok()?,
            })
        };
        numbers.and_then(parse).unwrap_or(Self::DEVELOPMENT)
    }
}

/// The version that a Go executable was built with; `None` when it isn't one.
pub(super) fn version(image: &Image<'_>) -> Result<Option<Version>, Error> {
    let Some(section) = image.section(".go.buildinfo") else {
        return Ok(None);
    };
    let mut bytes = [0; HEADER + 2 + LENGTH];
    let length = image.read_offset(section.offset, &mut bytes)?;
    let bytes = &bytes[..length];
    let Some(header) = bytes.get(..HEADER).filter(|head| head.starts_with(MAGIC)) else {
        return Ok(None);
    };
    let flags = header[15];
    let text = if flags & INLINE != 0 {
        inline(&bytes[HEADER..]).map(<[u8]>::to_vec)
    } else if flags & BIG_ENDIAN == 0 && header[14] == 8 {
        pointed_at(image, header)?
    } else {
        None
    };
    let text = text.ok_or(Error::Malformed("Go build information"))?;
    Ok(Some(Version::parse(&String::from_utf8_lossy(&text))))
}

/// A string behind its length, which is a varint.
fn inline(bytes: &[u8]) -> Option<&[u8]> {
    let (low, rest) = bytes.split_first()?;
    let (length, rest) = if *low < 0x80 {
        (usize::from(*low), rest)
    } else {
        let (high, rest) = rest.split_first()?;
        (usize::from(low & 0x7f) | usize::from(*high) << 7, rest)
    };
    rest.get(..length)
}

/// Until 1.17 the header has the address of a Go string: of its pointer and length.
fn pointed_at(image: &Image<'_>, header: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
    let mut string = [0; 16];
    image.read_address(word(&header[16..24]), &mut string)?;
    let (address, length) = (word(&string[..8]), word(&string[8..]));
    let Some(length) = usize::try_from(length).ok().filter(|it| *it <= LENGTH) else {
        return Ok(None);
    };
    let text = image.code(address, length)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_go_writes_them() {
        let version = |major, minor| Version { major, minor };
        for (text, expected) in [
            ("go1.26.8", version(1, 26)),
            ("go1.17", version(1, 17)),
            ("go1.27rc1", version(1, 27)),
            ("go1.24.3 X:boringcrypto", version(1, 24)),
            (
                "devel go1.27-3a8f1 Sun Nov 22 14:00:00 2026 +0000",
                version(1, 27),
            ),
            ("devel +abcdef", Version::DEVELOPMENT),
            ("go", Version::DEVELOPMENT),
            ("", Version::DEVELOPMENT),
        ] {
            assert_eq!(Version::parse(text), expected, "{text}");
        }
        assert!(version(1, 16) < Version::REGISTERS && Version::DEVELOPMENT > Version::REGISTERS);
    }

    #[test]
    fn a_string_stands_behind_its_length() {
        assert_eq!(inline(b"\x08go1.26.8rest"), Some(&b"go1.26.8"[..]));
        let long = [&[0x81, 0x01][..], &[b'x'; 129]].concat();
        assert_eq!(inline(&long).map(<[u8]>::len), Some(129));
        assert_eq!(inline(b"\x09go1.26.8"), None);
        assert_eq!(inline(b"\x80"), None);
        assert_eq!(inline(b""), None);
    }
}
