//! Heads: what is one, what isn't, and what is kept of an odd one.

use super::{
    super::{
        counters::{GivenUp, Rejection},
        exchange::Method,
    },
    *,
};

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
fn fault_10_http_0_9_is_ignored_and_counted() {
    let (exchanges, table) = run(&Script::new(1)
        .receive("GET /old\r\n")
        .send("<html>")
        .close());
    assert_eq!(exchanges, []);
    assert_eq!(table.counters().rejected(Rejection::Http09), 1);
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
