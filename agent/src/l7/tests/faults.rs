//! The fault table, rows 1 to 18.

use sonde_common::event::http::Direction;

use super::{
    super::{
        counters::{Dropped, GivenUp, Rejection},
        exchange::{Method, Role},
        script::STEP,
    },
    *,
};

#[test]
fn the_plain_exchange() {
    let script = Script::new(7).receive(GET).send(OK);
    let exchange = only(&script);
    assert_eq!(exchange.connection, 7);
    assert_eq!(exchange.tuple, Script::tuple());
    assert_eq!(exchange.role, Role::Server);
    assert_eq!(exchange.tgid, 1000);
    assert_eq!(exchange.method, Method::Get);
    assert_eq!(&*exchange.path, "/a");
    assert_eq!(exchange.host.as_deref(), Some("shop.test"));
    assert_eq!(exchange.user_agent.as_deref(), Some("curl/8"));
    assert_eq!((exchange.version, exchange.scheme), ("1.1", "http"));
    assert_eq!((exchange.status, exchange.failure), (Some(200), None));
    assert_eq!(exchange.request_body, Some(0));
    assert_eq!(exchange.response_body, Some(2));
    assert_eq!(exchange.response_start, Some(exchange.start + STEP));
    assert_eq!(exchange.end, exchange.start + STEP);
    assert!(!exchange.truncated);
}

#[test]
fn the_client_sees_the_same() {
    let exchange = only(&Script::new(1).send(GET).receive(OK));
    assert_eq!(exchange.role, Role::Client);
    assert_eq!((&*exchange.path, exchange.status), ("/a", Some(200)));
}

#[test]
fn times_are_those_of_first_and_last_bytes() {
    let script = Script::new(1)
        .receive("POST /up HTTP/1.1\r\nContent-Le")
        .receive("ngth: 4\r\n\r\nab")
        .receive("cd")
        .send("HTTP/1.1 201 Created\r\nContent-")
        .send("Length: 3\r\n\r\na")
        .send("bc");
    let exchange = only(&script);
    assert_eq!(exchange.response_start, Some(exchange.start + 3 * STEP));
    assert_eq!(exchange.end, exchange.start + 5 * STEP);
    assert_eq!(exchange.request_body, Some(4));
    assert_eq!(exchange.response_body, Some(3));
}

#[test]
fn fault_01_random_bytes_are_rejected_once() {
    let (exchanges, table) = run(&Script::new(1)
        .receive([0, 159, 146, 150])
        .receive("no request at all\r\n")
        .receive([7; 100]));
    assert_eq!(exchanges, []);
    assert_eq!(table.counters().rejected(Rejection::NotHttp), 1);
}

#[test]
fn fault_01_other_protocols_are_named_and_given_up() {
    for (bytes, reason) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00"[..], Rejection::Tls),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Rejection::Http2),
    ] {
        let (exchanges, table) = run(&Script::new(1).receive(bytes).receive(GET).send(OK));
        assert_eq!(exchanges, []);
        assert_eq!(table.counters().rejected(reason), 1);
        assert_eq!(table.counters().given_up(GivenUp::OtherProtocol), 1);
    }
}

#[test]
fn fault_01_a_truncated_request_is_counted_at_the_end() {
    let (exchanges, table) = run(&Script::new(1).receive("GET /a HTT").close());
    assert_eq!(exchanges, []);
    assert_eq!(table.len(), 0);
    assert_eq!(table.counters().rejected(Rejection::Incomplete), 1);
}

#[test]
fn fault_02_unknown_and_lower_case_methods_are_other() {
    for method in ["BREW", "get", "PROPFIND"] {
        let request = format!("{method} /pot HTTP/1.1\r\n\r\n");
        let exchange = only(&Script::new(1).receive(request).send(OK));
        assert_eq!(exchange.method, Method::Other);
        assert_eq!(exchange.method_original.as_deref(), Some(method));
    }
}

#[test]
fn fault_03_a_bad_status_line_gives_no_status() {
    for line in [
        "HTTP/1.1 abc\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "garbage\r\n",
        "\0\0\0\0",
    ] {
        let (exchanges, table) = run(&Script::new(1).receive(GET).send(line).receive(GET));
        let [exchange] = &exchanges[..] else {
            panic!("{exchanges:?}");
        };
        assert_eq!(exchange.status, None);
        assert_eq!(exchange.failure, Some(Failure::InvalidResponse));
        assert_eq!(table.counters().given_up(GivenUp::InvalidResponse), 1);
    }
}

#[test]
fn fault_04_odd_bytes_in_the_path_are_kept_as_text() {
    let request = b"GET /a\x01\x00\"\\ \xff\xfe?q HTTP/1.1\r\nHost: h\r\n\r\n";
    let refused = answer(400, "");
    let exchange = only(&Script::new(1).receive(request).send(refused));
    assert_eq!(&*exchange.path, "/a\u{1}\0\"\\ \u{fffd}\u{fffd}");
    assert_eq!(exchange.status, Some(400));
}

#[test]
fn fault_05_split_at_every_offset() {
    let request =
        "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let whole = essence(&only(&Script::new(1).receive(request).send(response)));
    for at in 1..request.len() {
        let (first, second) = request.split_at(at);
        let script = Script::new(1).receive(first).receive(second).send(response);
        assert_eq!(essence(&only(&script)), whole, "request split at {at}");
    }
    for at in 1..response.len() {
        let (first, second) = response.split_at(at);
        let script = Script::new(1).receive(request).send(first).send(second);
        assert_eq!(essence(&only(&script)), whole, "response split at {at}");
    }
}

#[test]
fn fault_05_one_byte_writes() {
    let mut script = Script::new(1);
    for byte in GET.bytes() {
        script = script.receive([byte]);
    }
    for byte in OK.bytes() {
        script = script.send([byte]);
    }
    let exchange = only(&script);
    assert_eq!((&*exchange.path, exchange.status), ("/a", Some(200)));
}

#[test]
fn fault_06_pipelined_requests_are_answered_in_order() {
    let requests = [get("/1"), get("/2"), get("/3")].concat();
    let answers = [answer(201, "a"), answer(202, ""), answer(203, "ccc")].concat();
    let (exchanges, _) = run(&Script::new(1).receive(requests).send(answers));
    let seen: Vec<_> = exchanges.iter().map(|e| (&*e.path, e.status)).collect();
    assert_eq!(
        seen,
        [("/1", Some(201)), ("/2", Some(202)), ("/3", Some(203))]
    );
}

#[test]
fn fault_06_past_the_cap_the_connection_is_given_up() {
    let requests = get("/").repeat(129);
    let (exchanges, table) = run(&Script::new(1).receive(requests).send(OK.repeat(129)));
    assert_eq!(exchanges, []);
    assert_eq!(table.counters().dropped(Dropped::PipelineFull), 129);
    assert_eq!(table.counters().given_up(GivenUp::PipelineFull), 1);
    assert_eq!(table.in_flight(), 0);
}

#[test]
fn fault_07_interim_answers_are_passed_over() {
    let script = Script::new(1)
        .receive("POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .send("HTTP/1.1 100 Continue\r\n\r\n")
        .receive("ab")
        .send("HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\nHTTP/1.1 ")
        .send("200 OK\r\nContent-Length: 0\r\n\r\n");
    let exchange = only(&script);
    assert_eq!(exchange.status, Some(200));
    assert_eq!(exchange.response_start, Some(exchange.start + 3 * STEP));
    assert_eq!(exchange.request_body, Some(2));
}

#[test]
fn fault_08_framing_of_rfc_9112() {
    for (request, head, body, size) in [
        ("HEAD", "200 OK\r\nContent-Length: 9", "", 0),
        ("GET", "204 No Content", "", 0),
        ("GET", "304 Not Modified\r\nContent-Length: 9", "", 0),
        ("GET", "200 OK\r\nContent-Length: 3, 3", "abc", 3),
        (
            "GET",
            "200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: gzip, chunked",
            "A;name=\"v\"\r\n0123456789\r\n1\r\nx\r\n000\r\nTrailer: 0\r\n\r\n",
            11,
        ),
    ] {
        let request = format!("{request} /1 HTTP/1.1\r\n\r\n");
        let answer = format!("HTTP/1.1 {head}\r\n\r\n{body}");
        let (exchanges, _) = run(&Script::new(1)
            .receive(request)
            .send(answer)
            .receive(get("/2"))
            .send(OK));
        let seen: Vec<_> = exchanges
            .iter()
            .map(|e| (&*e.path, e.response_body))
            .collect();
        assert_eq!(seen, [("/1", Some(size)), ("/2", Some(2))], "{head}");
    }
}

#[test]
fn fault_08_a_body_is_never_taken_for_a_message() {
    let inner = [GET, OK].concat();
    let chunked = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    let script = Script::new(1)
        .receive(format!(
            "PUT /1 HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
            inner.len()
        ))
        .receive(&inner)
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .send(format!("{:x}\r\n", inner.len()))
        .send(&chunked[chunked.find('\n').expect("size") + 1..])
        .receive(get("/2"))
        .send(answer(404, &inner));
    let (exchanges, table) = run(&script);
    let seen: Vec<_> = exchanges.iter().map(|e| (&*e.path, e.status)).collect();
    assert_eq!(seen, [("/1", Some(200)), ("/2", Some(404))]);
    assert_eq!(table.counters().requests, 2);
}

#[test]
fn fault_09_upgrade_and_connect_end_with_the_handshake() {
    for (request, head) in [
        (
            "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "101 Switching Protocols",
        ),
        (
            "CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test\r\n\r\n",
            "200 Established",
        ),
    ] {
        let (exchanges, table) = run(&Script::new(1)
            .receive(request)
            .send(format!("HTTP/1.1 {head}\r\n\r\n\x01\x02"))
            .receive(GET)
            .send(OK)
            .close());
        assert_eq!(exchanges.len(), 1, "{exchanges:?}");
        assert_eq!(exchanges[0].failure, None);
        assert_eq!(table.counters().requests, 1);
        if exchanges[0].method == Method::Connect {
            assert_eq!(&*exchanges[0].path, "");
            assert_eq!(exchanges[0].host.as_deref(), Some("db.test:5432"));
        }
    }
}

#[test]
fn fault_09_a_refused_connect_leaves_the_connection_http() {
    let (exchanges, _) = run(&Script::new(1)
        .receive("CONNECT db.test:1 HTTP/1.1\r\n\r\n")
        .send(answer(403, "no"))
        .receive(get("/2"))
        .send(OK));
    let seen: Vec<_> = exchanges.iter().map(|e| e.status).collect();
    assert_eq!(seen, [Some(403), Some(200)]);
}

#[test]
fn fault_10_http_0_9_is_ignored_and_counted() {
    let (exchanges, table) = run(&Script::new(1)
        .receive("GET /old\r\n")
        .send("<html>")
        .close());
    assert_eq!(exchanges, []);
    assert_eq!(table.counters().rejected(Rejection::Http09), 1);
}

#[test]
fn fault_10_http_1_0_ends_with_the_connection() {
    let script = Script::new(1)
        .receive("GET / HTTP/1.0\r\n\r\n")
        .send("HTTP/1.0 200 OK\r\n\r\n")
        .send("hello")
        .end(Direction::Send)
        .close();
    let exchange = only(&script);
    assert_eq!((exchange.status, exchange.failure), (Some(200), None));
    assert_eq!(exchange.version, "1.0");
    assert_eq!(exchange.response_body, Some(5));
    assert_eq!(exchange.end, exchange.start + 3 * STEP);
}

#[test]
fn fault_11_a_long_head_is_timed_and_flagged() {
    let fields = "X-Filler: 0123456789\r\n".repeat(3000);
    let url = "x".repeat(1 << 20);
    for (request, path) in [
        (
            format!("GET /long HTTP/1.1\r\nHost: h\r\n{fields}\r\n"),
            "/long",
        ),
        (format!("GET /u?{url} HTTP/1.1\r\nHost: h\r\n\r\n"), "/u"),
        (format!("GET /{url} HTTP/1.1\r\nHost: h\r\n\r\n"), ""),
    ] {
        let (exchanges, table) = run(&Script::new(1)
            .capture(4096, 16)
            .receive(&request)
            .send(OK)
            .receive(get("/2"))
            .send(answer(201, "")));
        assert_eq!(exchanges.len(), 2, "{path}");
        assert_eq!(
            (&*exchanges[0].path, exchanges[0].status),
            (path, Some(200))
        );
        assert!(exchanges[0].truncated && !exchanges[1].truncated);
        assert_eq!(
            (&*exchanges[1].path, exchanges[1].status),
            ("/2", Some(201))
        );
        assert_eq!(table.counters().truncated, 1);
    }
}

#[test]
fn fault_11_a_head_in_parts_is_kept_up_to_its_limit() {
    let mut script = Script::new(1).receive("GET /long HTTP/1.1\r\n");
    for _ in 0..40 {
        script = script.receive("X-Filler: 0123456789\r\n".repeat(100));
    }
    let exchange = only(&script.receive("\r\n").send(OK));
    assert_eq!((&*exchange.path, exchange.truncated), ("/long", true));
}

#[test]
fn fault_12_ten_thousand_requests_leave_no_state() {
    let mut table = table();
    let mut script = Script::new(1);
    for _ in 0..10_000 {
        script = script.receive(GET).send(OK);
    }
    assert_eq!(script.play(&mut table).len(), 10_000);
    conserves(&table, 10_000);
    assert_eq!((table.in_flight(), table.len()), (0, 1));
}

#[test]
fn fault_13_late_start_waits_for_the_first_clean_request() {
    let script = Script::new(1)
        .receive("POST /1 HTTP/1.1\r\nContent-Length: 16\r\n\r\n")
        .receive("body, not a head")
        .send("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
        .send("more content")
        .receive(get("/2"))
        .send(answer(202, ""));
    for skipped in 1..4 {
        let (exchanges, table) = run(&script.clone().without_first(skipped));
        let seen: Vec<_> = exchanges.iter().map(|e| (&*e.path, e.status)).collect();
        assert_eq!(seen, [("/2", Some(202))], "without the first {skipped}");
        assert_eq!(table.counters().orphan_responses, u64::from(skipped < 3));
    }
}

#[test]
fn fault_14_a_request_without_answer_ages() {
    let mut table = table();
    let script = Script::new(1).receive(GET);
    assert_eq!(script.play(&mut table), []);
    assert_eq!(table.active().map(|(.., count)| count).sum::<u64>(), 1);
    let mut aged = Vec::new();
    table.expire(script.now() + seconds(59), &mut |e| aged.push(e));
    assert_eq!(aged, []);
    let now = script.now() + seconds(61);
    table.expire(now, &mut |e| aged.push(e));
    assert_eq!(aged.len(), 1);
    assert_eq!(
        (aged[0].failure, aged[0].end),
        (Some(Failure::Timeout), now)
    );
    assert_eq!(table.active().count(), 0);
    assert_eq!(table.counters().aged, 1);
    conserves(&table, 1);

    // The answer comes after all, and then the connection goes on.
    let late = script
        .wait(seconds(70))
        .send(OK)
        .receive(get("/2"))
        .send(answer(201, ""));
    let exchanges = late.after_first(1).play(&mut table);
    let seen: Vec<_> = exchanges.iter().map(|e| (&*e.path, e.status)).collect();
    assert_eq!(seen, [("/2", Some(201))]);
    assert_eq!(table.counters().orphan_responses, 1);
}

#[test]
fn fault_15_half_close_then_the_answer() {
    let script = Script::new(1)
        .receive(GET)
        .end(Direction::Receive)
        .send(OK)
        .close();
    let exchange = only(&script);
    assert_eq!((exchange.status, exchange.failure), (Some(200), None));
}

#[test]
fn fault_15_a_reset_counts_once() {
    let after = only(&Script::new(1).receive(GET).send(OK).reset());
    assert_eq!((after.status, after.failure), (Some(200), None));
    let before = only(&Script::new(1).receive(GET).reset());
    assert_eq!(
        (before.status, before.failure),
        (None, Some(Failure::ConnectionReset))
    );
    let within = only(
        &Script::new(1)
            .receive(GET)
            .send(&OK[..OK.len() - 1])
            .reset(),
    );
    assert_eq!(within.failure, Some(Failure::ConnectionReset));
    assert_eq!(within.response_body, None);
}

#[test]
fn fault_15_a_close_before_the_answer_is_complete() {
    for sent in [
        "",
        "HTTP/1.1 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    ] {
        let exchange = only(&Script::new(1).receive(GET).send(sent).close());
        assert_eq!(
            exchange.failure,
            Some(Failure::ConnectionClosed),
            "{sent:?}"
        );
    }
}

#[test]
fn fault_16_connections_do_not_mix() {
    let mut table = table();
    let one = Script::new(1).receive(get("/1")).send(answer(201, ""));
    let two = Script::new(2).receive(get("/2")).send(answer(202, ""));
    let mut exchanges = Vec::new();
    table.open(1, Script::tuple(), false);
    table.open(2, Script::tuple(), false);
    for (first, second) in one.segments().zip(two.segments()) {
        table.segment(&first, &mut |e| exchanges.push(e));
        table.segment(&second, &mut |e| exchanges.push(e));
    }
    let seen: Vec<_> = exchanges
        .iter()
        .map(|e| (e.connection, &*e.path, e.status))
        .collect();
    assert_eq!(seen, [(1, "/1", Some(201)), (2, "/2", Some(202))]);
}

#[test]
fn fault_17_the_task_that_read_the_request_owns_the_exchange() {
    let script = Script::new(1)
        .tgid(20)
        .receive(&GET[..9])
        .tgid(21)
        .receive(&GET[9..]);
    assert_eq!(only(&script.tgid(22).send(OK)).tgid, 20);
}

#[test]
fn fault_18_sendfile_is_counted_over_and_its_last_byte_timed() {
    let script = Script::new(1)
        .capture(64, 16)
        .receive(get("/f"))
        .send("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n")
        .opaque(Direction::Send, 1_000_000)
        .opaque(Direction::Send, 2_000_000)
        .receive(get("/2"))
        .send(answer(201, ""));
    let (exchanges, table) = run(&script);
    assert_eq!(exchanges.len(), 2);
    assert_eq!(exchanges[0].response_body, Some(3_000_000));
    assert_eq!(exchanges[0].end, exchanges[0].start + 3 * STEP);
    assert_eq!(
        (&*exchanges[1].path, exchanges[1].status),
        ("/2", Some(201))
    );
    assert_eq!(table.counters().framing_lost, 0);
}

#[test]
fn a_refused_expectation_leaves_the_body_out_or_not() {
    let ask = "PUT /1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let chunked = "PUT /1 HTTP/1.1\r\nExpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (ask, body) in [
        (ask, ""),
        (ask, "hello"),
        (ask, "GET \r"),
        (chunked, ""),
        (chunked, "5\r\nhello\r\n0\r\n\r\n"),
    ] {
        let script = Script::new(1)
            .receive(ask)
            .send(answer(417, "no"))
            .receive(body)
            .receive(get("/2"))
            .send(answer(202, ""));
        for script in [script.clone(), script.mirrored()] {
            let (exchanges, table) = run(&script);
            let seen: Vec<_> = exchanges.iter().map(|e| (&*e.path, e.status)).collect();
            assert_eq!(seen, [("/1", Some(417)), ("/2", Some(202))], "{body:?}");
            assert_eq!(table.counters().requests, 2);
        }
    }
}

#[test]
fn an_accepted_expectation_has_its_body_whatever_it_holds() {
    let inner = get("/inner");
    let ask = format!(
        "PUT /1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        inner.len()
    );
    let exchange = only(
        &Script::new(1)
            .receive(ask)
            .send("HTTP/1.1 100 Continue\r\n\r\n")
            .receive(&inner)
            .send(answer(201, "")),
    );
    assert_eq!((&*exchange.path, exchange.status), ("/1", Some(201)));
    assert_eq!(exchange.request_body, Some(inner.len() as u64));
}
