//! Ring records as the kernel side writes them.

use std::mem::offset_of;

use sonde::kernel::pod;
use sonde_common::{
    event::{
        http::{Direction, NOT_QUEUED, Segment},
        tcp::Info,
    },
    header::{Header, Kind},
};

const WORD: usize = size_of::<u64>();
/// The words of a record that hold its time and its position.
const TIME: usize = offset_of!(Segment, header.time) / WORD;
const OFFSET: usize = offset_of!(Segment, offset) / WORD;
/// Stands for the request's number in a message.
const NUMBER: &[u8; 8] = b"########";

/// A read or write, captured whole, in memory aligned as the ring's is.
pub(crate) struct Record {
    words: Vec<u64>,
    /// Bytes moved.
    length: u64,
    /// Where in the bytes the request's number stands.
    numbers: Vec<usize>,
    /// Records of this connection and direction before this one, once there is this one.
    before: Option<u64>,
}

impl Record {
    pub(crate) fn new(connection: u64, direction: Direction, message: &str) -> Self {
        let length = u16::try_from(message.len()).expect("a short message");
        let segment = Segment {
            header: Header {
                time: 0,
                tgid: std::process::id(),
                tid: 0,
                kind: Kind::HttpSegment as u32,
                pad: 0,
            },
            connection,
            offset: 0,
            length: length.into(),
            captured: length,
            tail: 0,
            direction: direction as u16,
            flags: 0,
            skipped: 0,
            framing: 0,
            queued: NOT_QUEUED,
            tcp: Info::UNKNOWN,
        };
        let mut bytes = pod::bytes(&segment).to_vec();
        bytes.extend_from_slice(message.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(WORD), 0);
        let numbers = bytes
            .windows(NUMBER.len())
            .enumerate()
            .filter(|(_, window)| *window == NUMBER)
            .map(|(at, _)| at)
            .collect();
        let (words, _) = bytes.as_chunks::<WORD>();
        Self {
            words: words.iter().map(|word| u64::from_ne_bytes(*word)).collect(),
            length: length.into(),
            numbers,
            before: None,
        }
    }

    /// Makes it the connection's next one, for the request of this number, at this time.
    pub(crate) fn advance(&mut self, number: u64, time: u64) {
        let before = self.before.map_or(0, |before| before + 1);
        self.before = Some(before);
        self.words[TIME] = time;
        self.words[OFFSET] = before * self.length;
        let mut figures = *NUMBER;
        let mut rest = number;
        for figure in figures.iter_mut().rev() {
            *figure = b"0123456789"[usize::try_from(rest % 10).expect("a figure")];
            rest /= 10;
        }
        let bytes = pod::bytes_mut(&mut self.words);
        for at in &self.numbers {
            bytes[*at..*at + NUMBER.len()].copy_from_slice(&figures);
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        pod::bytes_of(&self.words)
    }
}
