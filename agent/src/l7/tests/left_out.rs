//! Bodies that the kernel side follows and leaves out.

use sonde_common::event::http::Direction::{Receive, Send};

use super::*;
use crate::l7::counters::Dropped;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn length(size: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
}

/// Each as seen at both ends.
fn both(script: &Script) -> [Exchange; 2] {
    [only(script), only(&script.clone().mirrored())]
}

#[test]
fn a_body_of_known_length_counts_what_is_left_out() {
    let script = Script::new(1)
        .receive(get("/"))
        .send(length(100_000))
        .wait(seconds(1))
        .skipping(99_999)
        .send("x".repeat(100_000));
    for exchange in both(&script) {
        assert_eq!(exchange.response_body, Some(100_000));
        assert_eq!((exchange.status, exchange.failure), (Some(200), None));
        assert_eq!(exchange.end, script.now(), "the last byte's time");
    }
}

#[test]
fn a_request_behind_a_body_that_is_left_out_is_read() {
    let post = "POST /0 HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n";
    let script = Script::new(1)
        .receive(post)
        .skipping(4_999)
        .receive("x".repeat(5_000) + &get("/1"))
        .send(answer(200, ""))
        .send(answer(404, ""));
    for script in [script.clone(), script.mirrored()] {
        let (exchanges, _) = run(&script);
        let seen: Vec<_> = exchanges.iter().map(essence).collect();
        let told = |path: &str, status, size| {
            let sizes = [Some(size), Some(0)];
            (path.to_owned(), Some(status), None, sizes)
        };
        assert_eq!(seen, [told("/0", 200, 5_000), told("/1", 404, 0)]);
    }
}

#[test]
fn chunks_that_are_left_out_count_without_their_sizes() {
    let chunks = "5\r\nhello\r\n10;\r\n0123456789abcdef\r\n";
    // A size is cut in two.
    let script = Script::new(1)
        .receive(get("/"))
        .send(CHUNKED)
        .skipping(chunks.len())
        .send(chunks.to_owned() + "1")
        .with_framing(5 + 7)
        .skipping(2 + 17 + 2)
        .send("\r\n".to_owned() + &"z".repeat(17) + "\r\n0\r\n\r\n")
        .with_framing(4);
    for exchange in both(&script) {
        assert_eq!(exchange.response_body, Some(5 + 16 + 17));
        assert_eq!(exchange.end, script.now());
    }
}

#[test]
fn an_end_among_what_is_left_out_is_no_end_that_is_known() {
    let script = Script::new(1)
        .receive(get("/"))
        .send(length(1_000))
        .skipping(2_000)
        .send("x".repeat(3_000))
        .receive(get("/next"))
        .send(answer(200, "hi"));
    for script in [script.clone(), script.mirrored()] {
        let (exchanges, table) = run(&script);
        assert!(exchanges.iter().all(|exchange| *exchange.path != *"/"));
        assert_eq!(table.counters().dropped(Dropped::Uncertain), 1);
    }
}

#[test]
fn a_body_that_moves_on_is_not_given_up() {
    let mut script = Script::new(1).receive(get("/")).send(length(1_000_000));
    for _ in 0..20 {
        script = script.wait(seconds(60)).moves_on(Send);
    }
    let mut table = table();
    let mut exchanges = script.play(&mut table);
    table.expire(script.now() + seconds(60), &mut |e| {
        exchanges.push(e.clone());
    });
    assert_eq!((exchanges.len(), table.in_flight()), (0, 1));
    table.expire(script.now() + seconds(600), &mut |e| {
        exchanges.push(e.clone());
    });
    assert_eq!(exchanges[0].failure, Some(Failure::Timeout));
    // Nothing says that it is the other direction's.
    let script = Script::new(2).receive(get("/")).moves_on(Receive);
    assert_eq!(run(&script).1.in_flight(), 1);
}

#[test]
fn a_reset_within_a_body_that_is_left_out_is_told() {
    let script = Script::new(1)
        .receive(get("/"))
        .send(length(1_000_000))
        .moves_on(Send)
        .reset();
    for exchange in both(&script) {
        assert_eq!(exchange.failure, Some(Failure::ConnectionReset));
        assert_eq!((exchange.status, exchange.response_body), (Some(200), None));
    }
}
