//! Whatever the split and whatever is missed: the same result, or none, and never a wrong one.

use proptest::prelude::*;
use sonde_common::event::http::Direction::{Receive, Send};

use super::{conversation::*, *};

/// The segments with each written one behind up to `delays` read ones that follow it, its time
/// moved with it. Each direction keeps its order.
fn delayed<'a>(script: &'a Script, delays: &[usize]) -> Vec<crate::event::Segment<'a>> {
    let segments: Vec<_> = script.segments().collect();
    let mut delays = delays.iter().copied().cycle();
    // A written segment stands behind this many read ones.
    let (mut read, mut least) = (0, 0);
    let mut keyed: Vec<_> = segments
        .into_iter()
        .map(|segment| match segment.direction {
            Receive => {
                read += 1;
                (read, 0, segment)
            }
            Send => {
                least = least.max(read + delays.next().unwrap_or_default());
                (least, 1, segment)
            }
        })
        .collect();
    keyed.sort_by_key(|(read, written, _)| (*read, *written));
    let mut now = 0;
    keyed
        .into_iter()
        .map(|(.., mut segment)| {
            now = segment.time.max(now + 1);
            segment.time = now;
            segment
        })
        .collect()
}

proptest! {
    /// Captured whole, a conversation gives the same exchanges however it is split.
    #[test]
    fn fault_05_any_split_gives_the_same(batches in conversation(5), cuts in cuts()) {
        let expected: Vec<_> = batches
            .iter()
            .flatten()
            .map(|pair| {
                let sizes = [Some(payload(pair.ask)), Some(payload(pair.answer))];
                (pair.path(), Some(pair.status()), None, sizes)
            })
            .collect();
        let script = write(Script::new(1), &batches, &cuts);
        for script in [script.clone(), script.mirrored()] {
            let (exchanges, table) = run(&script);
            let seen: Vec<_> = exchanges.iter().map(essence).collect();
            prop_assert_eq!(&seen, &expected);
            prop_assert_eq!(table.counters().orphan_responses, 0);
        }
    }

    /// With little of each read and write captured, some exchanges may be missing; none is wrong.
    #[test]
    fn fault_05_any_truncation_mixes_nothing(
        batches in conversation(4),
        cuts in cuts(),
        front in 16..100_usize,
        tail in 0..=16_usize,
    ) {
        let script = write(Script::new(1).capture(front, tail), &batches, &cuts);
        let (exchanges, _) = run(&script);
        never_mixed(&exchanges, &script)?;
    }

    /// Without pipelining, short heads captured whole and lengths known, nothing may be missing.
    #[test]
    fn uncaptured_bodies_cost_no_exchange(
        pairs in prop::collection::vec((0..5000_usize, 0..5000_usize), 1..8),
        size in 128..2000_usize,
    ) {
        let mut script = Script::new(1).capture(128, 16);
        for (number, (ask, answer)) in pairs.iter().enumerate() {
            let pair = Pair {
                number,
                ask: Body::Length(*ask),
                answer: Body::Length(*answer),
                interim: false,
            };
            for piece in pair.ask_bytes().as_bytes().chunks(size) {
                script = script.receive(piece);
            }
            for piece in pair.answer_bytes().as_bytes().chunks(size) {
                script = script.send(piece);
            }
        }
        let (exchanges, _) = run(&script);
        prop_assert_eq!(exchanges.len(), pairs.len());
        never_mixed(&exchanges, &script)?;
    }

    /// A client whose writes are told of late, each by up to one answer, loses nothing: threads
    /// that read and write, with or without pipelining, bodies and splits.
    #[test]
    fn late_told_requests_lose_no_exchange(
        batches in conversation(4),
        cuts in cuts(),
        delays in prop::collection::vec(0..4_usize, 1..40),
    ) {
        let script = write(Script::new(1), &batches, &cuts).mirrored();
        let told = delayed(&script, &delays);
        let mut table = table();
        let mut exchanges = Vec::new();
        table.open(&Script::opened_as(1, false));
        for segment in &told {
            table.segment(segment, &mut |e| exchanges.push(e.clone()));
        }
        conserves(&table, exchanges.len());
        let expected: Vec<_> = batches
            .iter()
            .flatten()
            .map(|pair| (pair.path(), Some(pair.status()), Some(payload(pair.answer))))
            .collect();
        let seen: Vec<_> = exchanges
            .iter()
            .map(|e| (e.path.to_string(), e.status, e.response_body))
            .collect();
        prop_assert_eq!(seen, expected, "{}", story(told.iter().copied()));
        prop_assert_eq!(table.counters().dropped_in_all(), 0);
        prop_assert_eq!(table.counters().orphan_responses, 0);
        for exchange in &exchanges {
            prop_assert!(!exchange.truncated);
            prop_assert!(Some(exchange.start) <= exchange.response_start);
            prop_assert!(exchange.response_start <= Some(exchange.end));
        }
    }

    /// A server whose answers are told of after the next request was read loses nothing either.
    #[test]
    fn late_told_answers_lose_no_exchange(
        pairs in prop::collection::vec((pair(), any::<bool>()), 1..20),
    ) {
        let mut script = Script::new(1);
        let mut late = String::new();
        for (number, (pair, delayed)) in pairs.iter().enumerate() {
            let pair = Pair { number, ..pair.clone() };
            script = script.receive(pair.ask_bytes()).send(std::mem::take(&mut late));
            if *delayed {
                late = pair.answer_bytes();
            } else {
                script = script.send(pair.answer_bytes());
            }
        }
        script = script.send(late);
        let (exchanges, table) = run(&script);
        prop_assert_eq!(exchanges.len(), pairs.len());
        prop_assert_eq!(table.counters().orphan_responses, 0);
        never_mixed(&exchanges, &script)?;
    }

    /// Records lost at random: without pipelining, what is told is right.
    #[test]
    fn fault_21_lost_records_mix_nothing(
        batches in conversation(1),
        cuts in cuts(),
        lost in prop::collection::vec(prop::bool::weighted(0.15), 1..60),
        late in 0..4_usize,
        client in any::<bool>(),
    ) {
        let script = write(Script::new(1), &batches, &cuts).without_first(late);
        let script = if client { script.mirrored() } else { script };
        let mut table = table();
        let mut exchanges = Vec::new();
        table.open(&Script::opened_as(1, late > 0));
        for (segment, lost) in script.segments().zip(lost.iter().cycle()) {
            if !lost {
                table.segment(&segment, &mut |e| exchanges.push(e.clone()));
            }
        }
        conserves(&table, exchanges.len());
        table.expire(seconds(10_000), &mut |e| exchanges.push(e.clone()));
        conserves(&table, exchanges.len());
        prop_assert_eq!(table.in_flight(), 0);
        for exchange in &exchanges {
            // Late, a body that holds a message may be all that is seen of a request.
            if let Ok(number) = exchange.path.trim_start_matches('/').parse::<u16>()
                && let Some(status) = exchange.status
            {
                prop_assert_eq!(status, 400 + number, "{}", story(script.segments().zip(lost.iter().cycle()).filter(|(_, lost)| !**lost).map(|(s, _)| s)));
            }
        }
    }

    /// Any segments at all are taken without a panic, and nothing is left behind.
    #[test]
    fn fault_01_random_segments_do_no_harm(
        segments in prop::collection::vec(
            (
                any::<bool>(),
                0..16_u8,
                0..3000_u64,
                0..3000_u32,
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..200),
                    Just(GET.as_bytes().to_vec()),
                    Just(OK.as_bytes().to_vec()),
                    Just(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n".to_vec()),
                ],
                prop::collection::vec(any::<u8>(), 0..16),
                prop_oneof![Just((0, 0)), (0..3000_u32, 0..100_u32)],
            ),
            0..60,
        ),
    ) {
        let mut table = table();
        let mut count = 0;
        for (time, (received, flags, offset, length, head, tail, left_out)) in segments.iter().enumerate() {
            table.open(&Script::opened_as(1, false));
            let segment = crate::event::Segment {
                connection: 1,
                time: time as u64,
                tgid: 1,
                // Ends are rarer than bytes.
                flags: if flags % 5 == 0 { u32::from(*flags) } else { 0 },
                direction: if *received { Receive } else { Send },
                offset: *offset,
                length: *length,
                skipped: left_out.0,
                framing: left_out.1,
                head,
                tail,
                queued: None,
                tcp: None,
            };
            table.segment(&segment, &mut |_| count += 1);
            conserves(&table, count);
        }
        Script::new(1).close().play(&mut table);
        // An answer without a request waits for one a little longer.
        table.expire(seconds(10_000), &mut |_| count += 1);
        prop_assert_eq!(table.in_flight(), 0);
        prop_assert_eq!(table.buffered(), 0);
    }
}
