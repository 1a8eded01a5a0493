//! Heads.

use proptest::prelude::*;

use super::*;

fn request(bytes: &[u8]) -> Parsed<Request> {
    Request::parse(bytes, &mut Reader::new(Selection::default()))
}

fn whole(head: &str) -> Request {
    match request(head.as_bytes()) {
        Parsed::Complete { value, length } => {
            assert_eq!(length, head.len());
            value
        }
        other => panic!("{other:?}"),
    }
}

fn response(head: &str) -> Response {
    match Response::parse(head.as_bytes(), &mut Reader::new(Selection::default())) {
        Parsed::Complete { value, length } => {
            assert_eq!(length, head.len());
            value
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn targets_in_every_form_lose_query_and_userinfo() {
    for (line, path, host) in [
        ("GET /a/b?token=1#x HTTP/1.1", "/a/b", Some("h:1")),
        (
            "GET http://user:pw@shop.test:81/a?q HTTP/1.1",
            "/a",
            Some("shop.test:81"),
        ),
        ("GET HTTPS://shop.test?q HTTP/1.1", "/", Some("shop.test")),
        ("OPTIONS * HTTP/1.1", "*", Some("h:1")),
        ("CONNECT db.test:5432 HTTP/1.1", "", Some("db.test:5432")),
    ] {
        let request = whole(&format!("{line}\r\nHost: h:1\r\n\r\n"));
        assert_eq!(&*request.path, path, "{line}");
        assert_eq!(request.host.as_deref(), host, "{line}");
    }
}

#[test]
fn nothing_but_the_known_fields_is_kept() {
    let request = whole(
        "GET / HTTP/1.1\r\nAuthorization: Bearer secret\r\nCookie: secret\r\n\
         user-agent: ua\r\nTraceParent: bad\r\n\
         traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
    );
    assert!(!format!("{request:?}").contains("secret"));
    assert_eq!(request.user_agent.as_deref(), Some("ua"));
    assert_eq!(request.parent.map(|parent| parent.flags), Some(1));
}

#[test]
fn request_framing() {
    for (fields, framing) in [
        ("", Framing::Length(0)),
        ("Content-Length: 7\r\n", Framing::Length(7)),
        (
            "Content-Length: 7\r\nContent-Length: 7\r\n",
            Framing::Length(7),
        ),
        (
            "Content-Length: 7\r\nContent-Length: 8\r\n",
            Framing::Unknown,
        ),
        ("Content-Length: -1\r\n", Framing::Unknown),
        ("Content-Length: 18446744073709551616\r\n", Framing::Unknown),
        (
            "Transfer-Encoding: Chunked\r\nContent-Length: 7\r\n",
            Framing::Chunked,
        ),
        (
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            Framing::Chunked,
        ),
        ("Transfer-Encoding: chunked, gzip\r\n", Framing::Unknown),
        ("Bad Field: x\r\nContent-Length: 7\r\n", Framing::Unknown),
    ] {
        let request = whole(&format!("POST / HTTP/1.1\r\n{fields}\r\n"));
        assert_eq!(request.framing, framing, "{fields}");
    }
}

#[test]
fn response_framing_follows_status_method_and_fields() {
    let get = Some(Method::Get);
    for (head, method, framing) in [
        ("200 OK\r\nContent-Length: 7", get, Framing::Length(7)),
        (
            "200 OK\r\nContent-Length: 7",
            Some(Method::Head),
            Framing::Length(0),
        ),
        (
            "204 No Content\r\nContent-Length: 7",
            get,
            Framing::Length(0),
        ),
        (
            "304 Not Modified\r\nContent-Length: 7",
            get,
            Framing::Length(0),
        ),
        ("200 OK", get, Framing::UntilClose),
        (
            "200 OK\r\nTransfer-Encoding: gzip",
            get,
            Framing::UntilClose,
        ),
        ("200 OK\r\nContent-Length: x", get, Framing::Unknown),
        ("101 Switching Protocols", get, Framing::Tunnel),
        (
            "200 OK\r\nContent-Length: 7",
            Some(Method::Connect),
            Framing::Tunnel,
        ),
        (
            "407 No\r\nContent-Length: 7",
            Some(Method::Connect),
            Framing::Length(7),
        ),
    ] {
        let response = response(&format!("HTTP/1.1 {head}\r\n\r\n"));
        assert_eq!(response.framing(method), framing, "{head} {method:?}");
    }
}

#[test]
fn hundreds_of_fields_are_read() {
    let fields = "X: y\r\n".repeat(500);
    let request = whole(&format!(
        "GET /a HTTP/1.1\r\n{fields}Content-Length: 3\r\n\r\n"
    ));
    assert_eq!(
        (&*request.path, request.framing),
        ("/a", Framing::Length(3))
    );
    let response = response(&format!(
        "HTTP/1.1 200 OK\r\n{fields}Content-Length: 3\r\n\r\n"
    ));
    assert_eq!(response.framing(None), Framing::Length(3));
}

#[test]
fn a_cut_head_gives_what_is_certain() {
    let mut reader = Reader::new(Selection::default());
    let mut salvage = |bytes: &str| Request::salvage(bytes.as_bytes(), &mut reader);
    let cut = salvage("POST /a?q HTTP/1.1\r\nHost: h\r\nUser-Agent: hal").expect("a request");
    assert_eq!((&*cut.path, cut.host.as_deref()), ("/a", Some("h")));
    assert_eq!(
        (cut.user_agent, cut.framing, cut.truncated),
        (None, Framing::Unknown, true)
    );
    assert_eq!(&*salvage("GET /a?long").expect("a request").path, "/a");
    assert_eq!(&*salvage("GET /long").expect("a request").path, "");
    assert!(salvage("some words of a body").is_none());
    assert!(salvage("GET").is_none());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut reader = Reader::new(Selection::default());
        let _ = Request::parse(&bytes, &mut reader);
        let _ = Request::salvage(&bytes, &mut reader);
        let _ = Response::parse(&bytes, &mut reader);
        let _ = Response::salvage(&bytes, &mut reader);
    }

    /// A front of a head is never refused, and never taken for the whole.
    #[test]
    fn fronts_are_partial(path in "/[a-z]{0,9}", fields in prop::collection::vec("[A-Z]{1,9}: [ -~]{0,9}", 1..9)) {
        let head = format!("GET {path} HTTP/1.1\r\n{}\r\n\r\n", fields.join("\r\n"));
        for end in 1..head.len() {
            prop_assert!(matches!(request(&head.as_bytes()[..end]), Parsed::Partial));
        }
    }
}

/// A word of a head, a fault, or a few bytes that may be anything.
fn scrap() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "GET / HTTP/1.1\r\n", "POST /a?b HTTP/1.0\r\n", "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 404\r\n", "Host: h\r\n", "Content-Length: 5\r\n", "X: y\n",
            "Transfer-Encoding: chunked\r\n", "\r\n", "\n", "\r", "hello", ": z\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ]
}

proptest! {
    /// A reader that has read all kinds of heads reads the next one as a new reader does.
    #[test]
    fn what_was_read_before_changes_nothing(
        messages in prop::collection::vec(prop::collection::vec(scrap(), 1..8), 1..20),
    ) {
        let mut reader = Reader::new(Selection::default());
        for message in messages.iter().chain(&messages).map(|scraps| scraps.concat()) {
            prop_assert_eq!(
                Request::parse(&message, &mut reader),
                Request::parse(&message, &mut Reader::new(Selection::default()))
            );
            prop_assert_eq!(
                Response::parse(&message, &mut reader),
                Response::parse(&message, &mut Reader::new(Selection::default()))
            );
        }
    }
}

#[test]
fn heads_with_secrets_are_not_held() {
    let mut reader = Reader::new(Selection::default());
    for field in [
        "Authorization: Bearer secret",
        "proxy-authorization: Basic secret",
        "Cookie: id=secret",
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n");
        let _ = Request::parse(head.as_bytes(), &mut reader);
    }
    let _ = Request::parse(b"GET /?token=secret HTTP/1.1\r\n\r\n", &mut reader);
    let cookie = b"HTTP/1.1 200 OK\r\nset-cookie: id=secret\r\n\r\n";
    let _ = Response::parse(cookie, &mut reader);
    assert!(!reader.requests.holds(b"secret") && !reader.responses.holds(b"secret"));

    let _ = Request::parse(b"GET /public HTTP/1.1\r\n\r\n", &mut reader);
    let _ = Response::parse(b"HTTP/1.1 204 Public\r\n\r\n", &mut reader);
    assert!(reader.requests.holds(b"/public") && reader.responses.holds(b"Public"));
}
