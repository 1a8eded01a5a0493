//! Connections that were open before, and bytes that were missed.

use sonde_common::event::http::Direction::{Receive, Send};

use super::*;
use crate::l7::{
    counters::Dropped,
    exchange::{Method, Role},
};

const WHOLE: u8 = END_STREAM | END_HEADERS;

/// A conversation whose paths stand in the dynamic table: `/a` is inserted by the first request and
/// referred to by the second; the third inserts `/c`, the fourth refers to that.
fn conversation() -> Script {
    let insert = |path: &str| [&[0x82, 0x86][..], &inserted(":path", path)].concat();
    let again = [0x82, 0x86, 0xbe];
    let answer = |stream: u32| [head(stream, "200"), last_data(stream, 3)].concat();
    opened()
        .receive(frame(HEADERS, WHOLE, 1, insert("/a")))
        .send(answer(1))
        .receive(frame(HEADERS, WHOLE, 3, again))
        .send(answer(3))
        .receive(frame(HEADERS, WHOLE, 5, insert("/c")))
        .send(answer(5))
        .receive(frame(HEADERS, WHOLE, 7, again))
        .send(answer(7))
}

#[test]
fn what_the_table_hides_is_absent_and_the_rest_is_right() {
    for mirrored in [false, true] {
        let script = conversation().without_first(4);
        let script = if mirrored { script.mirrored() } else { script };
        let (exchanges, table) = run(&script);
        assert_eq!(lines(&exchanges), [" 200", "/c 200", "/c 200"]);
        let role = if mirrored { Role::Client } else { Role::Server };
        for exchange in &exchanges {
            assert_eq!(exchange.role, role);
            assert_eq!(exchange.method, Method::Get);
            assert_eq!(exchange.response_body, Some(3));
            assert!(exchange.end > exchange.start);
        }
        assert_eq!(table.counters().hidden_fields, 1);
    }
}

#[test]
fn a_hidden_method_and_status_are_absent() {
    let script = Script::new(1)
        .late()
        .receive(ask(1, "/known"))
        .send([head(1, "200"), last_data(1, 0)].concat())
        .receive(frame(HEADERS, END_HEADERS, 3, [0xbe, 0xbf]))
        .receive(last_data(3, 4))
        .send(frame(HEADERS, END_HEADERS, 3, [0xbe]))
        .send(last_data(3, 5));
    let (exchanges, _) = run(&script);
    assert_eq!(exchanges.len(), 2);
    let seen = &exchanges[1];
    assert_eq!((seen.method, &*seen.path), (Method::Hidden, ""));
    assert_eq!((seen.status, seen.failure), (None, None));
    assert_eq!((seen.request_body, seen.response_body), (Some(4), Some(5)));
}

#[test]
fn a_late_connection_is_taken_up_where_frames_begin() {
    let rest_of_a_body = vec![b'x'; 100];
    let script = Script::new(1)
        .late()
        .send(rest_of_a_body)
        .send([data(1, 100), last_data(1, 10)].concat())
        .receive(ask(9, "/new"))
        .send([head(9, "200"), last_data(9, 4)].concat());
    let (exchanges, table) = run(&script);
    assert_eq!(lines(&exchanges), ["/new 200"]);
    assert_eq!(exchanges[0].response_body, Some(4));
    assert_eq!(table.counters().orphan_responses, 0);
}

#[test]
fn a_hole_in_data_loses_nothing() {
    let body = [&frame(DATA, 0, 1, vec![0; 9000])[..], &last_data(1, 8000)].concat();
    let (first, rest) = body.split_at(5000);
    let script = opened().receive(ask(1, "/big"));
    let script = script.send(head(1, "200")).capture(64, 0).send(first);
    // The kernel side leaves out the rest of the frame, which ends 4009 bytes in.
    let script = script.capture(usize::MAX, 0).skipping(4009).send(rest);
    let seen = only(&script);
    assert_eq!(seen.response_body, Some(17_000));
}

#[test]
fn lost_records_within_data_lose_nothing() {
    let script = opened()
        .receive(ask(1, "/big"))
        .send([&head(1, "200")[..], &data(1, 9000)[..1000]].concat())
        .lost(Send, 7000)
        .send([&vec![b'x'; 1009][..], &last_data(1, 10)].concat());
    let (exchanges, table) = run(&script);
    assert_eq!(lines(&exchanges), ["/big 200"]);
    assert_eq!(exchanges[0].response_body, Some(9010));
    assert_eq!(table.counters().gaps, 1);
    assert_eq!(table.counters().framing_lost, 0);
}

#[test]
fn a_hole_in_a_head_hides_it_and_nothing_else() {
    let asked = ask(1, "/hidden");
    let script = opened()
        .receive(&asked[..12])
        .lost(Receive, asked.len() - 12)
        .receive(ask(3, "/seen"))
        .send(
            [
                head(1, "200"),
                last_data(1, 1),
                head(3, "200"),
                last_data(3, 3),
            ]
            .concat(),
        );
    let (exchanges, table) = run(&script);
    assert_eq!(lines(&exchanges), [" 200", "/seen 200"]);
    assert_eq!(exchanges[0].method, Method::Hidden);
    assert_eq!(table.counters().header_blocks, 1);
}

#[test]
fn lost_frames_make_what_was_open_doubtful() {
    let script = opened()
        .receive([ask(1, "/over"), ask(3, "/goes-on"), ask(5, "/later")].concat())
        .send([head(1, "200"), data(1, 10), head(3, "200"), data(3, 10)].concat())
        .lost(Send, 500)
        .send([last_data(3, 10), head(5, "200"), last_data(5, 7)].concat());
    let (exchanges, table) = run(&script.clone().close());
    assert_eq!(lines(&exchanges), ["/goes-on 200", "/later 200"]);
    assert_eq!(exchanges[0].response_body, None, "a part may be missing");
    assert_eq!(exchanges[1].response_body, Some(7));
    assert_eq!(table.counters().dropped(Dropped::Uncertain), 1);
    assert_eq!(table.counters().framing_lost, 1);
    // Without an end of the connection, patience ends it.
    let (_, mut table) = run(&script.clone());
    table.expire(script.now() + seconds(61), &mut |_| {
        panic!("not known to have failed")
    });
    assert_eq!(table.in_flight(), 0);
}

#[test]
fn no_index_is_resolved_after_lost_heads() {
    let insert = |path: &str| [&[0x82, 0x86][..], &inserted(":path", path)].concat();
    let script = opened()
        .receive(frame(HEADERS, WHOLE, 1, insert("/a")))
        .lost(Receive, 50)
        .receive(frame(HEADERS, WHOLE, 5, [0x82, 0x86, 0xbe]))
        .send(
            [
                head(5, "200"),
                last_data(5, 0),
                head(1, "200"),
                last_data(1, 0),
            ]
            .concat(),
        );
    let (exchanges, _) = run(&script);
    assert_eq!(lines(&exchanges), [" 200", "/a 200"]);
}
