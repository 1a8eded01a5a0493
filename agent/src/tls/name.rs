//! Names the TLS library of a process whose connections can't be looked into.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use memchr::memmem;

use super::maps::Mapping;

/// Files in a process's memory that tell.
const MAPPED: &[(&str, &str)] = &[
    ("libjvm.so", "jsse"),
    ("libnss3.so", "nss"),
    ("libssl3.so", "nss"),
    ("libmbedtls.so", "mbedtls"),
    ("libwolfssl.so", "wolfssl"),
    ("libs2n.so", "s2n"),
    ("libssl.so", "openssl"),
    ("libgnutls.so", "gnutls"),
];

/// Texts in a program or library that tell, the surest first: names of source files stay in programs for the
/// sake of their error messages.
const WITHIN: &[(&[u8], &str)] = &[
    (b"rustls-0.", "rustls"),
    (b"\xff Go buildinf:", "go"),
    (b"sun.security.ssl", "jsse"),
    (b"ssl/ssl_lib.cc", "boringssl_stripped"),
    (b"ssl/ssl_lib.c", "openssl_stripped"),
    (b"mbedtls_ssl", "mbedtls"),
    (b"wolfSSL_", "wolfssl"),
];

/// A library that nothing tells.
pub const UNKNOWN: &str = "unknown";

/// Bytes that are read at one time, and how much of a file is read.
const CHUNK: usize = 256 << 10;
const LONGEST: u64 = 512 << 20;
/// Longest text that is looked for.
const TEXT: usize = 32;

/// By the names of what is mapped.
pub(super) fn by_mappings(mappings: &[Mapping]) -> Option<&'static str> {
    let names = || {
        mappings
            .iter()
            .filter_map(|it| it.path.file_name()?.to_str())
    };
    let has = |prefix: &str| names().any(|name| name.starts_with(prefix));
    let known = MAPPED.iter().find(|(prefix, _)| has(prefix));
    known.map(|(_, library)| *library)
}

/// By the texts in a file.
pub(super) fn by_texts(file: &File) -> io::Result<Option<&'static str>> {
    let finders: Vec<_> = WITHIN
        .iter()
        .map(|(text, _)| memmem::Finder::new(text))
        .collect();
    let mut found = vec![false; WITHIN.len()];
    let mut window = vec![0; TEXT + CHUNK];
    let (mut offset, mut kept) = (0, 0);
    while offset < LONGEST {
        let count = file.read_at(&mut window[kept..], offset)?;
        if count == 0 {
            break;
        }
        let end = kept + count;
        for (finder, found) in finders.iter().zip(&mut found) {
            *found = *found || finder.find(&window[..end]).is_some();
        }
        offset += count as u64;
        kept = end.min(TEXT);
        window.copy_within(end - kept..end, 0);
    }
    let first = WITHIN.iter().zip(found).find(|(_, found)| *found);
    Ok(first.map(|((_, library), _)| *library))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn program(parts: &[&[u8]]) -> Option<&'static str> {
        let mut file = tempfile::tempfile().unwrap();
        for part in parts {
            file.write_all(part).unwrap();
        }
        by_texts(&file).unwrap()
    }

    #[test]
    fn a_text_is_found_across_the_bounds_of_chunks() {
        for before in CHUNK + TEXT - 10..CHUNK + TEXT + 2 {
            let filler = vec![b'x'; before];
            assert_eq!(program(&[&filler, b"/rustls-0.23.1/src"]), Some("rustls"));
        }
        assert_eq!(program(&[b"rustls-", b"1.0"]), None);
    }

    #[test]
    fn the_surest_text_counts() {
        assert_eq!(program(&[b"../ssl/ssl_lib.c\0"]), Some("openssl_stripped"));
        assert_eq!(program(&[b"/ssl/ssl_lib.cc\0"]), Some("boringssl_stripped"));
        assert_eq!(program(&[b"ssl/ssl_lib.c rustls-0.22"]), Some("rustls"));
        assert_eq!(program(&[b"\xff Go buildinf:\x08\x02"]), Some("go"));
        assert_eq!(program(&[]), None);
    }
}
