//! Ring-buffer bytes to [`Event`]s.

use std::mem::size_of;

use aya::Pod;
use sonde_common::{
    event::http::{Direction, Open, Segment as Raw, Segments},
    header::{Header, Kind},
};

use crate::event::{Event, Segment};

/// The bytes are no record of this build's kernel side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Decodes one record and hands its events over. Those before a malformed one are handed over
/// as well.
pub fn decode(bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), Malformed> {
    let kind = bytes
        .get(KIND)
        .copied()
        .and_then(Kind::from_u8)
        .ok_or(Malformed)?;
    match kind {
        Kind::Exec => sink(Event::Exec(record(bytes)?.0)),
        Kind::Fork => sink(Event::Fork(record(bytes)?.0)),
        Kind::Exit => sink(Event::Exit(record(bytes)?.0)),
        Kind::OomKill => sink(Event::OomKill(record(bytes)?.0)),
        Kind::TcpClosed => sink(Event::TcpClosed(record(bytes)?.0)),
        Kind::TcpConnectFailed => sink(Event::TcpConnectFailed(record(bytes)?.0)),
        Kind::HttpOpen => {
            let open: &Open = record(bytes)?.0;
            sink(Event::HttpOpen {
                connection: open.connection,
                tuple: open.tuple,
                late: open.late != 0,
            });
        }
        Kind::HttpSegments => segments(bytes, sink)?,
    }
    Ok(())
}

const KIND: usize = std::mem::offset_of!(Header, kind);

/// The record at the front of `bytes`, and what follows it.
fn record<T: Pod>(bytes: &[u8]) -> Result<(&T, &[u8]), Malformed> {
    crate::kernel::pod::view(bytes).ok_or(Malformed)
}

fn segments(bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), Malformed> {
    let (header, mut rest): (&Segments, _) = record(bytes)?;
    while !rest.is_empty() {
        let (raw, after): (&Raw, _) = record(rest)?;
        let (captured, tail) = (usize::from(raw.captured), usize::from(raw.tail));
        let payload = after.get(..captured + tail).ok_or(Malformed)?;
        sink(Event::HttpSegment(Segment {
            connection: header.connection,
            time: raw.time,
            tgid: raw.tgid,
            direction: if raw.direction == Direction::Receive as u8 {
                Direction::Receive
            } else {
                Direction::Send
            },
            flags: raw.flags,
            offset: raw.offset,
            length: raw.length,
            head: &payload[..captured],
            tail: &payload[captured..],
        }));
        let padded = (captured + tail).next_multiple_of(size_of::<u64>());
        rest = after.get(padded..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as the kernel side writes it, in memory aligned like the ring's.
    fn aligned(words: usize) -> Vec<u64> {
        vec![0; words]
    }

    fn bytes(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn an_unknown_kind_and_a_short_record_are_malformed() {
        let mut seen = 0;
        for length in 0..64 {
            let mut data = bytes(&aligned(8));
            data.truncate(length);
            assert_eq!(decode(&data, &mut |_| seen += 1), Err(Malformed), "kind 0");
            if length > KIND {
                data[KIND] = Kind::TcpClosed as u8;
                assert_eq!(decode(&data, &mut |_| seen += 1), Err(Malformed), "short");
            }
        }
        assert_eq!(seen, 0);
    }

    #[test]
    fn two_segments_of_one_record_are_told_apart() {
        let segment = |direction: u8, captured: u16, tail: u16, length: u32, text: &[u8]| {
            let raw = Raw {
                time: 5,
                offset: 7,
                length,
                tgid: 42,
                captured,
                tail,
                direction,
                flags: 0,
                pad: [0; 2],
            };
            let mut data = crate::kernel::pod::bytes(&raw).to_vec();
            data.extend_from_slice(text);
            data.resize(data.len().next_multiple_of(8), 0);
            data
        };
        let header = Segments {
            header: Header {
                time: 5,
                tgid: 42,
                tid: 0,
                kind: Kind::HttpSegments as u8,
                pad: [0; 7],
            },
            connection: 9,
        };
        let mut data = crate::kernel::pod::bytes(&header).to_vec();
        data.extend(segment(0, 3, 0, 3, b"abc"));
        data.extend(segment(1, 2, 1, 100, b"xyz"));
        let mut seen = Vec::new();
        let result = decode(&data, &mut |event| {
            if let Event::HttpSegment(segment) = event {
                seen.push((
                    segment.connection,
                    segment.direction,
                    segment.head.to_vec(),
                    segment.tail.to_vec(),
                    segment.length,
                ));
            }
        });
        assert_eq!(result, Ok(()));
        assert_eq!(
            seen,
            [
                (9, Direction::Receive, b"abc".to_vec(), vec![], 3),
                (9, Direction::Send, b"xy".to_vec(), b"z".to_vec(), 100),
            ]
        );
    }
}
