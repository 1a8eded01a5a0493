//! Header fields that were asked for by name, over both protocols.

use super::*;
use crate::l7::headers::{Headers, Selection};

const ASKED: &[&str] = &["x-id", "authorization", "content-type"];
const ANSWERED: &[&str] = &["set-cookie", "server"];

fn play(script: &Script) -> Vec<Exchange> {
    let selection = Selection::new(ASKED, ANSWERED, &["x-mine"]);
    let mut table = Connections::with_headers(Limits::default(), selection);
    let exchanges = script.play(&mut table);
    conserves(&table, exchanges.len());
    exchanges
}

fn told(headers: &Headers) -> Vec<String> {
    let headers = headers.as_slice().iter();
    headers
        .map(|header| format!("{}={}", header.attribute, header.values.join("|")))
        .collect()
}

#[track_caller]
fn assert_told(exchange: &Exchange) {
    assert_eq!(
        told(&exchange.request_headers),
        [
            "http.request.header.authorization=REDACTED",
            "http.request.header.content-type=application/grpc",
            "http.request.header.x-id=7|8",
        ]
    );
    assert_eq!(
        told(&exchange.response_headers),
        [
            "http.response.header.server=s",
            "http.response.header.set-cookie=REDACTED|REDACTED",
        ]
    );
    assert!(!format!("{exchange:?}").contains("secret"));
}

#[test]
fn http1_keeps_what_was_asked_for_however_it_is_split() {
    let request = "GET / HTTP/1.1\r\nHost: h\r\nX-Id: 7\r\nAuthorization: secret\r\n\
                   Content-Type: application/grpc\r\nx-id: 8\r\nServer: no\r\nX-Mine: secret\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nServer: s\r\nSet-Cookie: secret\r\nSet-Cookie: secret\r\n\
                  X-Id: no\r\nContent-Length: 0\r\n\r\n";
    for cut in 1..request.len() {
        let (front, rest) = request.split_at(cut);
        let script = Script::new(1).receive(front).receive(rest).send(answer);
        let exchanges = play(&script.receive(request).send(answer));
        assert_eq!(exchanges.len(), 2);
        exchanges.iter().for_each(assert_told);
    }
}

#[test]
fn http1_keeps_those_of_lines_that_are_read_without_strictness() {
    let request = "GET /a b HTTP/1.1\r\nX-Id: 7\r\nAuthorization: secret\r\n\
                   Content-Type: application/grpc\r\nx-id: 8\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nServer: s\r\nbad line\r\nSet-Cookie: secret\r\n\
                  Set-Cookie: secret\r\n\r\n";
    let script = Script::new(1).receive(request).send(answer).close();
    assert_told(&play(&script)[0]);
}

/// A literal field that is inserted into the dynamic table: RFC 7541, section 6.2.1.
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0x40];
    for text in [name, value] {
        bytes.push(u8::try_from(text.len()).expect("short"));
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// HEADERS with `END_STREAM` and `END_HEADERS`.
fn headers(stream: u8, block: &[u8]) -> Vec<u8> {
    let length = u8::try_from(block.len()).expect("short");
    [&[0, 0, length, 1, 5, 0, 0, 0, stream], block].concat()
}

#[test]
fn http2_keeps_what_was_asked_for_also_out_of_its_table() {
    let asked = [
        &[0x83, 0x86, 0x84][..],
        &field("x-id", "7"),
        &field("authorization", "secret"),
        &field("content-type", "application/grpc"),
        &field("x-id", "8"),
        &field("server", "no"),
        &field("x-mine", "secret"),
    ];
    // The same by the table, newest first: 62 is x-mine, 67 the first x-id.
    let again = [0x83, 0x86, 0x84, 0xc3, 0xc2, 0xc1, 0xc0];
    let answered = [
        &[0x88][..],
        &field("server", "s"),
        &field("set-cookie", "secret"),
        &[0xbe],
        &field("x-id", "no"),
    ];
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let script = Script::new(1)
        .receive(preface)
        .send(b"\0\0\0\x04\0\0\0\0\0")
        .receive(headers(1, &asked.concat()))
        .send(headers(1, &answered.concat()))
        .receive(headers(3, &again))
        .send(headers(3, &[0x88, 0xc0, 0xbf, 0xbf]));
    let exchanges = play(&script);
    assert_eq!(exchanges.len(), 2);
    exchanges.iter().for_each(assert_told);
}
