//! What TCP knew, in exchanges of either protocol.

use std::time::Duration;

use sonde_common::event::tcp::Info;

use super::{super::transport::Transport, *};

/// Plays a script whose segments come with a round-trip time of 1, 2, 3, ... ms, and a segment sent
/// again before each.
fn played(script: &Script, info: impl Fn(u32) -> Option<Info>) -> Vec<Transport> {
    let mut table = table();
    let mut told = Vec::new();
    table.open(&script.opened());
    for (number, mut segment) in (1..).zip(script.segments()) {
        segment.tcp = info(number);
        table.segment(&segment, &mut |exchange| told.push(exchange.transport));
    }
    told
}

#[expect(clippy::unnecessary_wraps, reason = "what a segment has")]
const fn counted(number: u32) -> Option<Info> {
    Some(Info {
        srtt: number * 1000,
        retransmits: number,
    })
}

fn facts(told: &[Transport]) -> Vec<(Option<u64>, Option<u32>)> {
    let milliseconds = |rtt: Duration| u64::try_from(rtt.as_millis()).ok();
    told.iter()
        .map(|told| (told.rtt().and_then(milliseconds), told.retransmits()))
        .collect()
}

#[test]
fn an_exchange_has_what_was_sent_again_from_its_first_byte_to_its_last() {
    let (head, rest) = GET.split_at(20);
    let (answer, end) = OK.split_at(OK.len() - 1);
    let script = Script::new(1)
        .receive(head)
        .receive(rest)
        .send(answer)
        .send(end)
        .receive(GET)
        .send(OK);
    let told = played(&script, counted);
    assert_eq!(facts(&told), [(Some(4), Some(3)), (Some(6), Some(1))]);
}

#[test]
fn pipelined_requests_begin_together_and_end_one_by_one() {
    let script = Script::new(1)
        .receive([GET, GET].concat())
        .send(OK)
        .send(OK);
    let told = played(&script, counted);
    assert_eq!(facts(&told), [(Some(2), Some(1)), (Some(3), Some(2))]);
}

#[test]
fn streams_have_each_what_was_sent_again_meanwhile() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let request = |stream: u8| [0, 0, 3, 1, 5, 0, 0, 0, stream, 0x82, 0x86, 0x84];
    let answer = |stream: u8| [0, 0, 1, 1, 5, 0, 0, 0, stream, 0x88];
    let script = Script::new(1)
        .receive([PREFACE, &request(1)].concat())
        .receive(request(3))
        .send(answer(3))
        .send(answer(1));
    let told = played(&script, counted);
    assert_eq!(facts(&told), [(Some(3), Some(1)), (Some(4), Some(3))]);
}

#[test]
fn what_the_kernel_side_does_not_know_is_absent() {
    let script = Script::new(1).receive(GET).send(OK);
    assert_eq!(facts(&played(&script, |_| None)), [(None, None)]);
    let end_only = |number| counted(number).filter(|_| number == 2);
    assert_eq!(facts(&played(&script, end_only)), [(Some(2), None)]);
}

#[test]
fn of_a_request_that_was_given_up_only_the_round_trip_time_is_known() {
    let script = Script::new(1).receive(GET);
    let mut table = table();
    table.open(&script.opened());
    for mut segment in script.segments() {
        segment.tcp = counted(7);
        table.segment(&segment, &mut |_| panic!("no answer yet"));
    }
    let mut told = Vec::new();
    table.expire(u64::MAX, &mut |exchange| told.push(exchange.transport));
    assert_eq!(facts(&told), [(Some(7), None)]);
}
