//! Heads: what is one, what isn't, and what is kept of an odd one.

use super::{
    super::{
        counters::{Dropped, GivenUp, Rejection},
        exchange::Method,
        script::STEP,
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
fn fault_01_another_protocol_is_named_and_given_up() {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00";
    let (exchanges, table) = run(&Script::new(1).receive(hello).receive(GET).send(OK));
    assert_eq!(exchanges, []);
    assert_eq!(table.counters().rejected(Rejection::Tls), 1);
    assert_eq!(table.counters().given_up(GivenUp::OtherProtocol), 1);
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

/// Ten exchanges on one connection, each with long heads and its bodies in the same read or write.
fn long_heads_with_bodies(mut script: Script, length: usize) -> Script {
    let (long, body) = ("c".repeat(length), "z".repeat(300));
    for number in 0..10 {
        script = script
            .receive(format!(
                "POST /{number} HTTP/1.1\r\nCookie: {long}\r\nContent-Length: 300\r\n\r\n{body}"
            ))
            .send(format!(
                "HTTP/1.1 {} X\r\nX-Filler: {long}\r\nContent-Length: 1\r\n\r\ny",
                400 + number
            ));
    }
    script
}

#[test]
fn fault_11_long_heads_with_bodies_lose_no_exchange() {
    let short = long_heads_with_bodies(Script::new(1).capture(1024, 16), 1500);
    let kernel = Script::new(1).captured_as_by_the_kernel();
    let long = long_heads_with_bodies(kernel.clone(), 6000);
    for script in [short, long, long_heads_with_bodies(kernel, 1500)] {
        for script in [script.clone(), script.mirrored()] {
            let (exchanges, table) = run(&script.close());
            let seen = exchanges.iter().map(|e| (e.path.to_string(), e.status));
            let sent = (0..10).map(|number| (format!("/{number}"), Some(400 + number)));
            assert!(seen.eq(sent), "{exchanges:#?}");
            for exchange in &exchanges {
                assert!(exchange.truncated);
                assert_eq!(exchange.response_body, None);
                assert_eq!(exchange.end, exchange.start + STEP);
            }
            assert_eq!(table.counters().requests, 10);
        }
    }
}

#[test]
fn fault_11_a_request_that_cannot_be_told_from_a_body_is_counted() {
    let upload = format!(
        "POST /1 HTTP/1.1\r\nCookie: {}\r\n\r\nbody",
        "c".repeat(5000)
    );
    let script = Script::new(1)
        .captured_as_by_the_kernel()
        .receive(upload)
        .receive(get("/in-body"))
        .send(answer(201, ""))
        .receive(get("/2"))
        .send(answer(202, ""));
    let (exchanges, table) = run(&script);
    let seen: Vec<_> = exchanges.iter().map(|e| (&*e.path, e.status)).collect();
    assert_eq!(seen, [("/1", Some(201)), ("/2", Some(202))]);
    assert_eq!(table.counters().dropped(Dropped::Unsynchronised), 1);
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
