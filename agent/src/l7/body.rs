//! Message bodies: where they end, and how much of them is payload (RFC 9112 sections 6 and 7).

/// Progress within a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes are left.
    Length(u64),
    /// A chunked one.
    Chunked(Chunk),
    /// Ends with the connection.
    UntilClose,
}

/// Where in the chunked coding the next byte is (RFC 9112 section 7.1). A bare LF is taken as a
/// line end, as section 2.2 allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the size, with what of it was read.
    Size { size: u64, digits: u8 },
    /// After the size, up to the line's end: white space and extensions.
    Extension { size: u64 },
    /// In the data, so many bytes left.
    Data { left: u64 },
    /// At the CR or LF after the data.
    DataEnd,
    /// At the LF after that CR.
    DataLf,
    /// In the trailer section; whether the present line has anything but a CR.
    Trailer { text: bool },
    /// After the blank line that ends the trailer section.
    End,
}

/// What some bytes were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All of the body, which goes on.
    More,
    /// The body ended after so many of them.
    Done(u64),
    /// They break the coding, or hide a part of it.
    Lost,
}

impl Body {
    /// A chunked body from its first byte.
    pub(super) const CHUNKED: Self = Self::Chunked(Chunk::Size { size: 0, digits: 0 });

    /// Reads `bytes`; adds what is payload to `payload`.
    pub(super) fn read(&mut self, bytes: &[u8], payload: &mut u64) -> Progress {
        match self {
            Self::Chunked(chunk) => chunk.read(bytes, payload),
            _ => self.skip(bytes.len() as u64, payload),
        }
    }

    /// Passes over bytes that were not captured.
    pub(super) fn skip(&mut self, bytes: u64, payload: &mut u64) -> Progress {
        match self {
            Self::UntilClose => {
                *payload = payload.saturating_add(bytes);
                Progress::More
            }
            Self::Length(left) => {
                let mine = bytes.min(*left);
                *left -= mine;
                *payload = payload.saturating_add(mine);
                if *left == 0 {
                    Progress::Done(mine)
                } else {
                    Progress::More
                }
            }
            Self::Chunked(chunk) => chunk.skip(bytes, payload),
        }
    }
}

impl Chunk {
    fn read(&mut self, bytes: &[u8], payload: &mut u64) -> Progress {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if let Self::Data { left } = self {
                let mine = (*left).min((bytes.len() - at) as u64);
                *left -= mine;
                *payload = payload.saturating_add(mine);
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                at += usize::try_from(mine).expect("no more than what is in `bytes`");
                continue;
            }
            at += 1;
            match self.after(*byte) {
                Some(Self::End) => return Progress::Done(at as u64),
                Some(next) => *self = next,
                None => return Progress::Lost,
            }
        }
        Progress::More
    }

    /// The state after a byte that is not chunk data; `None` when it must not stand there.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size { size, digits: 1.. } | Self::Extension { size }, b'\n') => match size {
                0 => Self::Trailer { text: false },
                left => Self::Data { left },
            },
            (Self::Size { size, digits: 1.. }, b'\r' | b' ' | b'\t' | b';') => {
                Self::Extension { size }
            }
            (Self::Size { size, digits }, _) => {
                let digit = char::from(byte).to_digit(16)?;
                // 16 digits fill 64 bits.
                let digits = Some(digits + 1).filter(|digits| *digits <= 16)?;
                let size = size << 4 | u64::from(digit);
                Self::Size { size, digits }
            }
            (Self::Extension { size }, _) => Self::Extension { size },
            (Self::DataEnd, b'\r') => Self::DataLf,
            (Self::DataEnd | Self::DataLf, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::Trailer { text: false }, b'\n') => Self::End,
            (Self::Trailer { text: true }, b'\n') => Self::Trailer { text: false },
            (Self::Trailer { text: false }, b'\r') => self,
            (Self::Trailer { .. }, _) => Self::Trailer { text: true },
            (Self::Data { .. } | Self::DataEnd | Self::DataLf | Self::End, _) => return None,
        })
    }

    /// Chunk data, and the CRLF after it, need not be seen; a size does.
    fn skip(&mut self, bytes: u64, payload: &mut u64) -> Progress {
        let Self::Data { left } = *self else {
            return Progress::Lost;
        };
        *payload = payload.saturating_add(bytes.min(left));
        *self = match bytes.checked_sub(left) {
            None => Self::Data { left: left - bytes },
            Some(0) => Self::DataEnd,
            Some(1) => Self::DataLf,
            Some(2) => Self::Size { size: 0, digits: 0 },
            Some(_) => return Progress::Lost,
        };
        Progress::More
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> (Progress, u64) {
        let mut payload = 0;
        let progress = { Body::CHUNKED }.read(bytes, &mut payload);
        (progress, payload)
    }

    #[test]
    fn chunks_with_extensions_and_trailers() {
        let body = b"5;a=\"b;c\"\r\nhello\r\n00A \r\n0123456789\r\n0\r\nX: y\r\n\r\nGET";
        assert_eq!(read(body), (Progress::Done(body.len() as u64 - 3), 15));
        assert_eq!(read(b"0\n\n"), (Progress::Done(3), 0));
        assert_eq!(read(&body[..20]), (Progress::More, 5));
    }

    #[test]
    fn what_is_no_chunk_is_lost() {
        for body in [
            &b"x\r\n"[..],
            b"\r\n",
            b";\r\n",
            b"1\r\nab\r\n",
            b"11111111111111111\r\n",
        ] {
            assert_eq!(read(body).0, Progress::Lost, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn the_longest_chunk_is_counted() {
        let mut body = Body::CHUNKED;
        let mut payload = 0;
        assert_eq!(
            body.read(b"FFFFFFFFFFFFFFFF\r\n", &mut payload),
            Progress::More
        );
        assert_eq!(body.skip(u64::MAX, &mut payload), Progress::More);
        assert_eq!(body.read(b"\r\n0\r\n\r\n", &mut payload), Progress::Done(7));
        assert_eq!(payload, u64::MAX);
    }

    proptest! {
        /// Chunk data may be skipped or read, in any pieces: the same end, the same size.
        #[test]
        fn skipped_data_counts_as_read(
            sizes in prop::collection::vec(1..500_usize, 0..6),
            skipped in any::<bool>(),
        ) {
            let mut body = Body::CHUNKED;
            let mut payload = 0;
            for size in &sizes {
                let line = format!("{size:x}\r\n");
                prop_assert_eq!(body.read(line.as_bytes(), &mut payload), Progress::More);
                let data = vec![b'\n'; *size];
                let progress = if skipped {
                    body.skip(*size as u64, &mut payload)
                } else {
                    body.read(&data, &mut payload)
                };
                prop_assert_eq!(progress, Progress::More);
                prop_assert_eq!(body.read(b"\r\n", &mut payload), Progress::More);
            }
            prop_assert_eq!(body.read(b"0\r\n\r\n", &mut payload), Progress::Done(5));
            prop_assert_eq!(payload, sizes.iter().sum::<usize>() as u64);
        }
    }
}
