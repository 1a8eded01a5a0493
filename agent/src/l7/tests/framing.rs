//! Bodies: where a message ends and the next one begins.

use sonde_common::event::http::Direction;

use super::{
    super::{exchange::Method, script::STEP},
    *,
};

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
