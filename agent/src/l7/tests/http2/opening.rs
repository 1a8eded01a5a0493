//! How a connection begins: the preface, who speaks first, and an upgrade from HTTP/1.1.

use super::*;
use crate::l7::exchange::{Method, Role};

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
