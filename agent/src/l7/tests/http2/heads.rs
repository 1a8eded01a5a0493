//! Requests, answers and what they carry.

use super::*;
use crate::l7::{
    exchange::{Method, Role},
    rpc::RpcStatus,
};

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

fn grpc(stream: u32) -> Vec<u8> {
    let block = [
        &POST[..],
        &field(":path", "/helloworld.Greeter/SayHello"),
        &field("content-type", "application/grpc+proto"),
        &field("te", "trailers"),
    ]
    .concat();
    frame(HEADERS, END_HEADERS, stream, block)
}

fn message(length: u8) -> Vec<u8> {
    [&[0, 0, 0, 0, length][..], &vec![7; usize::from(length)]].concat()
}

#[test]
fn a_streaming_call_lasts_until_its_trailers_and_counts_messages() {
    let sent: Vec<u8> = (0..5).flat_map(|_| message(20)).collect();
    let trailers = [field("grpc-status", "0"), field("grpc-message", "fine")].concat();
    let script = opened()
        .receive([grpc(1), frame(DATA, 0, 1, &sent[..60])].concat())
        .receive(frame(DATA, END_STREAM, 1, &sent[60..]))
        .send(head(1, "200"))
        .wait(seconds(10))
        .send(frame(DATA, 0, 1, message(0)))
        .wait(seconds(400))
        .send(frame(DATA, 0, 1, message(9)))
        .send(frame(HEADERS, END_STREAM | END_HEADERS, 1, trailers));
    let seen = only(&script);
    assert_eq!(seen.status, Some(200));
    let rpc = seen.rpc.expect("a call");
    assert_eq!(rpc.status, Some(RpcStatus::Ok));
    assert_eq!((rpc.requests, rpc.responses), (Some(5), Some(2)));
    assert_eq!((seen.end - seen.start) / seconds(1), 410);
    assert_eq!(
        (seen.request_body, seen.response_body),
        (Some(125), Some(19))
    );
}

#[test]
fn an_answer_of_trailers_only_has_both_statuses() {
    let block = [
        &OK_200[..],
        &field("content-type", "application/grpc"),
        &field("grpc-status", "12"),
    ]
    .concat();
    let script = opened()
        .receive([grpc(1), frame(DATA, END_STREAM, 1, message(3))].concat())
        .send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block));
    let seen = only(&script);
    assert_eq!(seen.status, Some(200));
    let rpc = seen.rpc.expect("a call");
    assert_eq!(rpc.status, Some(RpcStatus::Unimplemented));
    assert_eq!((rpc.requests, rpc.responses), (Some(1), Some(0)));
}

#[test]
fn only_grpc_itself_is_grpc() {
    for (kind, is_grpc) in [
        ("application/grpc", true),
        ("application/grpc;v=1", true),
        ("application/grpc-web+proto", false),
        ("application/json", false),
    ] {
        let block = [
            &POST[..],
            &field(":path", "/a/b"),
            &field("content-type", kind),
        ]
        .concat();
        let script = opened()
            .receive(frame(HEADERS, END_STREAM | END_HEADERS, 1, block))
            .send([head(1, "200"), last_data(1, 9)].concat());
        assert_eq!(only(&script).rpc.is_some(), is_grpc, "{kind}");
    }
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

#[test]
fn the_preface_may_come_byte_by_byte() {
    let mut script = Script::new(1);
    for byte in PREFACE {
        script = script.receive([*byte]);
    }
    let script = script
        .receive(settings())
        .send(settings())
        .receive(ask(1, "/"));
    let seen = only(&script.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, OK_200)));
    assert_eq!(seen.status, Some(200));
}

#[test]
fn a_server_may_speak_first() {
    let script = Script::new(1)
        .send(settings())
        .receive([PREFACE, &settings(), &ask(1, "/")].concat())
        .send([head(1, "404"), last_data(1, 0)].concat());
    let seen = only(&script);
    assert_eq!((seen.role, seen.status), (Role::Server, Some(404)));
}

#[test]
fn a_server_may_speak_within_the_preface() {
    for at in 1..PREFACE.len() {
        let (first, second) = PREFACE.split_at(at);
        // Its frames begin where the preface ends, and not with a read.
        let second = [second, &settings()[..8]].concat();
        let script = Script::new(1)
            .receive(first)
            .send(settings())
            .receive(second)
            .receive([&settings()[8..], &ask(1, "/")].concat())
            .send([head(1, "404"), last_data(1, 0)].concat());
        for script in [script.clone(), script.mirrored()] {
            let seen = only(&script);
            assert_eq!((&*seen.path, seen.status), ("/", Some(404)), "{at}");
        }
    }
}

#[test]
fn a_request_that_upgrades_is_answered_on_stream_1() {
    let upgrade = "POST /up HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 2\r\n\r\nhi";
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let client = [PREFACE, &settings(), &ask(3, "/next")].concat();
    let answers = [
        head(1, "200"),
        last_data(1, 9),
        head(3, "404"),
        last_data(3, 1),
    ]
    .concat();
    let together = Script::new(1)
        .receive(upgrade)
        .send([&switch[..], &settings(), &answers].concat())
        .receive(&client);
    let apart = Script::new(1)
        .receive(upgrade)
        .send(switch)
        .receive(&client)
        .send(settings())
        .send(&answers);
    for script in [
        together.clone(),
        apart.clone(),
        together.mirrored(),
        apart.mirrored(),
    ] {
        let (exchanges, table) = run(&script);
        assert_eq!(lines(&exchanges), ["/up 200", "/next 404"]);
        assert_eq!(
            (exchanges[0].method, exchanges[0].version),
            (Method::Post, "2")
        );
        assert_eq!(exchanges[0].request_body, Some(2));
        assert_eq!(exchanges[0].response_body, Some(9));
        assert_eq!(table.counters().framing_lost, 0);
        assert_eq!(table.in_flight(), 0);
    }
}

#[test]
fn a_connection_that_closes_after_its_upgrade_fails_the_request() {
    let upgrade = "GET /up HTTP/1.1\r\nUpgrade: h2c\r\n\r\n";
    let script = Script::new(1)
        .receive(upgrade)
        .send("HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\n")
        .close();
    assert_eq!(only(&script).failure, Some(Failure::ConnectionClosed));
}
