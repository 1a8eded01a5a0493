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
