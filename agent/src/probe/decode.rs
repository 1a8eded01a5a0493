//! Ring-buffer bytes to [`Event`]s.

use aya::Pod;
use sonde_common::{
    event::{
        http::{Direction, NOT_QUEUED, Open, Segment as Raw},
        tcp::Info,
    },
    header::{Header, Kind},
};

use crate::event::{Event, Opened, Segment};

/// The bytes are no record of this build's kernel side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Decodes one record and hands its event over.
pub fn decode(bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), Malformed> {
    let header: &Header = record(bytes)?.0;
    match Kind::from_u32(header.kind).ok_or(Malformed)? {
        Kind::Exec => sink(Event::Exec(record(bytes)?.0)),
        Kind::Fork => sink(Event::Fork(record(bytes)?.0)),
        Kind::Exit => sink(Event::Exit(record(bytes)?.0)),
        Kind::ExitRest => sink(Event::ExitRest(record(bytes)?.0)),
        Kind::OomKill => sink(Event::OomKill(record(bytes)?.0)),
        Kind::TcpClosed => sink(Event::TcpClosed(record(bytes)?.0)),
        Kind::TcpConnectFailed => sink(Event::TcpConnectFailed(record(bytes)?.0)),
        Kind::HttpOpen => {
            let open: &Open = record(bytes)?.0;
            sink(Event::HttpOpen(Opened {
                connection: open.connection,
                tuple: open.tuple,
                late: open.late != 0,
                tls: open.tls != 0,
                http2: open.http2 != 0,
            }));
        }
        Kind::HttpSegment => sink(Event::HttpSegment(segment(bytes)?)),
        Kind::Uncovered => sink(Event::Uncovered(record(bytes)?.0)),
    }
    Ok(())
}

/// The record at the front of `bytes`, and what follows it.
fn record<T: Pod>(bytes: &[u8]) -> Result<(&T, &[u8]), Malformed> {
    crate::kernel::pod::view(bytes).ok_or(Malformed)
}

fn segment(bytes: &[u8]) -> Result<Segment<'_>, Malformed> {
    let (raw, payload): (&Raw, _) = record(bytes)?;
    let (captured, tail) = (usize::from(raw.captured), usize::from(raw.tail));
    let (head, rest) = payload.split_at_checked(captured).ok_or(Malformed)?;
    Ok(Segment {
        connection: raw.connection,
        time: raw.header.time,
        tgid: raw.header.tgid,
        direction: if raw.direction == Direction::Receive as u16 {
            Direction::Receive
        } else {
            Direction::Send
        },
        flags: raw.flags.into(),
        offset: raw.offset,
        length: raw.length,
        skipped: raw.skipped,
        framing: raw.framing,
        head,
        tail: rest.get(..tail).ok_or(Malformed)?,
        queued: (raw.queued != NOT_QUEUED).then_some(raw.queued),
        tcp: (raw.tcp != Info::UNKNOWN).then_some(raw.tcp),
    })
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
            let kind = std::mem::offset_of!(Header, kind);
            if length > kind {
                data[kind] = Kind::TcpClosed as u8;
                assert_eq!(decode(&data, &mut |_| seen += 1), Err(Malformed), "short");
            }
        }
        assert_eq!(seen, 0);
    }

    #[test]
    fn a_segment_comes_with_its_first_and_last_bytes() {
        let raw = Raw {
            header: Header {
                time: 5,
                tgid: 42,
                tid: 0,
                kind: Kind::HttpSegment as u32,
                pad: 0,
            },
            connection: 9,
            offset: 7,
            length: 100,
            captured: 2,
            tail: 1,
            direction: 1,
            flags: 0,
            skipped: 0,
            framing: 0,
            queued: NOT_QUEUED,
            tcp: Info::UNKNOWN,
        };
        let mut data = crate::kernel::pod::bytes(&raw).to_vec();
        data.extend_from_slice(b"xyz");
        let mut seen = 0;
        let result = decode(&data, &mut |event| {
            let Event::HttpSegment(segment) = event else {
                panic!("another event");
            };
            assert_eq!((segment.connection, segment.time, segment.tgid), (9, 5, 42));
            assert_eq!((segment.offset, segment.length), (7, 100));
            assert_eq!(segment.direction, Direction::Send);
            assert_eq!((segment.head, segment.tail), (&b"xy"[..], &b"z"[..]));
            seen += 1;
        });
        assert_eq!((result, seen), (Ok(()), 1));
        data.pop();
        assert_eq!(decode(&data, &mut |_| ()), Err(Malformed), "bytes missing");
    }
}
