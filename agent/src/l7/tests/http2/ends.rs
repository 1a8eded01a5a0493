//! Ends other than the last frame, and caps.

use super::*;
use crate::l7::{
    counters::{Dropped, Rejection},
    exchange::ErrorCode,
};

#[test]
fn a_reset_stream_fails_with_the_name_of_its_code() {
    let script = opened()
        .receive([ask(1, "/a"), ask(3, "/b"), ask(5, "/c")].concat())
        .send([head(3, "200"), data(3, 10)].concat())
        .receive(frame(RST_STREAM, 0, 1, [0, 0, 0, 8]))
        .send(frame(RST_STREAM, 0, 3, [0, 0, 0, 2]))
        .send([head(5, "200"), last_data(5, 0)].concat())
        // After its end: nothing is left to reset.
        .receive(frame(RST_STREAM, 0, 5, [0, 0, 0, 8]));
    let (exchanges, _) = run(&script);
    assert_eq!(
        lines(&exchanges),
        ["/a - CANCEL", "/b 200 INTERNAL_ERROR", "/c 200"]
    );
    assert_eq!(
        exchanges[0].failure,
        Some(Failure::StreamReset(ErrorCode::Cancel))
    );
    assert_eq!(exchanges[1].response_body, None);
}

#[test]
fn a_server_that_goes_away_has_not_looked_at_later_streams() {
    let goaway = |last: u32| {
        let payload = [&last.to_be_bytes()[..], &[0; 4], b"bye"].concat();
        frame(GOAWAY, 0, 0, payload)
    };
    let script = opened()
        .receive([ask(1, "/a"), ask(3, "/b"), ask(5, "/c")].concat())
        .send(goaway(u32::MAX >> 1))
        .send(goaway(3))
        .receive(ask(7, "/d"))
        .send(
            [
                head(3, "200"),
                last_data(3, 0),
                head(1, "200"),
                last_data(1, 0),
            ]
            .concat(),
        )
        .close();
    let (exchanges, table) = run(&script);
    assert_eq!(lines(&exchanges), ["/b 200", "/a 200"]);
    assert_eq!(table.counters().dropped(Dropped::GoneAway), 2);
}

#[test]
fn a_server_that_goes_away_has_looked_at_what_it_answers() {
    let goaway = frame(GOAWAY, 0, 0, [0; 8]);
    let script = opened()
        .receive([ask(1, "/a"), ask(3, "/b")].concat())
        .send([head(3, "200"), goaway, last_data(3, 5)].concat())
        .close();
    let (exchanges, table) = run(&script);
    assert_eq!(lines(&exchanges), ["/b 200"]);
    assert_eq!(table.counters().dropped(Dropped::GoneAway), 1);
}

#[test]
fn what_is_in_flight_fails_with_its_connection() {
    let script = opened()
        .receive([ask(1, "/a"), ask(3, "/b")].concat())
        .send([head(3, "200"), data(3, 10)].concat());
    let (exchanges, _) = run(&script.clone().reset());
    assert_eq!(
        lines(&exchanges),
        ["/a - connection_reset", "/b 200 connection_reset"]
    );
    let (exchanges, table) = run(&script.end(sonde_common::event::http::Direction::Send));
    assert_eq!(
        lines(&exchanges),
        ["/a - connection_closed", "/b 200 connection_closed"]
    );
    assert_eq!((table.len(), table.in_flight()), (1, 0));
}

#[test]
fn silence_ends_a_request_but_not_a_call_that_goes_on() {
    let mut table = table();
    let script = opened()
        .receive([ask(1, "/slow"), ask(3, "/stream")].concat())
        .send(head(3, "200"));
    let mut exchanges = script.play(&mut table);
    let later = script.now() + seconds(61);
    table.expire(later, &mut |e| exchanges.push(e.clone()));
    assert_eq!(lines(&exchanges), ["/slow - timeout"]);
    // The connection is alive: a PING.
    let ping = script.wait(seconds(1000)).receive(frame(6, 0, 0, [0; 8]));
    for segment in ping.segments().skip(4) {
        table.segment(&segment, &mut |_| panic!("nothing ends"));
    }
    table.expire(ping.now() + seconds(200), &mut |e| {
        exchanges.push(e.clone());
    });
    assert_eq!(table.in_flight(), 1);
    table.expire(ping.now() + seconds(301), &mut |e| {
        exchanges.push(e.clone());
    });
    assert_eq!(
        lines(&exchanges),
        ["/slow - timeout", "/stream 200 timeout"]
    );
    conserves(&table, 2);
}

#[test]
fn more_streams_than_are_followed_are_dropped_and_the_others_go_on() {
    let mut table = Connections::new(Limits {
        max_streams: 2,
        ..Limits::default()
    });
    let script = opened()
        .receive([ask(1, "/a"), ask(3, "/b"), ask(5, "/c")].concat())
        .send(
            [
                head(5, "200"),
                last_data(5, 0),
                head(1, "200"),
                last_data(1, 0),
            ]
            .concat(),
        )
        .receive(ask(7, "/d"))
        .send(
            [
                head(7, "200"),
                last_data(7, 0),
                head(3, "200"),
                last_data(3, 0),
            ]
            .concat(),
        );
    let exchanges = script.play(&mut table);
    conserves(&table, exchanges.len());
    assert_eq!(lines(&exchanges), ["/a 200", "/d 200", "/b 200"]);
    assert_eq!(table.counters().dropped(Dropped::StreamsFull), 1);
}

#[test]
fn a_head_that_is_longer_than_may_be_kept_still_counts() {
    let mut table = Connections::new(Limits {
        max_head: 100,
        ..Limits::default()
    });
    let block = [&GET_ROOT[..], &field("x", &"y".repeat(100))].concat();
    let (first, rest) = block.split_at(60);
    let script = opened()
        .receive(frame(HEADERS, END_STREAM, 1, first))
        .receive(frame(CONTINUATION, END_HEADERS, 1, rest))
        .receive(ask(3, "/next"))
        .send(
            [
                head(1, "200"),
                last_data(1, 0),
                head(3, "200"),
                last_data(3, 0),
            ]
            .concat(),
        );
    let exchanges = script.play(&mut table);
    conserves(&table, exchanges.len());
    assert_eq!(lines(&exchanges), [" 200", "/next 200"]);
    assert!(exchanges[0].truncated);
    assert_eq!(table.buffered(), 0);
}

#[test]
fn a_preface_that_turns_out_to_be_none_is_counted() {
    let script = Script::new(1).receive("PRI * HTTP/3.0\r\n\r\n").close();
    let (exchanges, table) = run(&script);
    assert_eq!(exchanges, []);
    assert_eq!(table.counters().rejected(Rejection::NotHttp), 1);
}

/// A thread may write an answer before its request's header block has been told of as a whole.
/// What a server then still sends on that stream is nobody's.
#[test]
fn what_follows_an_answers_end_is_passed_over() {
    let block = [&[0x82, 0x86][..], &field(":path", "/a")].concat();
    let (front, rest) = block.split_at(3);
    let script = opened()
        .receive(frame(HEADERS, END_STREAM, 1, front))
        .send([head(1, "201"), last_data(1, 5)].concat())
        .send([head(1, "500"), last_data(1, 9)].concat())
        .receive(frame(CONTINUATION, END_HEADERS, 1, rest));
    let seen = only(&script);
    assert_eq!((seen.status, seen.response_body), (Some(201), Some(5)));
    assert!(seen.response_start <= Some(seen.end));
}
