//! Reading small kernel files: bounded, tolerant of what isn't text, counting what is left out.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    str::FromStr,
};

use super::{Error, Root};

/// No file read here comes near it: `/proc/stat` of a 4096-CPU host has under 1 MiB.
pub(super) const MAX_FILE: u64 = 16 << 20;

/// How many values were there but could not be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Skipped(u64);

impl Skipped {
    /// One more.
    pub(super) fn one(&mut self) {
        self.many(1);
    }

    /// Several more.
    pub(super) fn many(&mut self, count: u64) {
        self.0 = self.0.saturating_add(count);
    }

    /// How many.
    pub(super) fn count(self) -> u64 {
        self.0
    }

    /// The value of a side file: a failure costs this value only.
    pub(super) fn or_skip<T>(&mut self, result: Result<Option<T>, Error>) -> Option<T> {
        result.unwrap_or_else(|error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "value skipped");
            self.one();
            None
        })
    }

    /// The lines that `parse` accepts.
    pub(super) fn lines<'a, T>(
        &mut self,
        lines: impl Iterator<Item = &'a str>,
        parse: impl Fn(&'a str) -> Option<T>,
    ) -> Vec<T> {
        lines
            .filter_map(|line| {
                let value = parse(line);
                if value.is_none() {
                    self.one();
                }
                value
            })
            .collect()
    }
}

/// The text of a file; `None` where the kernel hasn't got it. Bytes that are not UTF-8 become
/// U+FFFD, so that one bad name does not hide its neighbours.
pub(super) fn text(path: &Path) -> Result<Option<String>, Error> {
    contents(path, File::open(path))
}

fn contents(path: &Path, opened: io::Result<File>) -> Result<Option<String>, Error> {
    /// Room for most files at once: these tell no size, so reading would begin with a few bytes.
    const USUAL: usize = 8 << 10;
    let mut bytes = Vec::with_capacity(USUAL);
    let read = opened.and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    let Some(length) = present(path, read)? else {
        return Ok(None);
    };
    if length as u64 > MAX_FILE {
        return Err(Error::TooLong {
            path: path.to_owned(),
            limit: MAX_FILE,
        });
    }
    Ok(Some(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }))
}

/// What one read gives of a file, at most `N` bytes: for files of which there are thousands.
pub(super) fn head<const N: usize>(path: &Path) -> Result<Option<String>, Error> {
    let mut bytes = [0; N];
    let read = File::open(path).and_then(|mut file| file.read(&mut bytes));
    let head = present(path, read)?.and_then(|length| bytes.get(..length));
    Ok(head.map(|head| String::from_utf8_lossy(head).into_owned()))
}

/// A file that holds a name or another short text, which is told in a label: what is longer than
/// any real one is cut.
pub(super) fn word(path: &Path) -> Result<Option<String>, Error> {
    let head = head::<128>(path)?;
    Ok(head.map(|text| text.trim().to_owned()))
}

/// Sorts out what is no failure.
fn present<T>(path: &Path, read: io::Result<T>) -> Result<Option<T>, Error> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(source) => Err(Error::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// A file that holds one number, such as most of sysfs.
pub(super) fn number<T: FromStr>(path: &Path) -> Result<Option<T>, Error> {
    let Some(text) = text(path)? else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(malformed(path, "number")),
    }
}

/// The error of a file that could be read but not understood.
pub(super) fn malformed(path: &Path, expected: &'static str) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        expected,
    }
}

/// The text of a file below `/proc/net` as the host's first process sees it. `/proc/net` itself
/// follows the reader's network namespace, which in a container is not the host's.
pub(super) fn net(root: &Root, name: &str) -> Result<Option<String>, Error> {
    let [best, fallback] = ["1/net", "net"].map(|net| root.procfs.join(net).join(name));
    of_first(&best, &fallback)
}

/// The mounts as the host's first process sees them, for the same reason.
pub(super) fn mountinfo(root: &Root) -> Result<Option<String>, Error> {
    let [best, fallback] = ["1/mountinfo", "self/mountinfo"].map(|name| root.procfs.join(name));
    of_first(&best, &fallback)
}

/// Opening is the question: with hidepid the first may be listed and yet be closed to us.
fn of_first(best: &Path, fallback: &Path) -> Result<Option<String>, Error> {
    match File::open(best) {
        Ok(file) => contents(best, Ok(file)),
        Err(_) => text(fallback),
    }
}

/// Entries of a directory in the order of their names; none where there is no such directory.
/// Names that aren't UTF-8 are skipped.
pub(super) fn directory(path: &Path, skipped: &mut Skipped) -> Vec<String> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            if !is_absent(&error) {
                skipped.one();
            }
            return Vec::new();
        }
    };
    let mut names = Vec::new();
    for entry in entries {
        match entry.map(|entry| entry.file_name().into_string()) {
            Ok(Ok(name)) => names.push(name),
            _ => skipped.one(),
        }
    }
    names.sort_unstable();
    names
}

/// Whether the kernel means "there is no such thing here" rather than "it failed".
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    ) || matches!(
        error.raw_os_error(),
        // Vanished process; vanished device; PSI that is built in but switched off.
        Some(libc::ESRCH | libc::ENODEV | libc::ENXIO | libc::EOPNOTSUPP)
    )
}

/// The `N` first fields as numbers; `None` when one is missing or is none.
pub(super) fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    let mut fields = text.split_ascii_whitespace();
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = fields.next()?.parse().ok()?;
    }
    Some(numbers)
}

/// Undoes the octal escapes (`\040`) of `/proc/*/mountinfo` and `/proc/swaps`
/// (`mangle_path` in `fs/seq_file.c`).
pub(super) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if let (b'\\', Some((digits, after))) = (first, tail.split_at_checked(3))
            && let Some(byte) = octal(digits)
        {
            bytes.push(byte);
            rest = after;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn octal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn octal_escapes_become_bytes_and_other_backslashes_stay() {
        assert_eq!(unescape(r"/mnt/my\040disk\011\134x"), "/mnt/my disk\t\\x");
        assert_eq!(unescape(r"\04"), r"\04");
        assert_eq!(unescape(r"\777\9"), r"\777\9");
    }

    #[test]
    fn a_missing_file_is_absent_and_a_directory_is_an_error() {
        assert!(text(Path::new("/nonexistent/file")).is_ok_and(|text| text.is_none()));
        assert!(text(Path::new("/")).is_err());
    }

    #[test]
    fn numbers_wants_every_field() {
        assert_eq!(numbers::<2>(" 1\t2 3"), Some([1, 2]));
        assert_eq!(numbers::<2>("1"), None);
        assert_eq!(numbers::<1>("18446744073709551616"), None);
    }

    proptest! {
        #[test]
        fn unescape_takes_anything(text in ".*") {
            prop_assert!(unescape(&text).len() <= text.len() * 3);
        }
    }
}
