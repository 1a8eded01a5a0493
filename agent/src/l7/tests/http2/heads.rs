//! Requests, answers and what they carry.

use super::*;
use crate::l7::exchange::{Method, Role};

#[test]
fn a_request_and_its_answer_are_one_exchange() {
    let block = [
        &POST[..],
        &field(":path", "/orders?secret=1"),
        &field(":authority", "user:pw@shop.test:8080"),
        &field("user-agent", "curl/8"),
        &field(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ]
    .concat();
    let script = opened()
        .receive(frame(HEADERS, END_HEADERS, 1, block))
        .wait(seconds(1))
        .receive(last_data(1, 300))
        .wait(seconds(2))
        .send(head(1, "201"))
        .wait(seconds(3))
        .send([data(1, 1000), last_data(1, 24)].concat());
    for (script, role) in [
        (script.clone(), Role::Server),
        (script.mirrored(), Role::Client),
    ] {
        let seen = only(&script);
        assert_eq!(seen.role, role);
        assert_eq!(seen.method, Method::Post);
        assert_eq!(&*seen.path, "/orders");
        assert_eq!(seen.host.as_deref(), Some("shop.test:8080"));
        assert_eq!(seen.user_agent.as_deref(), Some("curl/8"));
        assert!(seen.parent.is_some());
        assert_eq!((seen.version, seen.scheme), ("2", "http"));
        assert_eq!(seen.status, Some(201));
        assert_eq!(seen.request_body, Some(300));
        assert_eq!(seen.response_body, Some(1024));
        assert_eq!(
            (seen.failure, seen.rpc, seen.truncated),
            (None, None, false)
        );
        assert_eq!(seen.tgid, 1000);
        let response_start = seen.response_start.expect("an answer");
        assert_eq!((response_start - seen.start) / seconds(1), 3);
        assert_eq!((seen.end - seen.start) / seconds(1), 6);
    }
}

#[test]
fn interleaved_streams_keep_apart() {
    let script = opened()
        .receive([ask(1, "/a"), ask(3, "/b"), ask(5, "/c")].concat())
        .send([head(5, "205"), head(1, "201"), data(5, 5), data(1, 1)].concat())
        .send([head(3, "203"), last_data(3, 33), last_data(5, 50)].concat())
        .send(last_data(1, 10));
    let (exchanges, _) = run(&script);
    assert_eq!(lines(&exchanges), ["/b 203", "/c 205", "/a 201"]);
    let sizes: Vec<_> = exchanges.iter().map(|e| e.response_body).collect();
    assert_eq!(sizes, [Some(33), Some(55), Some(11)]);
}

#[test]
fn padding_and_priority_are_no_content() {
    let priority = [&[0, 0, 0, 0, 16][..], &GET_ROOT].concat();
    let padded = [&[4][..], &priority, &[0; 4]].concat();
    let flags = END_STREAM | END_HEADERS | PADDED | PRIORITY;
    let body = [&[200][..], &[b'x'; 30], &[0; 200]].concat();
    let script = opened()
        .receive(frame(HEADERS, flags, 1, padded))
        .send(head(1, "200"))
        .send(frame(DATA, PADDED, 1, &body))
        .send(frame(DATA, PADDED | END_STREAM, 1, [0]));
    assert_eq!(only(&script).response_body, Some(30));
}

#[test]
fn continuation_goes_on_with_a_head() {
    let block = [
        &GET_ROOT[..],
        &field("x", &"y".repeat(100)),
        &field("host", "h.test"),
    ]
    .concat();
    let (first, rest) = block.split_at(40);
    let (second, third) = rest.split_at(60);
    let script = opened()
        .receive(frame(HEADERS, END_STREAM, 1, first))
        .receive(frame(CONTINUATION, 0, 1, second))
        .receive(frame(CONTINUATION, END_HEADERS, 1, third))
        .send(frame(HEADERS, END_STREAM | END_HEADERS, 1, OK_200));
    let seen = only(&script);
    assert_eq!(seen.host.as_deref(), Some("h.test"));
    assert_eq!((seen.request_body, seen.response_body), (Some(0), Some(0)));
}

#[test]
fn what_was_inserted_is_found_by_its_index_and_shares_memory() {
    let first = [
        &[0x82, 0x86][..],
        &inserted(":path", "/a"),
        &inserted("host", "h"),
    ]
    .concat();
    let again = [0x82, 0x86, 0xbf, 0xbe];
    let flags = END_STREAM | END_HEADERS;
    let script = opened()
        .receive(frame(HEADERS, flags, 1, first))
        .receive(frame(HEADERS, flags, 3, again))
        .send(
            [
                head(1, "200"),
                last_data(1, 0),
                head(3, "200"),
                last_data(3, 0),
            ]
            .concat(),
        );
    let (exchanges, _) = run(&script);
    assert_eq!(lines(&exchanges), ["/a 200", "/a 200"]);
    let [one, two] = &exchanges[..] else { panic!() };
    assert!(std::sync::Arc::ptr_eq(&one.path, &two.path));
    assert_eq!(one.host, two.host);
}

#[test]
fn interim_answers_are_passed_over() {
    let script = opened()
        .receive(ask(1, "/"))
        .send(head(1, "103"))
        .wait(seconds(1))
        .send([head(1, "100"), head(1, "204")].concat())
        .send(last_data(1, 0));
    let seen = only(&script);
    assert_eq!(seen.status, Some(204));
    assert!(seen.response_start.expect("an answer") - seen.start > seconds(1));
}

#[test]
fn a_pushed_stream_is_counted_and_keeps_the_compression_in_step() {
    let promise = [&[0, 0, 0, 2][..], &GET_ROOT, &inserted("x-tag", "1")].concat();
    // Refers to the entry that the promise inserted, and to one of its own.
    let answer = [
        &OK_200[..],
        &[0xbe],
        &inserted("content-type", "application/grpc"),
    ]
    .concat();
    let script = opened()
        .receive(ask(1, "/"))
        .send(frame(PUSH_PROMISE, END_HEADERS, 1, promise))
        .send([head(2, "200"), last_data(2, 500)].concat())
        .send([frame(HEADERS, END_HEADERS, 1, answer), last_data(1, 5)].concat());
    let (exchanges, table) = run(&script);
    assert_eq!(lines(&exchanges), ["/ 200"]);
    assert_eq!(exchanges[0].response_body, Some(5));
    assert_eq!(
        (table.counters().pushed, table.counters().hidden_fields),
        (1, 0)
    );
}

#[test]
fn an_answer_that_is_told_of_before_its_request_waits_for_it() {
    let answer = [head(1, "200"), last_data(1, 7)].concat();
    let script = Script::new(1)
        .send([PREFACE, &settings()].concat())
        .receive(settings())
        .receive(answer)
        .send(ask(1, "/late"));
    let seen = only(&script);
    assert_eq!((&*seen.path, seen.status), ("/late", Some(200)));
    assert_eq!(Some(seen.start), seen.response_start);
    let closed = script.close();
    assert_eq!(only(&closed).response_body, Some(7));
}
