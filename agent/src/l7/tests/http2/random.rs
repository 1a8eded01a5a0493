//! Anything at all.

use proptest::prelude::*;
use sonde_common::event::http::Direction::{Receive, Send};

use super::*;

/// Frames, parts of frames, and what is none.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop_oneof![4 => 1..9_u32, 1 => any::<u32>()];
    let block = prop_oneof![
        Just(GET_ROOT.to_vec()),
        Just(OK_200.to_vec()),
        Just(field("grpc-status", "0")),
        Just([&[0x82][..], &inserted(":path", "/x"), &[0xbe]].concat()),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    let frames = (0..12_u8, any::<u8>(), stream, block)
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, payload));
    let sound = (0..2_u8, prop::bool::ANY, 1..9_u32).prop_map(|(kind, end, stream)| {
        let flags = (END_HEADERS * kind) | u8::from(end);
        frame(kind, flags, stream, GET_ROOT)
    });
    prop_oneof![
        3 => sound,
        3 => frames.clone(),
        1 => (frames, 0..20_usize).prop_map(|(mut bytes, length)| {
            bytes.truncate(length);
            bytes
        }),
        1 => Just([PREFACE, &settings()].concat()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
        1 => Just(GET.as_bytes().to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any segments at all are taken without a panic, what was seen is accounted for, and nothing is
    /// left behind.
    #[test]
    fn fault_01_random_frames_do_no_harm(
        late: bool,
        preface: bool,
        segments in prop::collection::vec(
            (bytes(), any::<bool>(), 0..40_u8, prop_oneof![8 => Just(0), 1 => 0..200_u32], 0..30_u32, 0..30_u32),
            0..60,
        ),
    ) {
        let mut table = Connections::new(Limits {
            max_streams: 3,
            max_head: 200,
            max_header_tables: 500,
            ..Limits::default()
        });
        let mut count = 0;
        let mut next = [0_u64; 2];
        table.open(&Script::opened_as(1, late));
        if preface {
            next = [(PREFACE.len() + 9) as u64, 9];
            for segment in opened().segments() {
                table.segment(&segment, &mut |_| count += 1);
            }
        }
        for (time, (head, received, flags, missed, skipped, hole)) in segments.iter().enumerate() {
            let direction = if *received { Receive } else { Send };
            let offset = &mut next[direction as usize];
            *offset += u64::from(*missed);
            let length = u32::try_from(head.len()).unwrap() + skipped + hole;
            let segment = crate::event::Segment {
                connection: 1,
                time: (time as u64 + 1) * seconds(1),
                tgid: 1,
                flags: if *flags < 16 && time > 10 { u32::from(*flags) } else { 0 },
                direction,
                offset: *offset,
                length,
                skipped: *skipped,
                framing: 0,
                head,
                tail: &[],
                queued: None,
                tcp: None,
            };
            *offset += u64::from(length);
            table.segment(&segment, &mut |_| count += 1);
            if time % 7 == 0 {
                table.expire(segment.time + seconds(50), &mut |_| count += 1);
            }
            conserves(&table, count);
        }
        for segment in Script::new(1).close().segments() {
            table.segment(&segment, &mut |_| count += 1);
        }
        table.expire(seconds(10_000), &mut |_| count += 1);
        conserves(&table, count);
        prop_assert_eq!((table.in_flight(), table.buffered()), (0, 0));
        prop_assert_eq!((table.len(), table.header_tables()), (0, 0));
    }
}
