//! gRPC messages in a stream's DATA: a prefix of five bytes, then so many bytes (gRPC over HTTP/2,
//! "Length-Prefixed-Message").

use super::chunk::Chunk;

/// The flag "compressed" and the length.
const PREFIX: u8 = 5;

/// Counts messages. Nothing of them is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Messages {
    Known {
        /// Messages that have begun.
        count: u32,
        /// Bytes of the present prefix that were there.
        had: u8,
        /// The length in its bytes so far; once they are all there, the bytes that follow.
        left: u32,
    },
    /// A prefix was missed, or it is no gRPC.
    Unknown,
}

impl Messages {
    pub(super) const NONE: Self = Self::Known {
        count: 0,
        had: 0,
        left: 0,
    };

    pub(super) const fn count(self) -> Option<u32> {
        match self {
            Self::Known { count, .. } => Some(count),
            Self::Unknown => None,
        }
    }

    /// Takes payload in.
    pub(super) fn pass(&mut self, mut chunk: Chunk<'_>) {
        while chunk.len() > 0 {
            let Self::Known { count, had, left } = self else {
                return;
            };
            if *had == PREFIX {
                let (message, rest) = chunk.split((*left).into());
                *left -= u32::try_from(message.len()).unwrap_or(*left);
                chunk = rest;
            } else {
                let (Chunk::Seen([byte]), rest) = chunk.split(1) else {
                    *self = Self::Unknown;
                    return;
                };
                if *had == 0 {
                    *count = count.saturating_add(1);
                    *left = 0;
                } else {
                    *left = *left << 8 | u32::from(*byte);
                }
                *had += 1;
                chunk = rest;
            }
            if *had == PREFIX && *left == 0 {
                *had = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn messages(lengths: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for length in lengths {
            bytes.push(0);
            bytes.extend(u32::from(*length).to_be_bytes());
            bytes.extend(std::iter::repeat_n(0xaa, usize::from(*length)));
        }
        bytes
    }

    #[test]
    fn a_missed_part_of_a_message_matters_and_that_of_a_prefix_hides_the_count() {
        let mut seen = Messages::NONE;
        seen.pass(Chunk::Seen(&[0, 0, 0, 0, 9, 1, 2]));
        seen.pass(Chunk::Missed(7));
        seen.pass(Chunk::Seen(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
        assert_eq!(seen.count(), Some(3));
        seen.pass(Chunk::Missed(2));
        assert_eq!(seen.count(), None);
        seen.pass(Chunk::Seen(&messages(&[1])));
        assert_eq!(seen.count(), None);
    }

    proptest! {
        #[test]
        fn any_split_counts_the_same(
            lengths in prop::collection::vec(0..40_u16, 0..10),
            cuts in prop::collection::vec(1..20_usize, 1..10),
        ) {
            let bytes = messages(&lengths);
            let (mut seen, mut at) = (Messages::NONE, 0);
            for cut in cuts.iter().cycle() {
                let end = bytes.len().min(at + cut);
                seen.pass(Chunk::Seen(&bytes[at..end]));
                at = end;
                if at == bytes.len() {
                    break;
                }
            }
            prop_assert_eq!(seen.count(), u32::try_from(lengths.len()).ok());
        }
    }
}
