//! Heads and bodies of any size, captured as the kernel side does it: no request vanishes.

use proptest::{prelude::*, sample::Index};
use sonde_common::event::http::Direction::{Receive, Send};

use super::{conversation::*, *};

/// A message: how long its head is about, its body, and whether that comes in the same segment.
#[derive(Clone, Debug)]
struct Message {
    filler: usize,
    body: Body,
    together: bool,
}

fn message() -> impl Strategy<Value = Message> {
    let filler = prop_oneof![Just(0), 0..6_000_usize];
    let body = prop_oneof![
        Just(Body::None),
        (1..6_000_usize).prop_map(Body::Length),
        (1..3_000_usize, 0..4_usize).prop_map(|(size, count)| Body::Chunked(size, count)),
    ];
    (filler, body, any::<bool>()).prop_map(|(filler, body, together)| Message {
        filler,
        body,
        together,
    })
}

fn messages() -> impl Strategy<Value = Vec<(Message, Message)>> {
    prop::collection::vec((message(), message()), 1..8)
}

impl Message {
    /// The segments of it. Only when `inner`, its body is full of messages.
    fn segments(&self, first_line: &str, inner: bool) -> Vec<String> {
        let (field, mut body) = framed(self.body);
        if !inner {
            body = body.replace("HTTP", "text").replace("GET", "its");
        }
        let filler = "f".repeat(self.filler);
        // The length stands behind what may not be captured.
        let head = format!("{first_line}\r\nX-Filler: {filler}\r\n{field}\r\n");
        if self.together || body.is_empty() {
            vec![head + &body]
        } else {
            vec![head, body]
        }
    }
}

/// Each pair's request and answer, one after the other, each segment cut where `cuts` say.
fn exchanged(pairs: &[(Message, Message)], inner: bool, cuts: &[Index]) -> Script {
    let mut script = Script::new(1).captured_as_by_the_kernel();
    for (number, (ask, answer)) in pairs.iter().enumerate() {
        for segment in ask.segments(&format!("POST /{number} HTTP/1.1"), inner) {
            script = pieces(script, Receive, &segment, cuts);
        }
        for segment in answer.segments(&format!("HTTP/1.1 {} X", 400 + number), inner) {
            script = pieces(script, Send, &segment, cuts);
        }
    }
    script.close()
}

proptest! {
    /// However long the heads and whatever the bodies: every exchange is told, and right.
    #[test]
    fn fault_11_heads_of_any_size_lose_no_exchange(pairs in messages()) {
        let script = exchanged(&pairs, false, &[]);
        for script in [script.clone(), script.mirrored()] {
            let (exchanges, table) = run(&script);
            let seen: Vec<_> = exchanges.iter().map(|e| (e.path.to_string(), e.status)).collect();
            let sent: Vec<_> = (0..pairs.len())
                .map(|number| (format!("/{number}"), u16::try_from(400 + number).ok()))
                .collect();
            prop_assert_eq!(seen, sent, "{}", story(script.segments()));
            prop_assert_eq!(table.counters().requests, pairs.len() as u64);
            for (exchange, (ask, answer)) in exchanges.iter().zip(&pairs) {
                prop_assert!(exchange.request_body.is_none_or(|size| size == payload(ask.body)));
                prop_assert!(exchange.response_body.is_none_or(|size| size == payload(answer.body)));
            }
        }
    }

    /// Split anywhere as well: what isn't told is counted.
    #[test]
    fn fault_11_no_request_vanishes_however_it_is_split(
        pairs in messages(),
        cuts in prop::collection::vec(any::<Index>(), 1..4),
    ) {
        let script = exchanged(&pairs, false, &cuts);
        for script in [script.clone(), script.mirrored()] {
            let (exchanges, table) = run(&script);
            prop_assert_eq!(table.counters().requests, pairs.len() as u64, "{}", story(script.segments()));
            prop_assert_eq!(table.in_flight(), 0);
            never_mixed(&exchanges, &script)?;
        }
    }

    /// Bodies full of messages: some may count as requests that were not followed, none as one.
    #[test]
    fn fault_11_bodies_of_messages_mix_nothing(
        pairs in messages(),
        cuts in prop::collection::vec(any::<Index>(), 0..4),
    ) {
        let script = exchanged(&pairs, true, &cuts);
        for script in [script.clone(), script.mirrored()] {
            let (exchanges, table) = run(&script);
            prop_assert!(table.counters().requests >= pairs.len() as u64);
            never_mixed(&exchanges, &script)?;
        }
    }
}
